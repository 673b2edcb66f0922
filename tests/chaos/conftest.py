"""What attacks run on: an installation on the shared Kafka, and Kafkas of their own to be broken."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.harness import Installation
from tests.kafka_server import HOW_TO_PROVIDE, KafkaCluster, KafkaServer, java_version, kafka_jars


def own_jars() -> Path:
    """Return Kafka's jars; what is killed must be a process of ours, no container, nobody else's."""
    if java_version() < 17 or not shutil.which("mvn"):
        reason = f"an attack on the broker itself needs Java 17+ and Maven: {HOW_TO_PROVIDE}"
        if os.environ.get("BROKER_PLUGIN_REQUIRE_KAFKA") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return kafka_jars()


@pytest.fixture(autouse=True)
def _silent_client() -> None:
    """Keep the client's lines about brokers that we have killed ourselves out of the reports."""
    logging.getLogger("broker_plugin.runner.kafka.librdkafka").setLevel(logging.CRITICAL)


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """Yield one node that the test may do anything to."""
    with KafkaServer(own_jars(), tmp_path / "kafka") as server:
        yield server


@pytest.fixture
def second_kafka(tmp_path: Path) -> Iterator[KafkaServer]:
    """Yield one more, in another cluster."""
    with KafkaServer(own_jars(), tmp_path / "second-kafka") as server:
        yield server


@pytest.fixture
def three_brokers(tmp_path: Path) -> Iterator[KafkaCluster]:
    """Yield three nodes of one cluster; two of them must agree on every record."""
    with KafkaCluster(own_jars(), tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture
def installation(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> Iterator[Installation]:
    """Yield an installation on the shared Kafka, its topics created."""
    with Installation(kafka_bootstrap, prefix, tmp_path) as it:
        it.create_topics()
        yield it
