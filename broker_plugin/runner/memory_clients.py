"""Consumer, producer and reader of the in-process bus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from broker_plugin.errors import AbortableTransactionError, FatalBusError, FencedError
from broker_plugin.runner.bus import LagListener, RebalanceListener
from broker_plugin.runner.memory_group import Group, GroupMetadata, Member
from broker_plugin.runner.protocols import Message, Output, Partition

if TYPE_CHECKING:
    from broker_plugin.runner.memory import MemoryBus


@dataclass(eq=False, slots=True)
class Transaction:
    """An open transaction.

    Attributes
    ----------
    ends : dict of Partition to int
        Partitions written, with the offset after the last record.
    offsets : dict
        By group, the consumed positions sent.
    note : str
        What was sent with them.
    """

    transactional_id: str
    ends: dict[Partition, int] = field(default_factory=dict)
    offsets: dict[str, dict[Partition, int]] = field(default_factory=dict)
    note: str = ""


class MemoryConsumer:
    """See :class:`broker_plugin.runner.bus.Consumer`."""

    def __init__(
        self,
        bus: MemoryBus,
        group: Group,
        topics: Sequence[str],
        listener: RebalanceListener,
        on_lag: LagListener | None,
    ) -> None:
        self._bus = bus
        self._group = group
        self._topics = list(topics)
        self._listener = listener
        self._on_lag = on_lag
        self._positions: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._closed = False
        with bus.changed:
            self._member: Member = group.join(topics)
            bus.changed.notify_all()

    def poll(self, max_records: int, timeout_seconds: float) -> list[Message]:
        """Return what is there, waiting only while there is nothing."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._bus.changed:
                self._bus.injected("poll")
            rebalanced = self._follow_group()
            with self._bus.changed:
                messages = self._fetch(max_records)
                remaining = deadline - time.monotonic()
                if messages or rebalanced or remaining <= 0:
                    self._tell_lag()
                    return messages
                if self._member.generation == self._group.generation:
                    self._bus.changed.wait(remaining)

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Deliver no record of these partitions until they are resumed."""
        self._paused.update(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Deliver records of these partitions again."""
        self._paused.difference_update(partitions)

    def seek(self, partition: Partition, offset: int) -> None:
        """Make ``offset`` the next record of an owned partition."""
        if partition not in self._positions:
            msg = f"seek to {offset} of {partition.topic}/{partition.partition}, which is not assigned"
            raise FatalBusError(msg)
        self._positions[partition] = offset

    def group_metadata(self) -> GroupMetadata:
        """Return who we are in the group right now."""
        with self._bus.changed:
            if self._member.name not in self._group.members:
                msg = f"no member of group {self._group.name} now"
                raise AbortableTransactionError(msg)
            return GroupMetadata(self._group.name, self._member.name, self._member.generation)

    def committed(self, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """Return the group's committed offsets."""
        with self._bus.changed:
            self._bus.injected("committed")
            return self._bus.committed(self._group.name, partitions)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets outside of any transaction."""
        with self._bus.changed:
            if not self._group.is_current(self.group_metadata()):
                msg = f"group {self._group.name} has moved on to generation {self._group.generation}"
                raise AbortableTransactionError(msg)
            self._group.committed.update(offsets)

    def at_end(self) -> bool:
        """Return whether every owned partition was delivered to its true end."""
        with self._bus.changed:
            if (
                self._member.generation != self._group.generation
                or self._member.name not in self._group.members
            ):
                return False
            return bool(self._positions) and all(
                at >= self._bus.log(partition).end for partition, at in self._positions.items()
            )

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Leave the group."""
        if self._closed:
            return
        self._closed = True
        with self._bus.changed:
            still_member = self._member.name in self._group.members
        if self._positions:
            (self._listener.on_revoked if still_member else self._listener.on_lost)(
                _in_order(self._positions)
            )
        with self._bus.changed:
            self._positions.clear()
            self._group.leave(self._member)
            self._bus.changed.notify_all()

    def _follow_group(self) -> bool:
        """Give up and take over partitions as the group wants it; return whether anything changed."""
        lost: list[Partition] = []
        with self._bus.changed:
            if self._member.name not in self._group.members:
                lost = _in_order(self._positions)
                self._forget(lost)
                self._member = self._group.join(self._topics)
                self._bus.changed.notify_all()
            elif self._member.generation == self._group.generation:
                return False
        if lost:
            self._listener.on_lost(lost)
        with self._bus.changed:
            revoked = _in_order(self._member.owned - self._target())
        if revoked:
            self._listener.on_revoked(revoked)
        with self._bus.changed:
            if revoked:
                self._forget(revoked)
                self._group.release(self._member, set(revoked))
                self._bus.changed.notify_all()
            assigned = _in_order(self._group.free(self._target()))
            self._member.owned.update(assigned)
            if self._member.owned <= self._target():  # else the group moved while we spoke to the listener
                self._member.generation = self._group.generation
            for partition in assigned:
                first = self._bus.log(partition).start
                self._positions[partition] = self._group.committed.get(partition, first)
        if assigned:
            self._listener.on_assigned(assigned)
        return bool(lost or revoked or assigned)

    def _target(self) -> set[Partition]:
        counts = self._bus.partition_counts(self._topics)
        known = {topic: count for topic, count in counts.items() if count is not None}
        return self._group.target(known).get(self._member.name, set())

    def _forget(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            del self._positions[partition]
            self._paused.discard(partition)

    def _fetch(self, max_records: int) -> list[Message]:
        found: list[Message] = []
        for partition in self._positions:
            if partition not in self._paused and len(found) < max_records:
                log = self._bus.log(partition)
                messages, position = log.fetch(self._positions[partition], max_records - len(found))
                found += messages
                self._positions[partition] = position
        if found:  # who was served first is served last next time
            first = next(iter(self._positions))
            self._positions[first] = self._positions.pop(first)
        return found

    def _tell_lag(self) -> None:
        if self._on_lag is not None:
            for partition in self._positions:
                log = self._bus.log(partition)
                stands = self._group.committed.get(partition, log.start)
                self._on_lag(partition.topic, partition.partition, max(0, log.stable_end - stands))


class MemoryProducer:
    """See :class:`broker_plugin.runner.bus.Producer`."""

    def __init__(self, bus: MemoryBus, transactional_id: str | None) -> None:
        self._bus = bus
        self._id = transactional_id
        self._epoch: int | None = None
        self._transaction: Transaction | None = None
        self._must_abort = False

    def init_transactions(self) -> None:
        """Fence every older producer of this transactional id and abort what it left open."""
        with self._bus.changed:
            self._bus.injected("init")
            state = self._bus.transactional_id(self._need_id())
            if state.open is not None:
                self._bus.finish(state.open, commit=False)
            state.epoch += 1
            self._epoch = state.epoch
            self._transaction = None

    def begin(self) -> None:
        """Begin a transaction."""
        with self._bus.changed:
            self._check_epoch()
            if self._transaction is not None:
                msg = f"transaction of {self._id} begun twice: commit or abort the first"
                raise FatalBusError(msg)
            self._bus.injected("begin")
            self._transaction = Transaction(self._need_id())
            self._bus.transactional_id(self._need_id()).open = self._transaction

    def send(self, output: Output) -> None:
        """Append a record, in the open transaction if we are transactional."""
        with self._bus.changed:
            transaction = None if self._id is None else self._current()
            self._inject("send")
            partition, offset = self._bus.append(output, transaction)
            if transaction is not None:
                transaction.ends[partition] = offset + 1
            else:
                self._bus.changed.notify_all()

    def send_offsets(self, offsets: Mapping[Partition, int], group_metadata: object, note: str = "") -> None:
        """Add consumed positions to the transaction, fenced by the group's generation."""
        assert isinstance(group_metadata, GroupMetadata)
        with self._bus.changed:
            transaction = self._current()
            self._inject("send_offsets")
            try:
                self._bus.add_offsets(transaction, offsets, group_metadata, note)
            except AbortableTransactionError:
                self._must_abort = True
                raise

    def commit(self) -> dict[Partition, int]:
        """Commit, and return the offset after the last record of each partition written."""
        with self._bus.changed:
            transaction = self._current()
            self._inject("commit")
            self._bus.finish(transaction, commit=True)
            self._transaction = None
            self._bus.injected("commit", after=True)
            return dict(transaction.ends)

    def abort(self) -> None:
        """Abort the transaction."""
        with self._bus.changed:
            self._check_epoch()
            self._bus.injected("abort")
            if self._transaction is not None:
                self._bus.finish(self._transaction, commit=False)
            self._transaction = None
            self._must_abort = False

    def flush(self) -> None:
        """Do nothing: records are written when they are sent."""

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Let go; an open transaction stays open, as that of a process that died."""

    def _need_id(self) -> str:
        if self._id is None:
            msg = "a producer without a transactional id has no transactions"
            raise FatalBusError(msg)
        return self._id

    def _check_epoch(self) -> None:
        current = self._bus.transactional_id(self._need_id()).epoch
        if self._epoch != current:
            msg = f"transactional id {self._id} is at epoch {current}, this producer at {self._epoch}: fenced"
            raise FencedError(msg)

    def _current(self) -> Transaction:
        self._check_epoch()
        if self._transaction is None:
            msg = f"no transaction of {self._id} is open"
            raise FatalBusError(msg)
        if self._must_abort:
            msg = f"the transaction of {self._id} has failed: abort it"
            raise AbortableTransactionError(msg)
        return self._transaction

    def _inject(self, operation: str) -> None:
        try:
            self._bus.injected(operation)  # type: ignore[arg-type]  # our callers name it
        except AbortableTransactionError:
            self._must_abort = True
            raise


class MemoryReader:
    """See :class:`broker_plugin.runner.bus.PartitionReader`."""

    def __init__(self, bus: MemoryBus, partition: Partition, start_offset: int | None) -> None:
        self._bus = bus
        self._partition = partition
        with bus.changed:
            log = bus.log(partition)
            self.start = log.start if start_offset is None else start_offset
            self.end = log.end
        self.position = self.start

    @property
    def done(self) -> bool:
        """Return whether the true end is reached."""
        return self.position >= self.end

    def read(self, max_records: int, timeout_seconds: float) -> list[Message]:
        """Return some records."""
        deadline = time.monotonic() + timeout_seconds
        with self._bus.changed:
            while not self.done:
                before = self.position
                found, position = self._bus.log(self._partition).fetch(before, max_records)
                found = [message for message in found if message.offset < self.end]
                self.position = min(position, self.end)
                remaining = deadline - time.monotonic()
                if found or self.position > before or remaining <= 0:
                    return found
                self._bus.changed.wait(remaining)
        return []

    def close(self) -> None:
        """Do nothing."""


def _in_order(partitions: Iterable[Partition]) -> list[Partition]:
    return sorted(partitions, key=lambda p: (p.topic, p.partition))
