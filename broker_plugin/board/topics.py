"""The feed from Kafka: committed records of our topics, at offsets that the store itself keeps.

No consumer group holds the position: records and offsets are one SQLite transaction, so nothing is lost or
counted twice, whatever is killed when. The group that the client library wants is one of a random name,
without a committed offset; the broker forgets it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence

from broker_plugin.board import intake, store
from broker_plugin.board.labels import add_label, mark_published, unpublished
from broker_plugin.board.store import Store
from broker_plugin.errors import TopicError
from broker_plugin.records import schemas
from broker_plugin.records.codec import decode_window
from broker_plugin.records.label import decode_label, encode_label
from broker_plugin.runner.bus import Bus, Consumer
from broker_plugin.runner.placement import Placement
from broker_plugin.runner.protocols import Message, Output, Partition

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5  # how soon a stop is noticed, and a label published
_POLL_RECORDS = 500  # records in one transaction of the store: a reader waits for none of them
_FORGET_EVERY_SECONDS = 3600.0

Reader = Callable[[sqlite3.Connection, bytes], object]


class TopicFeed:
    """Follows annotations, windows and labels; publishes the labels given here.

    Parameters
    ----------
    bus : Bus
    board_store : Store
    prefix : str
        Of the topics.
    with_windows : bool
        Read the windows of all light curves, not only those that come with novelties: 4 kB each.
    publish_labels : bool
    keep_days : float, optional
        Forget what was annotated longer ago and has no label.
    clock : callable
        Seconds since 1970.
    """

    def __init__(
        self,
        bus: Bus,
        board_store: Store,
        prefix: str,
        *,
        with_windows: bool = False,
        publish_labels: bool = True,
        keep_days: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._store = board_store
        self._labels_topic = f"{prefix}.labels"
        self._readers: dict[str, Reader] = {
            f"{prefix}.classifications": _annotation_reader("classification"),
            f"{prefix}.novelties": _annotation_reader("novelty"),
        }
        if with_windows:
            self._readers[f"{prefix}.lightcurves"] = lambda to, data: intake.put_window(
                to, decode_window(data)
            )
        if publish_labels:
            self._readers[self._labels_topic] = lambda to, data: add_label(
                to, decode_label(data), published=True
            )
        self._publish = publish_labels
        self._keep_days = keep_days
        self._clock = clock
        self._forgot_at = 0.0
        self._prefix = prefix
        self.source = f"Kafka, topics {prefix}.*"

    def follow(self, stopping: threading.Event, on_caught_up: Callable[[bool], None]) -> None:
        """Read until told to stop; see :class:`broker_plugin.board.feed.Feed`.

        Raises
        ------
        TopicError
            A topic does not exist, or has lost records that were not read yet.
        BrokerUnreachableError, AccessError
        """
        topics = self._existing_topics()
        source = f"{self._bus.cluster_id()} {self._prefix}"
        store.claim(self._store, source)
        marks = {topic: self._bus.topic_id(topic) for topic in topics}
        owned = Placement()
        consumer = self._bus.consumer(f"{self._prefix}.board-{uuid.uuid4().hex}", topics, owned)
        try:
            while not stopping.is_set():
                # What a new partition delivers before it is placed is dropped: placing seeks.
                polled = consumer.poll(_POLL_RECORDS, _POLL_SECONDS)
                messages = [m for m in polled if Partition(m.topic, m.partition) in owned.placed]
                if messages:
                    on_caught_up(False)
                    self._take_in(messages, source, marks)
                if owned.new:
                    self._place(
                        consumer, sorted(owned.new, key=lambda p: (p.topic, p.partition)), source, marks
                    )
                    owned.placed.update(owned.new)
                    owned.new.clear()
                elif not messages and consumer.at_end():
                    on_caught_up(True)
                if self._publish:
                    self._publish_labels()
                self._forget()
        finally:
            consumer.close()

    def _existing_topics(self) -> list[str]:
        counts = self._bus.partition_counts(list(self._readers))
        missing = [topic for topic, partitions in counts.items() if partitions is None]
        if missing:
            msg = f"topic {missing[0]} does not exist: run 'broker-plugin topics create', or mend the prefix"
            raise TopicError(msg)
        return list(self._readers)

    def _place(
        self, consumer: Consumer, partitions: Sequence[Partition], source: str, marks: dict[str, str]
    ) -> None:
        """Put each partition where the store stopped, or at its beginning."""
        with self._store.reading() as connection:
            known = {p: store.next_position(connection, source, p.topic, p.partition) for p in partitions}
        for partition, position in known.items():
            first, _end = self._bus.offsets(partition)
            # A topic that was created anew under its name has another id: its offsets mean other records.
            same = position is not None and position[1] == marks[partition.topic]
            consumer.seek(partition, max(position[0], first) if position is not None and same else first)

    def _take_in(self, messages: Sequence[Message], source: str, marks: dict[str, str]) -> None:
        """Write records and positions, in one transaction."""
        with self._store.writing() as connection:
            for message in messages:
                try:
                    self._readers[message.topic](connection, message.value or b"")
                except intake.BAD_RECORD as error:
                    where = f"{message.topic}/{message.partition}/{message.offset}"
                    logger.warning("%s is skipped: %s", where, error)
            for partition, after in {(m.topic, m.partition): m.offset + 1 for m in messages}.items():
                topic, number = partition
                store.set_position(connection, source, topic, number, position=after, mark=marks[topic])

    def _publish_labels(self) -> None:
        """Send labels that no topic has, wait until they are written, then remember it.

        A crash in between sends some again: readers deduplicate by the label's id, which is the key.
        """
        with self._store.reading() as connection:
            labels = unpublished(connection, _POLL_RECORDS)
        if not labels:
            return
        producer = self._bus.producer()
        try:
            for label in labels:
                producer.send(Output(self._labels_topic, label.label_id.encode(), encode_label(label)))
            producer.flush()
        finally:
            producer.close()
        with self._store.writing(durable=True) as connection:
            mark_published(connection, labels)

    def _forget(self) -> None:
        if self._keep_days is None or self._clock() - self._forgot_at < _FORGET_EVERY_SECONDS:
            return
        self._forgot_at = self._clock()
        limit_ms = round((self._clock() - self._keep_days * 86400) * 1000)
        with self._store.writing() as connection:
            intake.forget_annotations(connection, limit_ms)


def _annotation_reader(kind: str) -> Reader:
    return lambda connection, data: intake.put_annotation(connection, schemas.decode(kind, data))
