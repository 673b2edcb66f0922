"""Reads one partition of a Kafka topic to its true end, outside of any group."""

from __future__ import annotations

import logging
import time

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from broker_plugin.runner.kafka.consumer import to_message
from broker_plugin.runner.kafka.mapping import client_logger, error_of, mapped
from broker_plugin.runner.kafka.settings import KafkaSettings
from broker_plugin.runner.protocols import Message, Partition

logger = logging.getLogger(__name__)

_EOF = KafkaError._PARTITION_EOF  # noqa: SLF001
_SLICE_SECONDS = 0.05


class KafkaReader:
    """See :class:`broker_plugin.runner.bus.PartitionReader`.

    The client meets "the end" at the last stable offset, and once more each time that moves on; the
    position then stands behind control records and aborted ones, which no message would tell.
    """

    def __init__(self, settings: KafkaSettings, partition: Partition, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.position = start
        self._settings = settings
        self._partition = partition
        self._consumer: confluent_kafka.Consumer | None = None

    @property
    def done(self) -> bool:
        """Return whether the true end is reached."""
        return self.position >= self.end

    def read(self, max_records: int, timeout_seconds: float) -> list[Message]:
        """Return some records."""
        deadline = time.monotonic() + timeout_seconds
        found: list[Message] = []
        while not self.done and len(found) < max_records:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            found += self._read_slice(max_records - len(found), min(left, _SLICE_SECONDS))
        return found

    def close(self) -> None:
        """Let go of the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def _read_slice(self, max_records: int, timeout_seconds: float) -> list[Message]:
        if self._consumer is None:
            self._consumer = confluent_kafka.Consumer(self._settings.reader_options(), logger=client_logger)
            at = TopicPartition(self._partition.topic, self._partition.partition, self.start)
            self._consumer.assign([at])
        where = f"reading {self._partition.topic}/{self._partition.partition} at {self.position}"
        try:
            records = self._consumer.consume(max_records, timeout_seconds)
        except KafkaException as exception:
            raise mapped(error_of(exception), where) from exception
        found = []
        for record in records:
            error = record.error()
            if error is None:
                if record.offset() < self.end:
                    found.append(to_message(record))
                self.position = max(self.position, record.offset() + 1)
            elif error.code() == _EOF:
                self.position = max(self.position, record.offset())
            elif error.code() == KafkaError._AUTO_OFFSET_RESET or error.fatal():  # noqa: SLF001
                raise mapped(error, where)
            else:
                logger.warning("%s: %s", where, error.str())  # the client tries again by itself
        self.position = min(self.position, self.end)
        return found
