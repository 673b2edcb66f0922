"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from tests.kafka_server import KafkaNotFoundError, provided_kafka

# A shared machine may take any time over one example, or over making it; what matters is what it finds.
settings.register_profile("project", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """Address of a real Kafka, started once; without one the test skips, or fails where that is demanded."""
    with ExitStack() as stack:
        try:
            address = stack.enter_context(provided_kafka())
        except KafkaNotFoundError as error:
            if os.environ.get("BROKER_PLUGIN_REQUIRE_KAFKA") == "1":
                pytest.fail(f"BROKER_PLUGIN_REQUIRE_KAFKA=1, but {error}")
            pytest.skip(str(error))
        yield address


@pytest.fixture
def kafka_bus(kafka_bootstrap: str) -> KafkaBus:
    """Return a real cluster, with clients quick enough for tests."""
    return KafkaBus(kafka_settings(kafka_bootstrap))


@pytest.fixture
def prefix() -> str:
    """Return a prefix that no other test uses: tests share the broker, never a topic or a group."""
    return f"t{uuid.uuid4().hex[:10]}"


def kafka_settings(bootstrap: str, session_seconds: float = 6.0) -> KafkaSettings:
    """Return settings under which a dead member or transaction is noticed within seconds."""
    session_ms = int(session_seconds * 1000)
    return KafkaSettings(
        bootstrap,
        consumer={"session.timeout.ms": session_ms, "heartbeat.interval.ms": 300, "fetch.wait.max.ms": 100},
        producer={"topic.metadata.propagation.max.ms": 1000},
        # Whoever does not answer at once is busy: no test has a wrong address here.
        connect_timeout_seconds=30.0,
        transaction_timeout_seconds=session_seconds - 0.5,
        statistics_seconds=0.5,
    )
