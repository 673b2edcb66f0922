"""The bus under test: in process and real."""

from __future__ import annotations

import pytest

from broker_plugin.runner.bus import Bus
from broker_plugin.runner.memory import MemoryBus


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def bus(request: pytest.FixtureRequest) -> Bus:
    """Return each implementation of the bus in turn."""
    if request.param == "memory":
        return MemoryBus()
    found: Bus = request.getfixturevalue("kafka_bus")
    return found
