"""The lag that a consumer tells while its client has fetched as much as it may."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.kafka import KafkaBus
from broker_plugin.runner.protocols import Output, Partition
from tests.conftest import kafka_settings

pytestmark = pytest.mark.kafka

PATIENCE_SECONDS = 90


class Nobody:
    def on_assigned(self, partitions) -> None: ...
    def on_revoked(self, partitions) -> None: ...
    def on_lost(self, partitions) -> None: ...


def test_lag_grows_while_the_queue_is_full(kafka_bootstrap: str, prefix: str) -> None:
    """What was written after the client stopped fetching counts, too."""
    settings = kafka_settings(kafka_bootstrap)
    narrow = {**settings.consumer, "queued.max.messages.kbytes": 100, "fetch.message.max.bytes": 50_000}
    bus = KafkaBus(replace(settings, consumer=narrow))
    bus.create_topics([TopicSpec(prefix, 1)])
    producer = bus.producer()
    told: list[int] = []
    payload = random.Random(1)  # nothing that compression could make small
    read = 0
    consumer = bus.consumer(
        f"{prefix}.group", [prefix], Nobody(), lambda _topic, _partition, lag: told.append(lag)
    )
    try:
        for total in (1000, 3000):
            while bus.offsets(Partition(prefix, 0))[1] < total:
                for _ in range(500):
                    producer.send(Output(prefix, None, payload.randbytes(1000)))
                producer.flush()
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not told or told[-1] < 0.95 * total - read:
                assert time.monotonic() < deadline, f"of {total} records, the lag told was {told[-5:]}"
                read += len(consumer.poll(1, 0.2))
                time.sleep(0.1)  # a slow reader: the client's queue stays full
    finally:
        consumer.close()
        producer.close()


class Pausing(Nobody):
    """Takes no record, as a worker that restores its state, or waits for a rate."""

    def __init__(self) -> None:
        self.consumer = None

    def on_assigned(self, partitions) -> None:
        self.consumer.pause(partitions)


def test_lag_of_a_partition_that_has_delivered_nothing_yet(kafka_bus: KafkaBus, prefix: str) -> None:
    """It counts from the committed offset; where there is none, from the first record."""
    kafka_bus.create_topics([TopicSpec(prefix, 3)])
    group = f"{prefix}.group"
    producer = kafka_bus.producer()
    for number, count in enumerate([100, 40]):
        for _ in range(count):
            producer.send(Output(prefix, None, b"v", partition=number))
    producer.flush()
    producer.close()
    before = kafka_bus.consumer(group, [prefix], Nobody())
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not before.at_end():
        assert time.monotonic() < deadline
        before.poll(100, 0.2)
    before.commit({Partition(prefix, 0): 30})
    before.close()

    told: dict[int, int] = {}
    pausing = Pausing()
    pausing.consumer = consumer = kafka_bus.consumer(
        group, [prefix], pausing, lambda _topic, partition, lag: told.update({partition: lag})
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while told != {0: 70, 1: 40, 2: 0}:
            assert time.monotonic() < deadline, f"lag told by partition: {told}"
            assert consumer.poll(10, 0.2) == []
    finally:
        consumer.close()
