"""Bring a partition's local cache up to the committed changelog, in steps, and prove that it is right.

1 open the local cache
2 start at its stamp if that can be trusted, else wipe it and start at the beginning
3 read the changelog to its true end, applying every step atomically together with its stamp
4 ask for the group's committed offset, waiting for transactions that are still open
5 the changelog's last marker must name that offset; if it does not and the changelog has grown meanwhile, go
  on at 3; else, if the cache was not built from nothing, wipe it and start again at 2; else refuse

Between two steps the caller polls, so a long restore never costs the group membership.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import dataclass, replace

from broker_plugin.errors import FatalBusError, StateMismatchError
from broker_plugin.runner.bus import Bus, Consumer, NotYetError, PartitionReader
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.commands import CREATE_COMMAND, delete_group, delete_topic, move_group
from broker_plugin.runner.crash import crash_point
from broker_plugin.runner.protocols import Partition
from broker_plugin.runner.sensor import Sensor
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.store import CacheStamp, LocalStore, OpenStore

logger = logging.getLogger(__name__)


def committed_offset(
    source: Partition, consumer: Consumer, settings: RunnerSettings, clock: Clock
) -> Generator[None, None, int | None]:
    """Ask for a committed offset until the bus can tell; the generator's return value is the offset.

    Raises
    ------
    FatalBusError
        No answer within the settings' patience.
    """
    deadline = clock.monotonic() + settings.restore_patience_seconds
    while True:
        try:
            return consumer.committed([source])[source]
        except NotYetError as error:
            if clock.monotonic() > deadline:
                msg = f"no committed offset of {source.topic}/{source.partition}: {error}"
                raise FatalBusError(msg) from error
        yield


@dataclass(frozen=True, slots=True)
class Restorer:
    """What all restores of one stage have in common.

    Attributes
    ----------
    tombstone_seconds : float
        How long the changelog keeps its tombstones. A cache that was out of touch for longer may hold keys
        whose deletion it can no longer learn of.
    """

    stage: str
    changelog_topic: str
    group: str
    bus: Bus
    open_store: OpenStore
    sensor: Sensor
    settings: RunnerSettings
    clock: Clock
    identity: str
    tombstone_seconds: float

    def steps(
        self, source: Partition, consumer: Consumer, *, from_nothing: bool = False
    ) -> Generator[None, None, tuple[LocalStore, int | None]]:
        """Restore step by step; the generator's return value is the open store and the committed offset.

        With ``from_nothing``, the local cache is wiped first.

        Raises
        ------
        StateMismatchError
            The changelog does not stand where the group stands, or it has lost its beginning.
        LocalStateError
            The local cache turned out to be damaged on the way.
        FatalBusError
            No progress for longer than the settings' patience.
        """
        self._prove_whole(source)
        store = self.open_store(source.partition)
        done = False
        try:
            usable = None if from_nothing else self._usable(store, source.partition)
            if usable is None:
                store.wipe()
            stamp, stands = yield from self._reach(store, source, consumer, usable)
            if stamp.positions.get(source.topic) != stands and usable is not None:
                logger.warning(
                    "local state of partition %d does not fit the group's offset; restoring it in full",
                    source.partition,
                )
                store.wipe()
                stamp, stands = yield from self._reach(store, source, consumer, None)
            self._prove(source, stamp, stands)
            crash_point(self.stage, "after_restore")
            done = True
            return store, stands
        finally:
            if not done:
                store.close()

    def _usable(self, store: LocalStore, partition: int) -> CacheStamp | None:
        """Return the cache's stamp if what it holds is a true earlier state of this very changelog."""
        stamp = store.stamp()
        if stamp is None:
            return None
        begin, end = self.bus.offsets(Partition(self.changelog_topic, partition))
        identity = self._identity(partition)
        age = self.clock.wall() - stamp.written_at
        if stamp.identity != identity:
            reason = f"it belongs to {stamp.identity}, not to {identity}"
        elif not begin <= stamp.offset <= end:
            reason = f"it stands at changelog offset {stamp.offset}, which has {begin} to {end}"
        elif not 0 <= age <= self.tombstone_seconds and stamp.offset < end:
            reason = f"it is {age:.0f} s old, deletions are kept for {self.tombstone_seconds:.0f} s"
        else:
            return stamp
        logger.warning("local state of partition %d is discarded: %s", partition, reason)
        return None

    def _reach(
        self, store: LocalStore, source: Partition, consumer: Consumer, stamp: CacheStamp | None
    ) -> Generator[None, None, tuple[CacheStamp, int | None]]:
        """Apply the changelog from a stamp on; return where it and the group stand, both of one moment."""
        changelog = Partition(self.changelog_topic, source.partition)
        while True:
            stamp = yield from self._catch_up(store, source.partition, stamp)
            stands = yield from committed_offset(source, consumer, self.settings, self.clock)
            if stamp.positions.get(source.topic) == stands or self.bus.offsets(changelog)[1] <= stamp.offset:
                return stamp, stands
            # While this process slept, the partition had another owner, who went on. If it still has, a poll
            # will say so and end this restore.
            yield

    def _catch_up(
        self, store: LocalStore, partition: int, stamp: CacheStamp | None
    ) -> Generator[None, None, CacheStamp]:
        """Apply the changelog from a stamp on, or from its beginning, up to the true end."""
        changelog = Partition(self.changelog_topic, partition)
        reader = self.bus.reader(changelog, None if stamp is None else stamp.offset)
        try:
            if stamp is None:
                stamp = CacheStamp(self._identity(partition), reader.start)
            last_progress = self.clock.monotonic()
            while not reader.done:
                before = reader.position
                stamp = self._apply_step(store, reader, stamp)
                crash_point(self.stage, "during_restore")
                now = self.clock.monotonic()
                if reader.position > before:
                    last_progress = now
                elif now - last_progress > self.settings.restore_patience_seconds:
                    msg = (
                        f"changelog {changelog.topic}/{partition}: nothing more to read at offset "
                        f"{reader.position} of {reader.end} for {now - last_progress:.0f} s: a transaction "
                        "is open there; joining the group anew"
                    )
                    raise FatalBusError(msg)
                self._tell(reader, partition)
                yield
            stamp = replace(stamp, offset=reader.position, written_at=self.clock.wall())
            store.apply({}, stamp)
            self._tell(reader, partition)
            return stamp
        finally:
            reader.close()

    def _apply_step(self, store: LocalStore, reader: PartitionReader, stamp: CacheStamp) -> CacheStamp:
        messages = reader.read(self.settings.restore_step_records, self.settings.restore_step_seconds)
        changes, positions = replay_records(messages, stamp.positions)
        # The age of a cache counts from when it was last at the end: a half-done restore keeps the old age.
        written_at = stamp.written_at or self.clock.wall()
        stamp = replace(stamp, offset=reader.position, positions=positions, written_at=written_at)
        store.apply(changes, stamp)
        return stamp

    def _prove_whole(self, source: Partition) -> None:
        """Refuse a changelog that has lost its beginning.

        Compaction leaves the first offset where it is; only a deletion moves it, of records that no later one
        replaces. The marker at the end would still fit, and so might this worker's own cache: the loss would
        show with the next owner that has to restore, or never.
        """
        begin, _ = self.bus.offsets(Partition(self.changelog_topic, source.partition))
        if begin > 0:
            msg = (
                f"changelog {self.changelog_topic}/{source.partition} begins at offset {begin}, expected 0: "
                "somebody deleted its records, or its cleanup.policy was not compact for a while. State is "
                f"lost. {self._rebuild(source)}"
            )
            raise StateMismatchError(msg)

    def _prove(self, source: Partition, stamp: CacheStamp, stands: int | None) -> None:
        position = stamp.positions.get(source.topic)
        if position == stands:
            return
        msg = (
            f"restored state of {self.changelog_topic}/{source.partition} stands at "
            f"{_offset_words(position)} of {source.topic}/{source.partition}, but group {self.group} has "
            f"committed {_offset_words(stands)}. Running on would lose or repeat records. "
            + self._cure(source, position, stands)
        )
        raise StateMismatchError(msg)

    def _cure(self, source: Partition, position: int | None, stands: int | None) -> str:
        """Return what to do, by which of the two numbers is missing."""
        if position is None:
            return (
                f"The changelog has no record of what group {self.group} has done: if the group or prefix is "
                f"another's, mend the setting; else its state is lost. {self._rebuild(source)}"
            )
        reset = move_group(self.bus.address, self.group, source.topic, source.partition, position)
        if stands is None:
            return (
                "If the group's offsets expired or were deleted, put them back with the group stopped: "
                f"{reset}"
            )
        return (
            f"If somebody moved the group's offsets, put them back with the group stopped: {reset}; if two "
            "installations share a prefix, give each its own."
        )

    def _rebuild(self, source: Partition) -> str:
        """Return how to begin again from the input: only a group without offsets may have no state."""
        commands = [
            delete_topic(self.bus.address, self.changelog_topic),
            delete_group(self.bus.address, self.group),
            CREATE_COMMAND,
        ]
        return (
            f"To rebuild it from what {source.topic} still holds, stop all workers, then: "
            f"{'; '.join(commands)}; windows that were published before are published again under the same "
            "ids."
        )

    def _identity(self, partition: int) -> str:
        return f"{self.identity}/{partition}"

    def _tell(self, reader: PartitionReader, partition: int) -> None:
        done = min(reader.position, reader.end) - reader.start
        self.sensor.on_restore_progress(self.stage, partition, done, reader.end - reader.start)


def _offset_words(offset: int | None) -> str:
    return "no offset" if offset is None else f"offset {offset}"
