"""What the runner needs of a message bus: the contract that Kafka and the in-process bus both keep.

The words are Kafka's. Every call has a deadline of its own inside the implementation. Errors are those of
:mod:`broker_plugin.errors`, named after their cure, and :class:`NotYetError` here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from broker_plugin.errors import BrokerPluginError, TopicError
from broker_plugin.runner.protocols import Message, Output, Partition

LagListener = Callable[[str, int, int], None]
"""Called with topic, partition, lag in records; on the polling thread."""


class NotYetError(BrokerPluginError):
    """The bus cannot answer yet, for instance while a dead owner's transaction is open: ask again later."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be.

    Attributes
    ----------
    name : str
    partitions : int
    config : mapping of str to str
        Topic settings by Kafka's names, for instance ``cleanup.policy``.
    replication : int or None
        Copies of each partition; None takes the cluster's default.
    """

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    replication: int | None = None


class RebalanceListener(Protocol):
    """Told of partitions that come and go, always from inside ``Consumer.poll`` or ``Consumer.close``.

    The protocol is incremental (cooperative): only what changes is named. No method may raise: an exception
    inside a client's callback would lose the records that were polled with it.
    """

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """Partitions were added, or none were and the group was joined.

        They are paused before the first of their records can be polled.
        """

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Partitions are about to be given away; they are still ours until this returns."""

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """Partitions went to somebody else some time ago; nothing may be committed for them."""


class Consumer(Protocol):
    """A member of a consumer group that reads committed records only."""

    def poll(self, max_records: int, timeout_seconds: float) -> list[Message]:
        """Return up to ``max_records`` records, waiting no longer than the timeout for them.

        Serves rebalances. Records of one partition come in offset order.

        Raises
        ------
        FencedError, FatalBusError, TopicError
        """

    def pause(self, partitions: Sequence[Partition]) -> None:
        """Deliver no record of these owned partitions until they are resumed."""

    def resume(self, partitions: Sequence[Partition]) -> None:
        """Deliver records of these owned partitions again."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Make ``offset`` the next record of an owned partition; nothing read ahead before is delivered."""

    def group_metadata(self) -> object:
        """Return who we are in the group right now: member and generation, for ``Producer.send_offsets``.

        Raises
        ------
        AbortableTransactionError
            We are no member now. Without this check a broker would take the offsets of a nobody unfenced.
        """

    def committed(self, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """Return the group's committed offsets, None where there are none, waiting for open transactions.

        Raises
        ------
        NotYetError
            An open transaction holds them back, or no answer came in time.
        """

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets outside of any transaction: only for a source in a foreign cluster.

        Raises
        ------
        AbortableTransactionError
            The group has moved on; the records will be read again by their new owner.
        """

    def at_end(self) -> bool:
        """Return whether partitions are owned and every one was delivered to its true end.

        A member that owns none cannot tell: it may be waiting for what a dead one still holds.
        """

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Leave the group. Never raises; may be called twice."""


class Producer(Protocol):
    """A writer of records; with a transactional id, of transactions.

    After :class:`~broker_plugin.errors.FencedError` or :class:`~broker_plugin.errors.FatalBusError` only
    :meth:`close` may follow; after :class:`~broker_plugin.errors.AbortableTransactionError` :meth:`abort`.
    """

    def init_transactions(self) -> None:
        """Fence every older producer of this transactional id and abort what it left open."""

    def begin(self) -> None:
        """Begin a transaction."""

    def send(self, output: Output) -> None:
        """Queue a record; its failure shows here or in any later call up to :meth:`commit`."""

    def send_offsets(self, offsets: Mapping[Partition, int], group_metadata: object, note: str = "") -> None:
        """Flush, then add consumed positions to the transaction, fenced by the group's generation.

        ``note`` is kept with them, see :meth:`Bus.notes`.
        """

    def commit(self) -> dict[Partition, int]:
        """Commit, and return for each partition written the offset after its last record.

        Raises
        ------
        AbortableTransactionError
            Nothing was committed.
        FencedError, FatalBusError
            The outcome is unknown: only the bus knows it, so start anew from what it has committed.
        """

    def abort(self) -> None:
        """Abort the transaction; what was queued is dropped."""

    def flush(self) -> None:
        """Wait until every record sent outside of transactions is written; raise if one is not."""

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Let go. Nothing is flushed. Never raises; may be called twice."""


class PartitionReader(Protocol):
    """Reads the committed records of one partition from a start to its true end.

    The end is the READ_UNCOMMITTED end offset at opening: while a dead owner's transaction is open, the
    last stable offset lies before records that are already decided (KAFKA-10167), so a reader bounded by it
    would call a changelog restored that is not.

    Attributes
    ----------
    start, end : int
        Offsets that bound the reading, ``start`` included, ``end`` excluded.
    position : int
        Everything below has been delivered, or is no record.
    """

    start: int
    end: int
    position: int

    @property
    def done(self) -> bool:
        """Return whether the true end is reached."""

    def read(self, max_records: int, timeout_seconds: float) -> list[Message]:
        """Return some records; none is no sign of the end, :attr:`done` is."""

    def close(self) -> None:
        """Let go of the connection."""


class Bus(Protocol):
    """Where records, groups and transactions live."""

    def consumer(
        self,
        group: str,
        topics: Sequence[str],
        listener: RebalanceListener,
        on_lag: LagListener | None = None,
    ) -> Consumer:
        """Join a group on some topics."""

    def producer(self, transactional_id: str | None = None) -> Producer:
        """Make a producer; without a transactional id it writes at once and has no transactions."""

    @property
    def address(self) -> str:
        """Return where it is, as an operator's command names it."""

    def cluster_id(self) -> str:
        """Return a name of the cluster that no other cluster has.

        Raises
        ------
        BrokerUnreachableError
        """

    def topic_id(self, topic: str) -> str:
        """Return an id that a topic created anew under the same name does not have."""

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int | None]:
        """Return how many partitions each topic has, None for one that does not exist."""

    def topic_config(self, topic: str) -> dict[str, str]:
        """Return a topic's settings by Kafka's names."""

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create topics and wait until they can be used; those that exist are left as they are."""

    def offsets(self, partition: Partition) -> tuple[int, int]:
        """Return the first offset and the true (READ_UNCOMMITTED) end offset of a partition."""

    def reader(self, partition: Partition, start_offset: int | None = None) -> PartitionReader:
        """Open a reader, at the first offset by default."""

    def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """Return a group's committed offsets without joining it."""

    def notes(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, str]:
        """Return the notes that were last committed with a group's offsets, where there are any.

        Does not wait for open transactions.

        Raises
        ------
        BrokerUnreachableError
            No answer came in time.
        """

    def delete_records(self, partition: Partition, before: int) -> None:
        """Delete the records of a partition below an offset, for everybody and for good.

        Raises
        ------
        TopicError
            The topic may not lose records, or the offset lies beyond its end.
        """


def read_partition(
    bus: Bus, topic: str, partition: int, start_offset: int | None = None, timeout_seconds: float = 60.0
) -> Iterator[Message]:
    """Yield the committed records of one partition, from a start to its true end.

    Raises
    ------
    NotYetError
        The timeout passed without a record while the end was not reached: a transaction is open.
    """
    reader = bus.reader(Partition(topic, partition), start_offset)
    try:
        while not reader.done:
            messages = reader.read(10_000, timeout_seconds)
            if not messages and not reader.done:
                msg = (
                    f"{topic}/{partition}: read to offset {reader.position} of {reader.end}, then nothing "
                    f"for {timeout_seconds:g} s: a transaction is open there; try again when it has timed out"
                )
                raise NotYetError(msg)
            yield from messages
    finally:
        reader.close()


def read_topic(bus: Bus, topic: str, timeout_seconds: float = 60.0) -> Iterator[Message]:
    """Yield the committed records of all partitions of a topic, one partition after the other."""
    partitions = bus.partition_counts([topic])[topic]
    if partitions is None:
        msg = f"topic {topic} does not exist: run 'broker-plugin topics create'"
        raise TopicError(msg)
    for partition in range(partitions):
        yield from read_partition(bus, topic, partition, timeout_seconds=timeout_seconds)
