"""Follow a topic as a reader of committed records, without a place in our own consumer groups."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Generator, Sequence

from broker_plugin.errors import AbortableTransactionError, TopicError
from broker_plugin.runner.bus import Bus, Consumer, NotYetError
from broker_plugin.runner.placement import Placement
from broker_plugin.runner.protocols import Message, Partition

_POLL_SECONDS = 0.5  # how soon an interrupt is noticed
_POLL_RECORDS = 500


def follow(
    bus: Bus, topic: str, *, from_beginning: bool = False, group: str | None = None, stop_at_end: bool = False
) -> Generator[Message]:
    """Yield the committed records of a topic as they come, for ever.

    Parameters
    ----------
    bus : Bus
    topic : str
    from_beginning : bool
        Start with what the topic holds already instead of what comes next.
    group : str, optional
        Continue where this group stopped, and share the records with its other members. A record counts as
        done when the next one is asked for. Without it, everything is read and nothing remembered.
    stop_at_end : bool
        Return when everything was read once.

    Raises
    ------
    TopicError
        The topic does not exist.
    """
    if bus.partition_counts([topic])[topic] is None:
        msg = f"topic {topic} does not exist: run 'broker-plugin topics create', or mend prefix and topic"
        raise TopicError(msg)
    owned = Placement()
    consumer = bus.consumer(group or f"subscribe-{uuid.uuid4().hex}", [topic], owned)
    try:
        while True:
            # What a new partition delivers before it is placed is dropped: placing seeks.
            polled = consumer.poll(_POLL_RECORDS, _POLL_SECONDS)
            messages = [m for m in polled if Partition(m.topic, m.partition) in owned.placed]
            yield from messages
            if group is not None and messages:
                # Somebody else may own them by now, and reads them again: that is what a group promises.
                with contextlib.suppress(AbortableTransactionError):
                    consumer.commit({Partition(m.topic, m.partition): m.offset + 1 for m in messages})
            if owned.new:
                assigned = sorted(owned.new, key=lambda partition: partition.partition)
                remembers = group is not None
                try:
                    _place(bus, consumer, assigned, from_beginning=from_beginning, remembers=remembers)
                except NotYetError:  # its broker is busy: ask again after a poll, which keeps us a member
                    continue
                owned.placed.update(assigned)
                owned.new.clear()
            elif stop_at_end and not messages and consumer.at_end():
                return
    finally:
        consumer.close()


def _place(
    bus: Bus, consumer: Consumer, partitions: Sequence[Partition], *, from_beginning: bool, remembers: bool
) -> None:
    """Put each new partition where it is to be read from."""
    committed = consumer.committed(partitions) if remembers else {}
    for partition in partitions:
        first, end = bus.offsets(partition)
        offset = committed.get(partition)
        if offset is None:
            offset = first if from_beginning else end
        consumer.seek(partition, max(offset, first))
