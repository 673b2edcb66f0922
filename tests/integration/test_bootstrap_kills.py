"""SIGKILL to `bootstrap` on a real Kafka: every row loaded once, and state equal to the byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from broker_plugin.app.bootstrap import Bootstrap, Lane, LaneSettings
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.runner.bus import Bus, read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.topics import create_missing, plan_topics
from broker_plugin.stages.accumulate import AccumulateStage
from tests.app import test_bootstrap as offline
from tests.integration.pipeline import run_until_idle

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

ROWS = 16_000  # four chunks
KILLED = -signal.SIGKILL


def bootstrap(
    address: str, prefix: str, archive: Path, crash_point: str = "", max_lag: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the command as an operator does."""
    words = [
        "bootstrap",
        str(archive),
        "--format",
        "plain",
        "--time-scale",
        "bmjd-tdb",
        "--max-lag",
        str(max_lag),
    ]
    return subprocess.run(
        [sys.executable, "-m", "broker_plugin", *words],
        env=os.environ
        | {
            "BROKER_PLUGIN_PREFIX": prefix,
            "BROKER_PLUGIN_KAFKA__BOOTSTRAP": address,
            "BROKER_PLUGIN_TOPICS__PARTITIONS": "2",
            "BROKER_PLUGIN_CRASH_POINT": crash_point,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def photometry(bus: Bus, prefix: str) -> list[list[bytes]]:
    """Return the committed records of each partition, in their order."""
    found: list[list[bytes]] = [[], []]
    for message in read_topic(bus, f"{prefix}.photometry"):
        found[message.partition].append(message.value or b"")
    return found


def state(bus: Bus, prefix: str) -> dict[bytes, bytes | None]:
    run_until_idle(bus, prefix, [AccumulateStage(prefix, WindowSettings())])
    held = {message.key or b"": message.value for message in read_topic(bus, f"{prefix}.changelog")}
    return {key: value for key, value in held.items() if not key.startswith(b"\x00")}


def test_killed_half_way_and_run_again(
    kafka_bus: Bus, kafka_bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """Killed before and after a commit: the topic, the marks and the state are those of one quiet run."""
    archive = offline.table(tmp_path / "archive.csv", rows=ROWS, objects=40)
    create_missing(kafka_bus, plan_topics(prefix, 2, replication=1))
    for crash_point in ("after_changelog:2:kill=1", "after_commit:1"):
        done = bootstrap(kafka_bootstrap, prefix, archive, f"bootstrap/{crash_point}")
        assert done.returncode == KILLED, (crash_point, done.stderr)
    done = bootstrap(kafka_bootstrap, prefix, archive)
    assert done.returncode == 0, done.stderr
    assert (
        "rows loaded before  10000" in " ".join(done.stdout.split(" ")).replace(",", "")
        or "10,000" in done.stdout
    )

    quiet = MemoryBus()
    create_missing(quiet, plan_topics(prefix, 2))
    source = offline.plain_source()
    loader = Bootstrap(quiet, RunnerSettings(prefix), source, Lane(quiet, prefix, LaneSettings(max_lag=0)))
    loader.run(source.units([archive]), on_batch=lambda _: None)

    assert photometry(kafka_bus, prefix) == photometry(quiet, prefix)
    marks = [
        {m.key: m.value for m in read_topic(bus, f"{prefix}.bootstrapped")} for bus in (kafka_bus, quiet)
    ]
    assert marks[0] == marks[1]
    assert state(kafka_bus, prefix) == state(quiet, prefix)

    # Accumulate has caught up: a lane that waits for one record more than none lets the next archive through.
    more = offline.table(tmp_path / "more.csv", rows=80, objects=8)
    done = bootstrap(kafka_bootstrap, prefix, more, max_lag=1)
    assert done.returncode == 0, done.stderr
    assert "waiting" not in done.stderr
