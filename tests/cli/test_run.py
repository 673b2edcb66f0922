"""Stages hosted in a process: the way in, the metrics, the way out."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from urllib.request import urlopen

import pytest

from broker_plugin.app import endpoints
from broker_plugin.metrics import MetricsServer
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.topics import create_missing, plan_topics
from tests.cli.conftest import Call


def test_topics_are_missing(call: Call, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """All stages end, exit code 5, the cure in the message."""
    monkeypatch.setenv("BROKER_PLUGIN_METRICS__PORT", "0")
    result = call("run", "--stages", "ingest,accumulate")
    assert result.exit_code == 5
    assert "run 'broker-plugin topics create'" in result.stderr


@pytest.mark.parametrize("stages", ["ingest", "accumulate"])
def test_partitions_are_not_as_configured(
    call: Call, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch, stages: str
) -> None:
    """Somebody added partitions to photometry and changelog alike: objects would leave their state behind."""
    create_missing(bus, [TopicSpec("variables.alerts", 1), *plan_topics("variables", 6)])
    monkeypatch.setenv("BROKER_PLUGIN_TOPICS__PARTITIONS", "4")
    result = call("run", "--stages", stages)
    assert result.exit_code == 5
    assert "topic variables.photometry has 6 partitions, expected 4 (topics.partitions)" in result.stderr


def test_stopped_by_a_signal(call: Call, bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged packet is consumed and counted at /metrics; SIGTERM ends the process with exit code 0."""
    create_missing(bus, [TopicSpec("variables.alerts", 1), *plan_topics("variables", 2)])
    monkeypatch.setenv("BROKER_PLUGIN_TOPICS__PARTITIONS", "2")
    producer = bus.producer()
    producer.send(Output("variables.alerts", None, b"no packet"))
    producer.flush()
    servers: list[MetricsServer] = []

    class Remembered(MetricsServer):
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed through
            servers.append(self)

    monkeypatch.setattr(endpoints, "MetricsServer", Remembered)
    monkeypatch.setenv("BROKER_PLUGIN_METRICS__PORT", "0")
    monkeypatch.setenv("BROKER_PLUGIN_LOG__FORMAT", "json")
    before = signal.getsignal(signal.SIGTERM)
    pages: list[str] = []

    def scrape_then_stop() -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not any("dead_letters_total{" in page for page in pages):
            time.sleep(0.05)
            if servers:
                with urlopen(f"http://127.0.0.1:{servers[0].port}/metrics", timeout=60) as answer:
                    pages.append(answer.read().decode())
        while signal.getsignal(signal.SIGTERM) is before:  # else the signal would end the tests
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    helper = threading.Thread(target=scrape_then_stop, daemon=True)
    helper.start()
    result = call("run", "--stages", "ingest,accumulate")
    helper.join()
    assert result.exit_code == 0
    assert 'broker_plugin_dead_letters_total{reason="' in pages[-1]
    assert 'broker_plugin_partitions_owned{stage="ingest"} 1.0' in pages[-1]
    # Normal running is quiet: the start and the end, nothing in between; the damaged packet is a count.
    told = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["message"].split()[0] for line in told] == ["running", "stopped:"]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in told)
