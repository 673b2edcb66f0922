"""The client's binding may lose the error that it stops with; the runner must still learn what to do."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, KafkaException

from broker_plugin.errors import FatalBusError, FencedError
from broker_plugin.runner.kafka import KafkaSettings
from broker_plugin.runner.kafka.producer import KafkaProducer
from broker_plugin.runner.protocols import Partition


class LosingClient:
    """A producer whose flush fails as the binding's does after it has dropped a fatal error."""

    def __init__(self, refusal: KafkaError) -> None:
        self._refusal = refusal

    def flush(self, _seconds: float) -> int:
        raise SystemError("<method 'flush' of 'cimpl.Producer' objects> returned NULL without an exception")

    def begin_transaction(self) -> None:
        raise KafkaException(self._refusal)


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (KafkaError(KafkaError._FENCED, "fenced by a newer instance", fatal=True), FencedError),
        (KafkaError(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, "sequence", fatal=True), FatalBusError),
        (KafkaError(KafkaError._STATE, "a transaction is open"), FatalBusError),
    ],
    ids=["fenced", "fatal", "unknown"],
)
def test_lost_error_is_asked_for(refusal: KafkaError, expected: type[Exception]) -> None:
    """Two workers under one name: the one that is fenced while it flushes says so, and not SystemError."""
    producer = KafkaProducer(KafkaSettings("127.0.0.1:1"), "t.accumulate.a")
    client, producer._producer = producer._producer, LosingClient(refusal)
    try:
        with pytest.raises(expected):
            producer.send_offsets({Partition("t", 0): 1}, None)
    finally:
        producer._producer = client
        producer.close()
