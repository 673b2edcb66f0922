"""The commands as an operator types them, against a real Kafka."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import fastavro
import pytest

from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import demo_settings
from tests.chaos.counters import free_port
from tests.chaos.harness import Installation as Watched

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1200)]

PATIENCE_SECONDS = 240
PARTITIONS = 3


class Installation:
    """One configuration by environment, and the commands under it."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self._port = free_port()
        self.environment = os.environ | {
            "BROKER_PLUGIN_PREFIX": prefix,
            "BROKER_PLUGIN_KAFKA__BOOTSTRAP": bootstrap,
            "BROKER_PLUGIN_TOPICS__PARTITIONS": str(PARTITIONS),
            "BROKER_PLUGIN_ACCUMULATE__STATE_DIRECTORY": str(folder / "state"),
            "BROKER_PLUGIN_METRICS__PORT": str(self._port),
        }

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "broker_plugin", *words]

    def __call__(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def metric(self, start: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start))


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} does not happen"
        time.sleep(0.5)


def test_from_topics_to_annotations_and_a_clean_stop(kafka_bootstrap, prefix, tmp_path) -> None:
    """Create topics, run, replay, watch the metrics, subscribe, stop, audit: what the README says."""
    settings = replace(demo_settings(seed=5), n_objects=8, bands=("r",))
    simulated = simulate(settings, tmp_path / "nights", None)
    installation = Installation(kafka_bootstrap, prefix, tmp_path)

    assert "created" in installation("topics", "create")
    assert "as configured" in installation("topics", "verify")
    log = tmp_path / "worker.log"  # a file is never full as a pipe is that nobody reads
    with log.open("w") as stream:
        worker = subprocess.Popen(installation.command("run"), env=installation.environment, stderr=stream)
    try:
        installation("replay", str(tmp_path / "nights"), "--topic", f"{prefix}.alerts")

        def balanced() -> bool:
            assert worker.poll() is None, log.read_text()
            consumed = installation.metric("broker_plugin_alerts_consumed_total")
            lag = installation.metric("broker_plugin_consumer_lag")
            emitted = installation.metric("broker_plugin_windows_emitted_total")
            annotated = installation.metric("broker_plugin_annotations_total")
            return consumed >= simulated.alerts and lag == 0 and annotated == emitted > 0

        wait_until(lambda: _answers(installation), "an answer of /metrics")
        # By the committed offsets: the lag in the metrics is that of some seconds ago.
        watched = Watched(kafka_bootstrap, prefix, tmp_path, partitions=PARTITIONS)
        watched.wait_until_idle("ingest", "accumulate", "score", seconds=PATIENCE_SECONDS)
        wait_until(balanced, "the end of the backlog in the metrics")
        held = installation.metric('broker_plugin_objects{state="ready"}')
        worker.send_signal(signal.SIGTERM)
        worker.wait(PATIENCE_SECONDS)
    finally:
        worker.kill()
        worker.wait()
    errors = log.read_text()
    assert worker.returncode == 0, errors
    assert "Traceback" not in errors

    shown = installation(
        "subscribe", "--topic", "classifications", "--from-beginning", "--until-end", "--json"
    )
    annotations = [json.loads(line) for line in shown.splitlines()]
    assert {a["object_id"] for a in annotations} <= _objects(tmp_path / "nights" / "truth.csv")
    assert len({a["annotation_id"] for a in annotations}) == len(annotations) >= held > 0
    assert "all as they must be" in installation("audit")
    shown = installation("state", "show", annotations[0]["object_id"])
    assert "/200 ready" in shown
    assert shown == installation("state", "show", annotations[0]["object_id"], "--changelog")


def test_offline_replay_says_the_same_as_kafka(kafka_bootstrap, prefix, tmp_path) -> None:
    """The same archive without Kafka: the same annotations, but for the time they were made."""
    settings = replace(demo_settings(seed=6), n_objects=4, bands=("r",), out_of_order_fraction=0.0)
    simulate(settings, tmp_path / "nights", None)
    installation = Installation(kafka_bootstrap, prefix, tmp_path)
    installation.environment["BROKER_PLUGIN_TOPICS__PARTITIONS"] = "1"  # keeps the archive's order
    installation.environment["BROKER_PLUGIN_METRICS__ENABLED"] = "false"
    installation.environment["BROKER_PLUGIN_SCORE__PUBLISH"] = "all"  # more to compare
    installation("topics", "create")
    installation("replay", str(tmp_path / "nights"), "--topic", f"{prefix}.alerts")
    worker = subprocess.Popen(installation.command("run"), env=installation.environment)
    try:
        installation("replay", str(tmp_path / "nights"), "--to", str(tmp_path / "offline"))
        with (tmp_path / "offline" / "classifications.avro").open("rb") as stream:
            offline = {record["annotation_id"]: record for record in fastavro.reader(stream)}
        live: dict[str, dict] = {}

        def all_there() -> bool:
            words = ("--topic", "classifications", "--from-beginning", "--until-end", "--json")
            records = [json.loads(line) for line in installation("subscribe", *words).splitlines()]
            live.update({record["annotation_id"]: record for record in records})
            return len(live) >= len(offline)

        wait_until(all_there, "the last annotation")
    finally:
        worker.terminate()
        worker.wait(PATIENCE_SECONDS)

    assert live.keys() == offline.keys()
    assert len(live) > 4
    for name, record in offline.items():
        assert live[name]["probabilities"] == record["probabilities"]
        assert live[name]["energy"] == record["energy"]


def _answers(installation: Installation) -> bool:
    try:
        return installation.metric("broker_plugin_") >= 0
    except OSError:
        return False


def _objects(truth: Path) -> set[str]:
    return {line.split(",")[0] for line in truth.read_text().splitlines()[1:]}
