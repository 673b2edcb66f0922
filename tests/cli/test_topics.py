"""Plan, create, verify."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.memory import MemoryBus
from tests.cli.conftest import Call


def test_plan_needs_no_kafka(call: Call) -> None:
    """Eight topics; the alerts' own among them, for it is in our cluster."""
    result = call("topics", "plan")
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names[0] == "variables.alerts"
    assert set(names) >= {f"variables.{name}" for name in ("photometry", "changelog", "novelties")}


def test_alerts_elsewhere_are_not_planned(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The survey's topics are the survey's."""
    monkeypatch.setenv("BROKER_PLUGIN_SOURCE__BOOTSTRAP", "elsewhere:9092")
    assert "variables.alerts" not in call("topics", "plan").stdout


def test_retention_never_reaches_the_changelog(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old state is not garbage."""
    monkeypatch.setenv("BROKER_PLUGIN_TOPICS__RETENTION_HOURS", "1.5")
    lines = call("topics", "plan").stdout.splitlines()
    for line in lines:
        assert ("retention.ms=5400000" in line.split()) is ("cleanup.policy=compact" not in line), line
    assert any("changelog" in line and "cleanup.policy=compact" in line for line in lines)


def test_create_then_verify(call: Call, bus: MemoryBus) -> None:
    """Missing topics are named with the cure, created, and found right; a second create changes nothing."""
    before = call("topics", "verify")
    assert before.exit_code == 5
    assert "topic variables.photometry does not exist: run 'broker-plugin topics create'" in before.stderr
    created = call("topics", "create")
    assert created.exit_code == 0
    assert "created variables.changelog" in created.stdout
    assert call("topics", "verify").exit_code == 0
    assert "all topics exist already" in call("topics", "create").stdout


def test_wrong_partition_count(call: Call, bus: MemoryBus, tmp_path: Path) -> None:
    """What was found and what was expected, in one line."""
    bus.create_topics([TopicSpec("variables.photometry", 3)])
    call("topics", "create")
    result = call("topics", "verify")
    assert result.exit_code == 5
    assert "topic variables.photometry has 3 partitions, expected 8" in result.stderr
