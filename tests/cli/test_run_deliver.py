"""``run`` with outputs: the stage that makes them, and what carries one away, until SIGTERM."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_plugin.app import delivery, live
from broker_plugin.config import load_config
from broker_plugin.records.codec import encode_classification
from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.topics import create_missing
from tests.cli.conftest import Call, stopped_when
from tests.filters.examples import annotation

TEXT = """
[metrics]
enabled = false
[outputs.here]
format = "json"
[outputs.there]
format = "hop"
target.bootstrap = "elsewhere:9092"
target.topic = "user.there"
"""


def test_deliver_until_told_to_stop(
    call: Call, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One annotation reaches our topic and the other cluster's; exit code 0."""
    elsewhere = MemoryBus()
    elsewhere.create_topics([TopicSpec("user.there", 1)])
    monkeypatch.setattr(delivery, "KafkaBus", lambda _settings: elsewhere)
    path = tmp_path / "c.toml"
    path.write_text(TEXT)
    create_missing(bus, live.wanted_topics(load_config(path, {})))
    producer = bus.producer()
    producer.send(Output("variables.classifications", b"k", encode_classification(annotation(), 0)))
    producer.flush()
    with stopped_when(lambda: bool(list(read_topic(elsewhere, "user.there")))):
        result = call("run", "--stages", "deliver", "--config", path)
    assert result.exit_code == 0, result.stderr
    assert "running deliver, forward-there" in result.stderr
    (here,) = read_topic(bus, "variables.output.here")
    (there,) = read_topic(elsewhere, "user.there")
    assert there.value == here.value
    assert dict(there.headers)["_format"] == b"json"


def test_deliver_without_outputs(call: Call, bus: MemoryBus) -> None:
    """Exit code 2: a stage that could never do anything was asked for."""
    result = call("run", "--stages", "deliver")
    assert result.exit_code == 2
    assert "has no [outputs.<name>]" in result.stderr
