"""One secured Kafka for all tests of this folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka_server import HOW_TO_PROVIDE, KafkaNotFoundError, java_version, kafka_jars
from tests.secured_kafka import SecuredKafka


@pytest.fixture(scope="package")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Return the broker; it needs Java and Maven, since nobody else's broker has our certificates."""
    try:
        if java_version() < 17:
            raise KafkaNotFoundError(HOW_TO_PROVIDE)
        libs = kafka_jars()
    except KafkaNotFoundError as error:
        if os.environ.get("BROKER_PLUGIN_REQUIRE_KAFKA") == "1":
            pytest.fail(f"BROKER_PLUGIN_REQUIRE_KAFKA=1, but {error}")
        pytest.skip(str(error))
    with SecuredKafka(libs, Path(tmp_path_factory.mktemp("secured"))) as kafka:
        yield kafka
