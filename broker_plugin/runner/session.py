"""One membership in the consumer group: a producer, a consumer, and what they own until they are replaced."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from broker_plugin.errors import AbortableTransactionError, BrokerPluginError, FatalBusError, FencedError
from broker_plugin.runner.bus import Bus
from broker_plugin.runner.changelog import changelog_outputs
from broker_plugin.runner.crash import crash_point
from broker_plugin.runner.partitions import PartitionTable
from broker_plugin.runner.protocols import Message, Partition, Stage
from broker_plugin.runner.sensor import Outcome, Sensor
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.stepping import EncodeDeadLetter, Patience, Stepped, run_step
from broker_plugin.runner.store import LocalStateError

logger = logging.getLogger(__name__)

_BACKOFF_POLL_SECONDS = 0.5
_SIZES_SECONDS = 10.0  # between two looks at the size of the state


class Session:
    """Turns of poll, step and commit, in this order (the code below has the same numbers):

    1. poll a batch of N records, or of T seconds since the last poll;
    2. note the group's generation, which fences everything that follows;
    3. run the pure step over the batch and the state: outputs and state updates;
    4. begin a transaction; produce the outputs and dead letters, then the changelog;
    5. send the batch's source positions to the transaction, under the noted generation;
    6. commit;
    7. only now write the local cache;
    8. tell the sensor.

    A death between any two of these leaves either nothing of the batch or, after 6, all of it. No transaction
    is ever open during a poll, so no partition is given away with a batch in flight.

    A source in another cluster cannot take part in the transaction: its positions are committed after 6,
    so a death in between repeats the batch (at least once).
    """  # noqa: D400

    def __init__(
        self,
        *,
        stage: Stage,
        bus: Bus,
        source_bus: Bus,
        table: PartitionTable,
        sensor: Sensor,
        settings: RunnerSettings,
        clock: Clock,
        encode_dead_letter: EncodeDeadLetter,
        foreign_source: bool,
        note: str = "",
    ) -> None:
        self._stage = stage
        self._table = table
        self._sensor = sensor
        self._settings = settings
        self._clock = clock
        self._encode = encode_dead_letter
        self._foreign_source = foreign_source
        self._note = note  # goes with the committed offsets
        self._failures_in_a_row = 0
        self._aborts = 0
        self._began: float | None = None  # when the open transaction began
        self._sizes_due = 0.0
        self._polled = clock.monotonic()
        self.commits = 0
        # The producer comes first: whatever a dead predecessor left open is aborted before we restore.
        self._producer = bus.producer(settings.transactional_id(stage.name))
        try:
            self._producer.init_transactions()
            self._consumer = source_bus.consumer(
                settings.group(stage.name), list(stage.input_topics), table, self._tell_lag
            )
        except BaseException:
            self._producer.close()
            raise
        table.attach(self._consumer)

    def turn(self) -> int:
        """Poll once and process what came; return the number of records committed.

        Raises
        ------
        FencedError, FatalBusError
            This session is over.
        BrokerPluginError
            The process cannot go on.
        """
        self._tell_sizes()
        opening = self._table.opening
        self._table.work_on_opening()
        batch = self._poll(0.0 if opening else self._time_to_fill())  # 1
        if not batch:
            return 0
        self._sensor.on_batch(self._stage.name, len(batch))
        crash_point(self._stage.name, "after_poll")
        try:
            self._process(batch)
        except AbortableTransactionError as error:
            self._abort(batch, error)
            return 0
        except LocalStateError as error:  # out of the step: no transaction is open yet
            self._table.reopen(error)
            self._table.seek_back(batch)
            return 0
        except (FencedError, FatalBusError):
            self._tell_end("fenced")
            raise
        except BrokerPluginError:  # the process ends; let nobody wait for its transaction to time out
            if self._began is not None:
                self._producer.abort()
            raise
        self._aborts = 0
        self.commits += 1
        return len(batch)

    def idle(self) -> bool:
        """Return whether everything there is to read has been committed."""
        return not self._table.opening and self._consumer.at_end()

    def leave(self, *, clean: bool) -> None:
        """Close the partitions, then leave the group; the next owner need not wait for a timeout."""
        self._table.close(clean=clean)
        self._consumer.close(self._settings.close_seconds)
        self._producer.close(self._settings.close_seconds)

    def _process(self, batch: Sequence[Message]) -> None:
        stage = self._stage.name
        generation = self._consumer.group_metadata()  # 2
        started = self._clock.monotonic()
        stepped = run_step(  # 3
            self._stage,
            batch,
            self._table.committed_state,
            self._encode,
            self._settings.max_output_bytes,
            patience=Patience(self._failures_in_a_row, self._settings.max_failures_in_a_row),
        )
        self._sensor.on_step_seconds(stage, self._clock.monotonic() - started)
        crash_point(stage, "after_step")
        offsets = _next_offsets(batch)
        _check_own_partitions(stage, stepped, offsets)
        self._began = self._clock.monotonic()
        self._producer.begin()  # 4
        crash_point(stage, "after_begin")
        for output in stepped.outputs:
            self._producer.send(output)
        crash_point(stage, "after_outputs")
        changelog_bytes = self._send_changelog(stepped, offsets)
        crash_point(stage, "after_changelog")
        if not self._foreign_source:
            self._producer.send_offsets(offsets, generation, self._note)  # 5
        crash_point(stage, "after_offsets")
        written = self._producer.commit()  # 6
        crash_point(stage, "after_commit")
        self._failures_in_a_row = stepped.failures_in_a_row
        self._table.advance(offsets)
        self._table.write_cache(stepped.changes, offsets, written)  # 7
        crash_point(stage, "after_cache")
        if self._foreign_source:
            self._commit_to_source(offsets)
        self._tell_end("committed")  # 8
        self._tell_changelog(written, changelog_bytes)
        self._sensor.on_observations(stage, stepped.observations)
        for reason, n_records in stepped.dead_letters.items():
            self._sensor.on_dead_letters(stage, reason, n_records)

    def _send_changelog(self, stepped: Stepped, offsets: dict[Partition, int]) -> dict[Partition, int]:
        """Send the state updates and, for each partition of the batch, the position that they stand for.

        Returns the bytes of keys and values by changelog partition.
        """
        topic = self._stage.changelog_topic
        sent: dict[Partition, int] = {}
        if topic is None:
            return sent
        for partition, offset in offsets.items():
            changes = stepped.changes.get(partition.partition, {})
            n_bytes = 0
            for output in changelog_outputs(topic, partition.partition, changes, {partition.topic: offset}):
                self._producer.send(output)
                n_bytes += len(output.key or b"") + len(output.value or b"")
            where = Partition(topic, partition.partition)
            sent[where] = sent.get(where, 0) + n_bytes
        return sent

    def _commit_to_source(self, offsets: dict[Partition, int]) -> None:
        try:
            self._consumer.commit(offsets)
        except AbortableTransactionError as error:
            logger.warning(
                "positions of %s not committed, so they will be read again: %s", self._stage.name, error
            )

    def _time_to_fill(self) -> float:
        """Return how long a poll may wait for a full batch.

        What came while the last batch was worked on has waited since then: waiting again would leave a stage
        that is slow idle for a part of each turn, and batches, and delays, would grow until it is not.
        """
        return max(0.0, self._settings.batch_seconds - (self._clock.monotonic() - self._polled))

    def _poll(self, timeout_seconds: float) -> list[Message]:
        polled = self._consumer.poll(self._settings.batch_records, timeout_seconds)
        self._polled = self._clock.monotonic()
        self._table.check()
        return self._table.take(polled)

    def _abort(self, batch: Sequence[Message], error: AbortableTransactionError) -> None:
        """Drop the batch, make its records the next ones again, and wait a little, polling, before they come.

        Raises
        ------
        FatalBusError
            This session has aborted too often in a row.
        """
        stage = self._stage.name
        crash_point(stage, "before_abort")
        try:
            if self._began is not None:
                self._producer.abort()
        except (FencedError, FatalBusError):
            self._tell_end("fenced")
            raise
        crash_point(stage, "after_abort")
        self._tell_end("aborted")
        self._aborts += 1
        logger.warning("transaction %d in a row of %s aborted: %s", self._aborts, stage, error)
        if self._aborts >= self._settings.max_aborts:
            msg = f"{self._aborts} transactions of {stage} aborted in a row, the last because: {error}"
            raise FatalBusError(msg) from error
        paused = self._table.pause_running()
        self._table.seek_back(batch)
        delay = min(
            self._settings.backoff_seconds * 2.0 ** (self._aborts - 1), self._settings.backoff_max_seconds
        )
        until = self._clock.monotonic() + delay
        while (left := until - self._clock.monotonic()) > 0:
            stray = self._poll(min(left, _BACKOFF_POLL_SECONDS))
            self._table.seek_back(stray)
        self._table.resume(paused)

    def _tell_end(self, outcome: Outcome) -> None:
        if self._began is not None:
            self._sensor.on_commit(self._stage.name, outcome, self._clock.monotonic() - self._began)
            self._began = None

    def _tell_changelog(self, written: Mapping[Partition, int], n_bytes: Mapping[Partition, int]) -> None:
        for partition, n in n_bytes.items():
            self._sensor.on_changelog(self._stage.name, partition.partition, written[partition], n)

    def _tell_sizes(self) -> None:
        now = self._clock.monotonic()
        if now >= self._sizes_due:
            self._sizes_due = now + _SIZES_SECONDS
            self._table.tell_sizes()

    def _tell_lag(self, topic: str, partition: int, lag: int) -> None:
        self._sensor.on_lag(self._stage.name, topic, partition, lag)


def _next_offsets(batch: Sequence[Message]) -> dict[Partition, int]:
    """Return the position after a batch for each partition in it."""
    ends = {(message.topic, message.partition): message.offset + 1 for message in batch}
    return {Partition(*place): end for place, end in ends.items()}


def _check_own_partitions(stage: str, stepped: Stepped, offsets: dict[Partition, int]) -> None:
    """Refuse state whose marker would not be part of this batch: it could not be told from stale state."""
    touched = {partition.partition for partition in offsets}
    strangers = stepped.changes.keys() - touched
    if strangers:
        msg = (
            f"stage {stage} wrote state of partitions {sorted(strangers)} in a batch of partitions "
            f"{sorted(touched)}: a step may only write the partitions of its own records"
        )
        raise RuntimeError(msg)
