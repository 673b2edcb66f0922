"""A member of a Kafka consumer group."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from broker_plugin.errors import AbortableTransactionError, AccessError, FatalBusError
from broker_plugin.runner.bus import LagListener, NotYetError, RebalanceListener
from broker_plugin.runner.kafka.mapping import client_logger, error_of, fatal_of, mapped, misconfigured
from broker_plugin.runner.kafka.settings import KafkaSettings
from broker_plugin.runner.protocols import Message, Partition

logger = logging.getLogger(__name__)

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001
_STATE = KafkaError._STATE  # noqa: SLF001
_COMMITTED_SECONDS = 1.0  # one try; the caller asks again
_LOOKUP_SECONDS = 5.0  # the same, with a connection to be made first
_SEEK_PAUSE_SECONDS = 0.05
_FETCHING = "active"  # the state of a partition that knows where to start
_METADATA_MAGIC = b"CGMDv2:"  # rd_kafka_consumer_group_metadata_write(): magic, then the generation, int32

Bounds = tuple[Future[Any], Future[Any]]
"""Answers to come: the first offset and the stable end of a partition."""


class KafkaConsumer:
    """See :class:`broker_plugin.runner.bus.Consumer`.

    Parameters
    ----------
    true_ends : callable
        Returns the READ_UNCOMMITTED end offset of each of some partitions.
    ask_bounds : callable
        Begins to ask for the first and the READ_COMMITTED end offset of each of some partitions.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        *,
        listener: RebalanceListener,
        on_lag: LagListener | None,
        true_ends: Callable[[Sequence[Partition]], dict[Partition, int]],
        ask_bounds: Callable[[Sequence[Partition]], dict[Partition, Bounds]],
    ) -> None:
        self._settings = settings
        self._group = group
        self._listener = listener
        self._on_lag = on_lag
        self._true_ends = true_ends
        self._ask_bounds = ask_bounds
        self._asked: dict[Partition, Bounds] = {}
        self._bounds: dict[Partition, tuple[int, int]] = {}  # first and stable end, as last answered
        self._owned: set[Partition] = set()
        self._eof: dict[Partition, int] = {}  # where the end was met, while nothing has come since
        self._failure: Exception | None = None
        self._closed = False
        options = settings.consumer_options(group)
        if on_lag is not None:
            options["stats_cb"] = self._on_statistics
        try:
            self._consumer = confluent_kafka.Consumer(options, logger=client_logger)
        except KafkaException as error:
            raise misconfigured(error) from error
        self._consumer.subscribe(
            list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, max_records: int, timeout_seconds: float) -> list[Message]:
        """Return up to ``max_records`` records, waiting up to the timeout for as many."""
        try:
            raw = self._consumer.consume(max_records, timeout_seconds)
        except (KafkaException, SystemError) as exception:
            raise mapped(fatal_of(exception), f"polling for group {self._group}") from exception
        if self._failure is not None:
            failure, self._failure = self._failure, None
            msg = f"rebalance of group {self._group} failed: {failure}"
            raise FatalBusError(msg) from failure
        messages: list[Message] = []
        for record in raw:
            error = record.error()
            if error is None:
                message = to_message(record)
                if self._eof:
                    self._eof.pop(Partition(message.topic, message.partition), None)
                messages.append(message)
            elif error.code() == _EOF:
                self._eof[Partition(record.topic(), record.partition())] = record.offset()
            else:
                self._on_error_event(error)
        return messages

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Deliver no record of these partitions until they are resumed."""
        self._call("pausing", self._consumer.pause, partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Deliver records of these partitions again."""
        self._call("resuming", self._consumer.resume, partitions)

    def seek(self, partition: Partition, offset: int) -> None:
        """Make ``offset`` the next record of an owned partition."""
        deadline = time.monotonic() + self._settings.operation_timeout_seconds
        self._eof.pop(partition, None)
        while True:
            try:
                self._consumer.seek(TopicPartition(partition.topic, partition.partition, offset))
                return
            except KafkaException as exception:
                # Right after an assignment the client may still be looking up where to start.
                if error_of(exception).code() != _STATE or time.monotonic() > deadline:
                    where = f"{partition.topic}/{partition.partition}"
                    msg = f"seeking to {offset} of {where}: {error_of(exception).str()}"
                    raise FatalBusError(msg) from exception
            time.sleep(_SEEK_PAUSE_SECONDS)

    def group_metadata(self) -> object:
        """Return who we are in the group right now."""
        metadata: bytes = self._consumer.consumer_group_metadata()
        generation = 0
        if metadata.startswith(_METADATA_MAGIC):
            at = len(_METADATA_MAGIC)
            generation = int.from_bytes(metadata[at : at + 4], "little", signed=True)
        if generation < 0 or not self._consumer.memberid():
            # Kafka takes transactional offsets from "no member, no generation" without any fencing.
            msg = f"no member of group {self._group} now; its partitions may be somebody else's"
            raise AbortableTransactionError(msg)
        return metadata

    def committed(self, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """Return the group's committed offsets; read_committed makes the broker wait for transactions."""
        return _committed(self._consumer, self._group, partitions, _COMMITTED_SECONDS)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets outside of any transaction."""
        positions = [TopicPartition(p.topic, p.partition, offset) for p, offset in offsets.items()]
        try:
            answers = self._consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as exception:
            msg = f"committing offsets of group {self._group}: {error_of(exception).str()}"
            raise AbortableTransactionError(msg) from exception
        for answer in answers or ():
            if answer.error is not None:
                msg = f"committing offsets of {answer.topic}/{answer.partition}: {answer.error.str()}"
                raise AbortableTransactionError(msg)

    def at_end(self) -> bool:
        """Return whether every owned partition was delivered to its true end."""
        if not self._owned or not self._owned <= self._eof.keys():
            return False
        ends = self._true_ends(list(self._owned))
        return all(self._eof[partition] >= end for partition, end in ends.items())

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Leave the group; librdkafka's own close has no deadline, so a helper thread waits for it."""
        if self._closed:
            return
        self._closed = True
        closing = threading.Thread(target=self._close, name="close-consumer", daemon=True)
        closing.start()
        closing.join(timeout_seconds)
        if closing.is_alive():
            logger.warning("group %s not left within %g s; it will time out", self._group, timeout_seconds)

    def _close(self) -> None:
        try:
            self._consumer.close()
        except (KafkaException, RuntimeError) as error:
            logger.warning("leaving group %s: %s", self._group, error)

    # Callbacks, called inside consume() and close(). An exception here would lose polled records.

    def _on_assign(self, consumer: Any, assigned: list[Any]) -> None:
        partitions = _plain(assigned)
        try:
            consumer.incremental_assign(assigned)
            self._owned.update(partitions)
            self._listener.on_assigned(partitions)  # none, too: this worker is a member, and idle
        except Exception as error:
            self._failure = error

    def _on_revoke(self, consumer: Any, revoked: list[Any]) -> None:
        self._drop(consumer, revoked, self._listener.on_revoked)

    def _on_lost(self, consumer: Any, lost: list[Any]) -> None:
        self._drop(consumer, lost, self._listener.on_lost)

    def _drop(self, consumer: Any, dropped: list[Any], tell: Callable[[Sequence[Partition]], None]) -> None:
        partitions = _plain(dropped)
        try:
            if partitions:
                tell(partitions)
            self._owned.difference_update(partitions)
            for partition in partitions:
                self._eof.pop(partition, None)
            consumer.incremental_unassign(dropped)
        except Exception as error:
            self._failure = error

    def _on_statistics(self, text: str) -> None:
        """Tell the lag: what is stable beyond where we stand."""
        if self._on_lag is None:
            return
        self._refresh_bounds()
        for topic, about in json.loads(text).get("topics", {}).items():
            for number, partition in about.get("partitions", {}).items():
                key = Partition(topic, int(number))
                first, end = self._bounds.get(key, (-1, -1))
                stands = self._stands(key, partition, first)
                end = max(partition.get("ls_offset", -1), end)
                if key in self._owned and stands >= 0 and end >= 0:
                    self._on_lag(topic, key.partition, max(0, end - stands))

    def _stands(self, key: Partition, statistics: Mapping[str, Any], first: int) -> int:
        """Return the offset that is delivered next as far as the group is concerned, or -1 if unknown."""
        delivered = max(statistics.get("app_offset", -1), self._eof.get(key, -1))
        if delivered >= 0:
            return int(delivered)
        committed = statistics.get("committed_offset", -1)
        if committed >= 0:
            return int(committed)
        # The client has asked for the group's offset, and there is none: it starts at the first record.
        return first if statistics.get("fetch_state") == _FETCHING else -1

    def _refresh_bounds(self) -> None:
        """Take the answers to the last question, and ask again.

        The client learns of a partition's end only from what it fetches, and it stops fetching when its queue
        is full: the lag would stand still just when it grows.
        """
        if not all(answer.done() for answers in self._asked.values() for answer in answers):
            return
        self._bounds = {
            partition: (first.result().offset, end.result().offset)
            for partition, (first, end) in self._asked.items()
            if first.exception() is None and end.exception() is None
        }
        try:
            self._asked = self._ask_bounds(list(self._owned)) if self._owned else {}
        except KafkaException as exception:
            logger.warning("asking for the lag of group %s: %s", self._group, error_of(exception).str())
            self._asked = {}

    # Details.

    def _call(self, doing: str, action: Callable[[list[Any]], None], partitions: Sequence[Partition]) -> None:
        if not partitions:
            return
        try:
            action([TopicPartition(p.topic, p.partition) for p in partitions])
        except KafkaException as exception:
            msg = f"{doing} partitions of group {self._group}: {error_of(exception).str()}"
            raise FatalBusError(msg) from exception

    def _on_error_event(self, error: KafkaError) -> None:
        own = mapped(error, f"reading for group {self._group}")
        if error.fatal() or not isinstance(own, FatalBusError):
            raise own
        logger.warning("%s", own)  # the client mends the rest by itself


def read_committed_offsets(
    settings: KafkaSettings, group: str, partitions: Sequence[Partition]
) -> dict[Partition, int | None]:
    """Return a group's committed offsets without joining it; see ``Consumer.committed`` of the bus."""
    with _onlooker(settings.consumer_options(group)) as consumer:
        return _committed(consumer, group, partitions, _LOOKUP_SECONDS)


def read_notes(settings: KafkaSettings, group: str, partitions: Sequence[Partition]) -> dict[Partition, str]:
    """Return the notes that were last committed with a group's offsets; see ``Bus.notes``."""
    # Only who reads committed records is made to wait for transactions.
    options = {**settings.consumer_options(group), "isolation.level": "read_uncommitted"}
    with _onlooker(options) as consumer:
        answers = _committed_answers(consumer, group, partitions, _LOOKUP_SECONDS)
    return {Partition(a.topic, a.partition): a.metadata for a in answers if a.offset >= 0 and a.metadata}


@contextmanager
def _onlooker(options: dict[str, Any]) -> Iterator[Any]:
    """Yield a client that asks about a group and does not join it."""
    try:
        consumer = confluent_kafka.Consumer(options, logger=client_logger)
    except KafkaException as error:
        raise misconfigured(error) from error
    try:
        yield consumer
    except NotYetError:
        # A missing right on the group looks like silence to the call; the reason waits among the events.
        told = consumer.poll(0)
        own = None if told is None or told.error() is None else mapped(told.error(), "asking about a group")
        if isinstance(own, AccessError):
            raise own from None
        raise
    finally:
        consumer.close()


def _committed(
    consumer: Any, group: str, partitions: Sequence[Partition], seconds: float
) -> dict[Partition, int | None]:
    answers = _committed_answers(consumer, group, partitions, seconds)
    return {Partition(a.topic, a.partition): a.offset if a.offset >= 0 else None for a in answers}


def _committed_answers(
    consumer: Any, group: str, partitions: Sequence[Partition], seconds: float
) -> list[Any]:
    try:
        answers: list[Any] = consumer.committed(
            [TopicPartition(p.topic, p.partition) for p in partitions], seconds
        )
    except KafkaException as exception:
        raise _not_yet(error_of(exception), group) from exception
    for answer in answers:
        if answer.error is not None:
            raise _not_yet(answer.error, group)
    return answers


def _not_yet(error: KafkaError, group: str) -> Exception:
    if error.fatal():
        return mapped(error, f"committed offsets of group {group}")
    return NotYetError(f"committed offsets of group {group}: {error.str()}")


def to_message(record: Any) -> Message:
    """Return a record as the runner knows it."""
    headers = record.headers()
    return Message(
        record.topic(),
        record.partition(),
        record.offset(),
        record.key(),
        record.value(),
        max(record.timestamp()[1], 0),
        tuple((name, value or b"") for name, value in headers) if headers else (),
    )


def _plain(partitions: list[Any]) -> list[Partition]:
    return [Partition(p.topic, p.partition) for p in partitions]
