"""The bus under test: in process and real."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker_plugin.runner.bus import Bus
from broker_plugin.runner.kafka import KafkaBus
from broker_plugin.runner.memory import MemoryBus
from tests.conftest import kafka_settings

_OPEN_SECONDS = 120.0  # a transaction that a test leaves open stays open for as long as the test looks at it


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus(request: pytest.FixtureRequest) -> Bus:
    """Return each implementation of the bus in turn."""
    if request.param == "memory":
        return MemoryBus()
    settings = kafka_settings(request.getfixturevalue("kafka_bootstrap"))
    return KafkaBus(replace(settings, transaction_timeout_seconds=_OPEN_SECONDS))
