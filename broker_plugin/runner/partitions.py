"""The partitions that this worker owns: how they come, open, run and go.

    (assigned) --> OPENING --> RUNNING --> (revoked: closed clean)
                      ^  |         |
                      |  |         +-----> (lost: closed dirty)
                      +--+---------+       (local cache damaged: wiped, opened again)

A partition is paused until it runs. Records that arrive for one that does not run are dropped: opening ends
with a seek to the committed offset, so they come again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace

from broker_plugin.errors import ConfigurationError
from broker_plugin.runner.bus import Consumer
from broker_plugin.runner.crash import crash_point
from broker_plugin.runner.expiry import Expiry
from broker_plugin.runner.opening import Restorer, committed_offset
from broker_plugin.runner.protocols import Message, Partition, Stage
from broker_plugin.runner.sensor import Sensor
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import CacheStamp, LocalStateError, LocalStore
from broker_plugin.runner.topics import refuse_new

logger = logging.getLogger(__name__)

_MAX_DAMAGES = 3

_Opening = Generator[None, None, tuple[LocalStore | None, int | None]]


@dataclass(slots=True)
class _Owned:
    """One partition; ``opening`` is None once it runs."""

    partition: Partition
    opening: _Opening | None
    store: LocalStore | None = None
    next_offset: int = 0  # nothing below is taken again
    damages: int = 0  # of the local cache in a row, without a batch written to it in between


class PartitionTable:
    """Owns the local stores; is the consumer's rebalance listener.

    Parameters
    ----------
    expiry : Expiry
    counts : mapping of str to int
        How many partitions each input topic had at the start.
    """

    def __init__(
        self,
        stage: Stage,
        restorer: Restorer | None,
        sensor: Sensor,
        settings: RunnerSettings,
        clock: Clock,
        *,
        expiry: Expiry,
        counts: Mapping[str, int | None],
    ) -> None:
        self._expiry = expiry
        self._counts = counts
        self._stage = stage
        self._restorer = restorer
        self._sensor = sensor
        self._settings = settings
        self._clock = clock
        self._owned: dict[Partition, _Owned] = {}
        self._stores: dict[int, LocalStore] = {}
        self._consumer: Consumer | None = None
        self._failure: Exception | None = None
        self.committed_state = CommittedState(self._stores)

    def attach(self, consumer: Consumer) -> None:
        """Say which consumer speaks to this listener; before its first poll."""
        self._consumer = consumer

    # Inside poll: nothing may be raised here, so a failure waits for check().

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """Take partitions over, paused."""
        self._guard(lambda: self._assign(partitions))

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Give partitions away; no batch is in flight, since polls happen between batches only."""
        crash_point(self._stage.name, "in_revoke")
        self._guard(lambda: self._release(partitions, clean=True))

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """Drop partitions that are somebody else's by now."""
        self._guard(lambda: self._release(partitions, clean=False))

    # Between polls.

    def check(self) -> None:
        """Raise what went wrong in a rebalance callback."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    @property
    def opening(self) -> bool:
        """Return whether a partition is still being opened."""
        return any(owned.opening is not None for owned in self._owned.values())

    @property
    def running(self) -> list[Partition]:
        """Return the partitions whose records are taken."""
        return [owned.partition for owned in self._owned.values() if owned.opening is None]

    def work_on_opening(self) -> None:
        """Do one bounded step for the first partition that does not run yet."""
        for owned in self._owned.values():
            if owned.opening is not None:
                try:
                    next(owned.opening)
                except StopIteration as finished:
                    self._run(owned, *finished.value)
                return

    def take(self, messages: Sequence[Message]) -> list[Message]:
        """Return the records of a poll that are ours to process."""
        taken: list[Message] = []
        # A bare tuple, equal to the Partition: it is made for every record.
        owners: dict[tuple[str, int], _Owned | None] = {}
        expected: dict[tuple[str, int], int] = {}
        for message in messages:
            place = (message.topic, message.partition)
            if place not in owners:
                found = self._owned.get(Partition(*place))
                owners[place] = None if found is None or found.opening is not None else found
            owned = owners[place]
            if owned is not None and message.offset >= owned.next_offset:
                before = expected.get(place, owned.next_offset)
                if before != message.offset:
                    self._expiry.look_after_gap(owned.partition, before, message.offset)
                expected[place] = message.offset + 1
                taken.append(message)
        return taken

    def seek_back(self, batch: Sequence[Message]) -> None:
        """Make the records of a batch that was not committed the next ones again."""
        first: dict[Partition, int] = {}
        for message in batch:
            first.setdefault(Partition(message.topic, message.partition), message.offset)
        for partition, offset in first.items():
            owned = self._owned.get(partition)
            if owned is not None and owned.opening is None:
                self._bound().seek(partition, offset)

    def advance(self, offsets: Mapping[Partition, int]) -> None:
        """Note what has been committed."""
        for partition, offset in offsets.items():
            self._owned[partition].next_offset = offset

    def write_cache(
        self,
        changes: Mapping[int, Mapping[bytes, bytes | None]],
        offsets: Mapping[Partition, int],
        written: Mapping[Partition, int],
    ) -> None:
        """Bring the local caches up to a batch that has been committed.

        Parameters
        ----------
        changes : mapping
            By partition, what the batch put.
        offsets : mapping of Partition to int
            The committed source positions.
        written : mapping of Partition to int
            The offset after the batch's last record in each partition of the changelog.
        """
        for partition, offset in offsets.items():
            store = self._stores.get(partition.partition)
            if store is None or self._restorer is None:
                continue
            try:
                stamp = store.stamp()
                assert stamp is not None, "a store that runs was stamped by its restore"
                positions = {**stamp.positions, partition.topic: offset}
                end = written[Partition(self._restorer.changelog_topic, partition.partition)]
                new = CacheStamp(stamp.identity, end, positions, self._clock.wall())
                store.apply(changes.get(partition.partition, {}), new)
                self._owned[partition].damages = 0
            except LocalStateError as error:
                self.reopen(error)

    def reopen(self, error: LocalStateError) -> None:
        """Wipe a damaged local cache and restore its partition from the changelog.

        Raises
        ------
        ConfigurationError
            That was done several times over, and it is damaged still.
        """
        for owned in list(self._owned.values()):
            if owned.partition.partition == error.partition and owned.store is not None:
                self._bound().pause([owned.partition])
                self._tell_closed(owned)
                self._open_anew(owned, error)

    def _open_anew(self, owned: _Owned, error: LocalStateError) -> None:
        logger.warning("%s", error)
        damages = owned.damages + 1
        if damages > _MAX_DAMAGES:
            raise _unusable(error)
        store = self._stores.pop(error.partition)
        try:
            store.wipe()
        except LocalStateError as again:
            logger.warning("%s", again)  # opening it will tell what is wrong
        store.close()
        opening = self._open(owned.partition)
        self._owned[owned.partition] = _Owned(owned.partition, opening, damages=damages)
        self._sensor.on_damage(self._stage.name, owned.partition)

    def tell_sizes(self) -> None:
        """Tell the sensor how large the local caches are."""
        for number, store in self._stores.items():
            n_bytes = store.size_bytes()
            if n_bytes is not None:
                self._sensor.on_state_bytes(self._stage.name, number, n_bytes)

    def pause_running(self) -> list[Partition]:
        """Pause what runs, for a back-off; return it for :meth:`resume`."""
        running = self.running
        self._bound().pause(running)
        return running

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Resume those that are still ours and run."""
        self._bound().resume([partition for partition in self.running if partition in set(partitions)])

    def close(self, *, clean: bool) -> None:
        """Release everything."""
        self._release(list(self._owned), clean=clean)

    # Details.

    def _bound(self) -> Consumer:
        assert self._consumer is not None, "attach() comes before the first poll"
        return self._consumer

    def _guard(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            logger.exception("rebalance of %s", self._stage.name)
            self._failure = self._failure or error

    def _assign(self, partitions: Sequence[Partition]) -> None:
        if partitions:
            crash_point(self._stage.name, "in_assign")
        self._bound().pause(partitions)
        if self._restorer is not None:
            refuse_new(partitions, self._counts)
        for partition in partitions:
            self._owned[partition] = _Owned(partition, self._open(partition))
        self._sensor.on_assigned(self._stage.name, partitions)

    def _open(self, partition: Partition) -> _Opening:
        """Make a partition ready, step by step."""
        if self._restorer is not None:
            try:
                return (yield from self._restorer.steps(partition, self._bound()))
            except LocalStateError as error:
                logger.warning("%s", error)
            try:
                return (yield from self._restorer.steps(partition, self._bound(), from_nothing=True))
            except LocalStateError as error:
                raise _unusable(error) from error
        stands = yield from committed_offset(partition, self._bound(), self._settings, self._clock)
        return None, stands

    def _run(self, owned: _Owned, store: LocalStore | None, stands: int | None) -> None:
        owned.opening = None
        owned.store = store
        if store is not None:
            self._stores[owned.partition.partition] = store
        if stands is None:
            owned.next_offset = self._expiry.first_offset(owned.partition)
        else:
            owned.next_offset = max(stands, self._expiry.look(owned.partition, stands))
            self._bound().seek(owned.partition, owned.next_offset)
        view = BatchState(self.committed_state)
        try:
            observations = list(self._stage.partition_opened(owned.partition.partition, view))
        except LocalStateError as error:
            self._open_anew(owned, error)
            return
        self._sensor.on_observations(self._stage.name, observations)
        self._bound().resume([owned.partition])
        self._sensor.on_opened(self._stage.name, owned.partition)

    def _release(self, partitions: Sequence[Partition], *, clean: bool) -> None:
        # A client that is closed names what it had once more: that was let go, and told, before.
        released = [partition for partition in partitions if partition in self._owned]
        for partition in released:
            owned = self._owned.pop(partition)
            try:
                self._release_one(owned, clean=clean)
            except Exception as error:  # the others must be released all the same
                logger.exception("closing %s/%d", partition.topic, partition.partition)
                self._failure = self._failure or error
        if released:
            self._sensor.on_revoked(self._stage.name, released)

    def _release_one(self, owned: _Owned, *, clean: bool) -> None:
        if owned.opening is not None:
            owned.opening.close()
            return
        try:
            self._tell_closed(owned)
        finally:
            if owned.store is not None:
                del self._stores[owned.partition.partition]
                if clean:
                    self._stamp_now(owned.store)
                owned.store.close()

    def _tell_closed(self, owned: _Owned) -> None:
        view = BatchState(self.committed_state)
        try:
            observations = list(self._stage.partition_closed(owned.partition.partition, view))
        except LocalStateError as error:
            logger.warning("%s; the gauges of partition %d stay behind", error, owned.partition.partition)
            return
        self._sensor.on_observations(self._stage.name, observations)

    def _stamp_now(self, store: LocalStore) -> None:
        """Note that the cache was at the changelog's end until now: idle days must not make it look old."""
        try:
            stamp = store.stamp()
            if stamp is not None:
                store.apply({}, replace(stamp, written_at=self._clock.wall()))
        except LocalStateError as error:
            logger.warning("%s", error)


def _unusable(error: LocalStateError) -> ConfigurationError:
    return ConfigurationError(
        f"the local state of partition {error.partition} cannot be used even after wiping it: "
        f"{error.detail}: make room or mend 'accumulate.state_directory'"
    )
