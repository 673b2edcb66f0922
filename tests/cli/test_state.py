"""What is held of an object, from the changelog and from a worker's directory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import encode_photometry
from broker_plugin.records.epoch import make_epochs
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.topics import create_missing, plan_topics
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.dead_letters import dead_letter_output
from tests.cli.conftest import Call


@pytest.fixture
def worked(bus: MemoryBus, tmp_path: Path) -> Path:
    """Let a worker accumulate two objects, one with 230 epochs in r and 5 in g, and stop."""
    create_missing(bus, plan_topics("variables", 4))
    time = 59_000.0 + np.arange(230.0)
    r = make_epochs(time, 15.0 + 0.01 * (time % 7), np.full(230, 0.02), version=5_000_000_000_000)
    star = ObjectPhotometry("ztf", "ZTF18abcdefg", "1", 59_229.0, 10.5, -3.25, {"r": r, "g": r[:5]})
    other = ObjectPhotometry("lsst", "9223372036854775807", "2", 59_003.0, 11.0, -4.0, {"u": r[:3]})
    producer = bus.producer()
    for record in (star, other):
        key = object_key(record.survey, record.object_id)
        producer.send(Output("variables.photometry", key, encode_photometry(record)))
    producer.flush()
    state = tmp_path / "state"
    settings = RunnerSettings("variables", state_dir=state)
    stage = AccumulateStage("variables", WindowSettings())
    with Runner(stage, bus, dead_letter_output("variables"), settings) as runner:
        assert runner.run_until_idle() == 2
    return state


@pytest.mark.parametrize("changelog", [True, False])
def test_both_bands_are_shown(
    call: Call, worked: Path, monkeypatch: pytest.MonkeyPatch, changelog: bool
) -> None:
    """Each band with n/200, times, magnitudes and position; the same from directory and changelog."""
    monkeypatch.setenv("BROKER_PLUGIN_ACCUMULATE__STATE_DIRECTORY", str(worked))
    result = call("state", "show", "ZTF18abcdefg", *(["--changelog"] if changelog else []))
    assert result.exit_code == 0
    assert "ztf ZTF18abcdefg g  5/200 waiting  held 5 (5 detection), let go 0" in result.stdout
    assert "ztf ZTF18abcdefg r  230/200 ready  held 230 (230 detection), let go 0" in result.stdout
    assert (
        "RA 10.50000 Dec -3.25000  MJD 59000.0000 to 59229.0000  magnitude 15.000 to 15.060" in result.stdout
    )


def test_number_is_an_lsst_object(call: Call, worked: Path) -> None:
    """No --survey needed; the id is text all the way."""
    result = call("state", "show", "9223372036854775807", "--changelog")
    assert "lsst 9223372036854775807 u  3/200 waiting" in result.stdout


@pytest.mark.parametrize("arguments", [["--changelog"], []])
def test_object_that_is_not_held(
    call: Call, worked: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """Exit code 7; an id that begins like a known one is another one."""
    monkeypatch.setenv("BROKER_PLUGIN_ACCUMULATE__STATE_DIRECTORY", str(worked))
    result = call("state", "show", "ZTF18abcdef", *arguments)
    assert result.exit_code == 7
    assert "nothing is held of ztf ZTF18abcdef" in result.stderr


def test_no_state_directory(call: Call) -> None:
    """Exit code 7, and the other way to look."""
    result = call("state", "show", "ZTF18abcdefg")
    assert result.exit_code == 7
    assert "--changelog" in result.stderr


def test_no_changelog(call: Call, bus: MemoryBus) -> None:
    """Exit code 5."""
    assert call("state", "show", "ZTF18abcdefg", "--changelog").exit_code == 5
