"""A message bus inside this process: the offline mode, most tests, and the double for tests of others.

It behaves like Kafka where the runner can tell: partitions chosen by Kafka's hash, offsets with gaps where
transactions end, read_committed visibility, fencing by transactional id and by group generation, cooperative
rebalances, compaction. One contract suite holds it to the real broker. It is safe to use from many threads.

``fail_next`` and the ``expire_*`` methods make failures happen that a broker only shows on bad days.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from broker_plugin.errors import AbortableTransactionError, TopicError
from broker_plugin.runner.bus import LagListener, NotYetError, RebalanceListener, TopicSpec
from broker_plugin.runner.memory_clients import MemoryConsumer, MemoryProducer, MemoryReader, Transaction
from broker_plugin.runner.memory_group import Group, GroupMetadata
from broker_plugin.runner.memory_log import PartitionLog
from broker_plugin.runner.partitioner import partition_for
from broker_plugin.runner.protocols import Message, Output, Partition

Operation = Literal["poll", "committed", "init", "begin", "send", "send_offsets", "commit", "abort"]
"""Calls of consumer and producer that a test can make fail."""


@dataclass(slots=True)
class _Topic:
    spec: TopicSpec
    identity: str
    logs: list[PartitionLog]
    next_unkeyed: int = 0


@dataclass(slots=True)
class _Failure:
    error: BaseException
    times: int
    after: bool


@dataclass(slots=True)
class _TransactionalId:
    epoch: int = 0
    open: Transaction | None = None


@dataclass(slots=True)
class MemoryBus:
    """See :class:`broker_plugin.runner.bus.Bus`.

    Attributes
    ----------
    wall_clock : callable
        Seconds since 1970, for the records' timestamps.
    """

    wall_clock: Callable[[], float] = time.time
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))
    _cluster: str = field(default_factory=lambda: f"memory-{uuid.uuid4().hex}")
    _topics: dict[str, _Topic] = field(default_factory=dict)
    _groups: dict[str, Group] = field(default_factory=dict)
    _transactional_ids: dict[str, _TransactionalId] = field(default_factory=dict)
    _failures: dict[str, list[_Failure]] = field(default_factory=dict)

    # The Bus protocol.

    def consumer(
        self,
        group: str,
        topics: Sequence[str],
        listener: RebalanceListener,
        on_lag: LagListener | None = None,
    ) -> MemoryConsumer:
        """Join a group on some topics."""
        for topic in topics:
            self._topic(topic)
        return MemoryConsumer(self, self.group(group), topics, listener, on_lag)

    def producer(self, transactional_id: str | None = None) -> MemoryProducer:
        """Make a producer; without a transactional id it writes at once."""
        return MemoryProducer(self, transactional_id)

    def cluster_id(self) -> str:
        """Return a name that no other bus has."""
        return self._cluster

    def topic_id(self, topic: str) -> str:
        """Return an id that a topic created anew under the same name does not have."""
        return self._topic(topic).identity

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int | None]:
        """Return how many partitions each topic has, None for one that does not exist."""
        known = self._topics
        return {topic: len(known[topic].logs) if topic in known else None for topic in topics}

    def topic_config(self, topic: str) -> dict[str, str]:
        """Return a topic's settings, over Kafka's defaults for those that we read."""
        return {
            "cleanup.policy": "delete",
            "delete.retention.ms": "86400000",
            **self._topic(topic).spec.config,
        }

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create topics; those that exist are left as they are."""
        with self.changed:
            for spec in specs:
                if spec.name not in self._topics:
                    compacted = "compact" in spec.config.get("cleanup.policy", "delete")
                    logs = [PartitionLog(compacted=compacted) for _ in range(spec.partitions)]
                    self._topics[spec.name] = _Topic(spec, uuid.uuid4().hex, logs)

    def offsets(self, partition: Partition) -> tuple[int, int]:
        """Return the first offset and the true end offset of a partition."""
        with self.changed:
            log = self.log(partition)
            return log.start, log.end

    @property
    def address(self) -> str:
        """Return what no command can name."""
        return "in-process"

    def reader(self, partition: Partition, start_offset: int | None = None) -> MemoryReader:
        """Open a reader, at the first offset by default."""
        return MemoryReader(self, partition, start_offset)

    def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """Return a group's committed offsets without joining it."""
        with self.changed:
            known = self.group(group)
            if any(known.pending.get(partition) for partition in partitions):
                msg = f"offsets of group {group} wait for an open transaction"
                raise NotYetError(msg)
            return {partition: known.committed.get(partition) for partition in partitions}

    def notes(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, str]:
        """Return the notes that were committed with a group's offsets."""
        with self.changed:
            known = self.group(group)
            return {p: known.notes[p] for p in partitions if known.notes.get(p)}

    def delete_records(self, partition: Partition, before: int) -> None:
        """Forget the records of a partition below an offset."""
        with self.changed:
            log = self.log(partition)
            if before > log.end:
                msg = f"{partition.topic}/{partition.partition} ends at {log.end}, there is no {before}"
                raise TopicError(msg)
            log.truncate(before)

    # Bounded memory for long offline runs.

    def delete_consumed(self) -> None:
        """Forget the records that every group which ever committed on their partition has consumed."""
        with self.changed:
            groups = self._groups.values()
            for name, topic in self._topics.items():
                for number, log in enumerate(topic.logs):
                    partition = Partition(name, number)
                    stands = [g.committed[partition] for g in groups if partition in g.committed]
                    if stands:
                        log.truncate(min(stands))

    def compact(self, topic: str) -> None:
        """Compact every partition of a topic now; a compacted topic does so itself from time to time."""
        with self.changed:
            for log in self._topic(topic).logs:
                log.compact()

    # Failures on demand.

    def fail_next(
        self, operation: Operation, error: BaseException, *, times: int = 1, after: bool = False
    ) -> None:
        """Make the next calls of an operation raise; with ``after``, once they have taken effect."""
        with self.changed:
            self._failures.setdefault(operation, []).append(_Failure(error, times, after))

    def expire_members(self, group: str) -> None:
        """Throw every member out of a group, as the session timeout does to the dead and the hung."""
        with self.changed:
            known = self.group(group)
            for member in list(known.members.values()):
                known.leave(member)
            self.changed.notify_all()

    def expire_transactions(self) -> None:
        """Abort every open transaction and fence its producer, as the transaction timeout does."""
        with self.changed:
            for state in self._transactional_ids.values():
                if state.open is not None:
                    state.epoch += 1
                    self.finish(state.open, commit=False)

    def delete_topic(self, topic: str) -> None:
        """Delete a topic with all that is in it; committed offsets stay, as they do in Kafka for a while."""
        with self.changed:
            del self._topics[topic]

    # For the clients of this bus; the caller holds the lock.

    def injected(self, operation: Operation, *, after: bool = False) -> None:
        """Raise if a test asked for it."""
        queue = self._failures.get(operation)
        if queue and queue[0].after is after:
            queue[0].times -= 1
            error = queue[0].error
            if queue[0].times <= 0:
                queue.pop(0)
            raise error

    def group(self, name: str) -> Group:
        """Return a group, empty if it is new."""
        return self._groups.setdefault(name, Group(name))

    def transactional_id(self, name: str) -> _TransactionalId:
        """Return the coordinator's view of a transactional id."""
        return self._transactional_ids.setdefault(name, _TransactionalId())

    def log(self, partition: Partition) -> PartitionLog:
        """Return a partition's log."""
        logs = self._topic(partition.topic).logs
        if not 0 <= partition.partition < len(logs):
            msg = f"topic {partition.topic} has {len(logs)} partitions, there is no {partition.partition}"
            raise TopicError(msg)
        return logs[partition.partition]

    def append(self, output: Output, transaction: Transaction | None) -> tuple[Partition, int]:
        """Append a record; return where it went."""
        topic = self._topic(output.topic)
        if output.partition is not None:
            number = output.partition
        elif output.key is not None:
            number = partition_for(output.key, len(topic.logs))
        else:
            number = topic.next_unkeyed = (topic.next_unkeyed + 1) % len(topic.logs)
        log = self.log(Partition(output.topic, number))
        offset = log.end
        now_ms = int(self.wall_clock() * 1000)
        log.append(
            Message(output.topic, number, offset, output.key, output.value, now_ms, output.headers),
            transaction,
        )
        return Partition(output.topic, number), offset

    def finish(self, transaction: Transaction, *, commit: bool) -> None:
        """End a transaction everywhere at once."""
        for partition in transaction.ends:
            if partition.topic in self._topics:
                self.log(partition).finish(transaction, commit=commit)
        for name, offsets in transaction.offsets.items():
            group = self.group(name)
            for partition, offset in offsets.items():
                group.pending[partition].discard(transaction)
                if commit:
                    group.committed[partition] = offset
                    group.notes[partition] = transaction.note
        state = self.transactional_id(transaction.transactional_id)
        if state.open is transaction:
            state.open = None
        self.changed.notify_all()

    def add_offsets(
        self,
        transaction: Transaction,
        offsets: Mapping[Partition, int],
        metadata: GroupMetadata,
        note: str = "",
    ) -> None:
        """Put consumed positions into a transaction, if the group still knows their sender."""
        group = self.group(metadata.group)
        if not group.is_current(metadata):
            msg = (
                f"group {group.name} is at generation {group.generation}; offsets came from "
                f"{metadata.member} of generation {metadata.generation}"
            )
            raise AbortableTransactionError(msg)
        transaction.offsets.setdefault(group.name, {}).update(offsets)
        transaction.note = note
        for partition in offsets:
            group.pending.setdefault(partition, set()).add(transaction)

    def _topic(self, name: str) -> _Topic:
        topic = self._topics.get(name)
        if topic is None:
            msg = f"topic {name} does not exist: run 'broker-plugin topics create'"
            raise TopicError(msg)
        return topic
