"""SIGKILL at named points of the commit, on a real Kafka, with real processes and real files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import broker_plugin
from broker_plugin.errors import FencedError
from broker_plugin.runner.bus import Bus
from tests.runner.counting import expected_outputs, fill, outputs, state_of, topic_specs
from tests.runner.test_exactly_once import undisturbed_state

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

N_RECORDS = 150
KILLED = -signal.SIGKILL


def work(
    bootstrap: str,
    what: str,
    state_dir: Path,
    name: str = "a",
    crash_point: str = "",
    *,
    module: str = "tests.runner.worker",
) -> int:
    """Run a worker process to its end as a supervisor does, one that was fenced again; return its status."""
    command = [sys.executable, "-m", module, bootstrap, what, str(state_dir), name]
    for _ in range(3):
        done = subprocess.run(
            command,
            env={**os.environ, "BROKER_PLUGIN_CRASH_POINT": crash_point},
            cwd=Path(broker_plugin.__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if done.returncode != FencedError.exit_code:
            break
    assert done.returncode in {0, KILLED}, done.stderr[-3000:]
    return done.returncode


def check(bus: Bus, prefix: str) -> None:
    assert outputs(bus, prefix) == expected_outputs(N_RECORDS)
    assert state_of(bus, prefix) == undisturbed_state(N_RECORDS)


def test_killed_again_and_again_under_one_name(
    kafka_bootstrap: str, kafka_bus: Bus, prefix: str, tmp_path: Path
) -> None:
    """A supervisor restarts a worker that dies before the offsets, after the commit, and while restoring."""
    kafka_bus.create_topics(topic_specs(prefix))
    fill(kafka_bus, prefix, N_RECORDS)
    rng = random.Random(20190611)
    early = rng.choice(["after_begin", "after_outputs", "after_changelog"])

    for crash_point in (f"{early}:2", "after_offsets:2", "after_commit:2", "during_restore"):
        assert work(kafka_bootstrap, prefix, tmp_path, crash_point=crash_point) == KILLED, crash_point
    assert work(kafka_bootstrap, prefix, tmp_path) == 0

    check(kafka_bus, prefix)


def test_killed_and_replaced_under_another_name(
    kafka_bootstrap: str, kafka_bus: Bus, prefix: str, tmp_path: Path
) -> None:
    """Nobody inherits the dead worker's name: its open transaction with offsets must time out first."""
    kafka_bus.create_topics(topic_specs(prefix))
    fill(kafka_bus, prefix, N_RECORDS)

    assert work(kafka_bootstrap, prefix, tmp_path / "a", "a", "after_offsets:3") == KILLED
    assert work(kafka_bootstrap, prefix, tmp_path / "b", "b", "after_cache:2") == KILLED
    assert work(kafka_bootstrap, prefix, tmp_path / "a", "a") == 0  # on its own old files

    check(kafka_bus, prefix)
