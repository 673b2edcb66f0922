"""``rescore`` from the command line, and a shadow beside the model in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broker_plugin.app import live
from broker_plugin.app.output_files import RecordFiles
from broker_plugin.config import load_config
from broker_plugin.errors import ConfigurationError
from broker_plugin.records.codec import decode_classification, encode_window
from broker_plugin.runner.bus import read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.topics import create_missing
from tests.cli.conftest import Call, stopped_when
from tests.integration.pipeline import run_until_idle
from tests.stages.judging import judged_window, judging_stage

SHADOW = """
prefix = "t"
[metrics]
enabled = false
[accumulate]
state_directory = "state"
[shadow]
bundle = "default"
"""


@pytest.fixture
def judged(bus: MemoryBus) -> MemoryBus:
    """One star, judged by another model than the shipped one."""
    config = load_config(None, {"BROKER_PLUGIN_PREFIX": "t"})
    create_missing(bus, live.wanted_topics(config))
    producer = bus.producer()
    producer.send(Output("t.lightcurves", b"ztf/ZTF18aaaaaaa", encode_window(judged_window(2.0))))
    producer.flush()
    run_until_idle(bus, "t", [judging_stage()])
    return bus


def test_what_there_is_to_do_is_told_and_sent(call: Call, judged: MemoryBus, monkeypatch) -> None:
    """A dry run, a run that does not wait, and one that waits for a stage that does not run."""
    monkeypatch.setenv("BROKER_PLUGIN_PREFIX", "t")

    result = call("rescore", "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("1 of 1 light curves are judged by another model than ")
    assert len(list(read_topic(judged, "t.lightcurves"))) == 1

    result = call("rescore", "--wait", "0")
    assert "1 of 1 windows sent to t.lightcurves" in result.stdout
    *_, sent = read_topic(judged, "t.lightcurves")
    assert [name for name, _ in sent.headers] == ["rescore"]

    result = call("rescore", "--wait", "0.1")
    assert result.exit_code != 0
    assert "look whether it runs" in result.stderr


def test_an_archive_takes_the_topics_place(
    call: Call, judged: MemoryBus, monkeypatch, tmp_path: Path
) -> None:
    """The folder of a replay with --keep-lightcurves; one without them is told."""
    monkeypatch.setenv("BROKER_PLUGIN_PREFIX", "t")
    with RecordFiles(tmp_path / "night", {"lightcurves": "lightcurve"}) as files:
        files.write("lightcurves", encode_window(judged_window(2.0, 220)))
    (tmp_path / "none").mkdir()

    result = call("rescore", "--archive", tmp_path / "night", "--wait", "0")
    assert "1 of 1 windows sent" in result.stdout, result.stderr
    result = call("rescore", "--archive", tmp_path / "none")
    assert result.exit_code != 0
    assert "lightcurves.avro cannot be read" in result.stderr


def test_a_shadow_judges_the_same_windows_beside_the_model_in_use(
    call: Call, bus: MemoryBus, tmp_path: Path
) -> None:
    """``run`` hosts it by the configuration alone; compare finds that a copy agrees."""
    path = tmp_path / "c.toml"
    path.write_text(SHADOW)
    config = load_config(path, {})
    create_missing(bus, live.wanted_topics(config))
    producer = bus.producer()
    window = replace(judged_window(15.0), object_id="ZTF1")
    window.epochs["mag"][:] = [15 + (i % 7) / 10 for i in range(200)]
    producer.send(Output("t.lightcurves", b"ztf/ZTF1", encode_window(window)))
    producer.flush()
    topics = ("t.classifications", "t-shadow.classifications")
    with stopped_when(lambda: all(list(read_topic(bus, name)) for name in topics)):
        result = call("run", "--stages", "score,shadow", "--config", path)
    assert result.exit_code == 0, result.stderr
    (live_one,) = read_topic(bus, "t.classifications")
    (shadow_one,) = read_topic(bus, "t-shadow.classifications")
    assert decode_classification(live_one.value) == decode_classification(shadow_one.value)
    result = call("compare", "t", "t-shadow", "--config", path)
    assert "same class" in result.stdout
    assert call("diff", "t", "t-shadow", "--config", path).exit_code == 0


def test_a_shadow_without_a_model_is_refused(call: Call, bus: MemoryBus) -> None:
    """Asked for by name, or half configured."""
    result = call("run", "--stages", "shadow")
    assert result.exit_code == 2
    assert "set shadow.bundle" in result.stderr
    with pytest.raises(ConfigurationError, match=r"no effect without shadow\.bundle"):
        load_config(None, {"BROKER_PLUGIN_SHADOW__PREFIX": "x"})
    same = {"BROKER_PLUGIN_SHADOW__BUNDLE": "default", "BROKER_PLUGIN_SHADOW__PREFIX": "variables"}
    with pytest.raises(ConfigurationError, match="both models would write to one topic"):
        load_config(None, same)
