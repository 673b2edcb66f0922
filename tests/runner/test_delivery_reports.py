"""What the broker says of records that it was sent: where they lie, or only that it has them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from broker_plugin.errors import AbortableTransactionError
from broker_plugin.runner.kafka import KafkaSettings
from broker_plugin.runner.kafka.producer import KafkaProducer
from broker_plugin.runner.protocols import Output, Partition


class Report:
    """A record that was delivered; None if the broker knew it already, and not where it lies."""

    def __init__(self, partition: int, offset: int | None) -> None:
        self._partition, self._offset = partition, offset

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int | None:
        return self._offset


class Client:
    """A client whose records are all delivered, with these reports."""

    def __init__(self, *reports: Report) -> None:
        self._left = list(reports)
        self._callbacks = []
        self.committed = False

    def produce(self, _topic, _value, _key, _partition, on_delivery, *, headers) -> None:
        self._callbacks.append(on_delivery)

    def flush(self, _seconds: float) -> int:
        while self._callbacks:
            self._callbacks.pop(0)(None, self._left.pop(0))
        return 0

    def begin_transaction(self) -> None: ...

    def commit_transaction(self, _seconds: float) -> None:
        self.committed = True


@pytest.fixture
def producer(request: pytest.FixtureRequest) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(KafkaSettings("127.0.0.1:1"), request.param)
    client = producer._producer
    yield producer
    producer._producer = client
    producer.close()


def send(producer: KafkaProducer, *reports: Report) -> Client:
    producer._producer = client = Client(*reports)
    if producer._id is not None:
        producer.begin()
    for _ in reports:
        producer.send(Output("t", b"k", b"v"))
    return client


@pytest.mark.parametrize("producer", [None], indirect=True)
def test_plain_records_need_no_offset(producer: KafkaProducer) -> None:
    """Written they are; nobody asks where."""
    send(producer, Report(0, 3), Report(0, None), Report(1, None))
    producer.flush()


@pytest.mark.parametrize("producer", ["t.accumulate.a"], indirect=True)
def test_a_later_offset_makes_up_for_it(producer: KafkaProducer) -> None:
    """The records of a partition lie in the order in which they were sent."""
    client = send(producer, Report(0, None), Report(1, 7), Report(0, 4))
    assert producer.commit() == {Partition("t", 0): 5, Partition("t", 1): 8}
    assert client.committed


@pytest.mark.parametrize("producer", ["t.accumulate.a"], indirect=True)
def test_transaction_whose_end_is_not_known_is_tried_anew(producer: KafkaProducer) -> None:
    """A local cache could not say up to where of the changelog it stands; the next one can."""
    client = send(producer, Report(0, 3), Report(0, None))
    with pytest.raises(AbortableTransactionError, match="where in t/0"):
        producer.commit()
    assert not client.committed
    client = send(producer, Report(0, 5))
    assert producer.commit() == {Partition("t", 0): 6}
