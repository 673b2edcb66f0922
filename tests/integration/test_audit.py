"""The audit says nothing of a sound installation, and names what is wrong with a broken one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from broker_plugin.app.audit import audit
from broker_plugin.app.stages import build_stages
from broker_plugin.config import load_config
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_classification, decode_window, encode_classification
from broker_plugin.records.object_annotation import decode_object, encode_object
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.stages.accumulate import AccumulateStage
from tests.integration.pipeline import committed, create_topics, run_until_idle
from tests.stages.test_accumulate import photometry

SETTINGS = WindowSettings(rescore_after=50)


def install(folder, publish: str) -> MemoryBus:
    """Return three objects with 300 epochs each, accumulated and scored."""
    bus = MemoryBus()
    create_topics(bus, "t", partitions=2)
    producer = bus.producer()
    for i in range(300):
        for name in ("ZTF18aaaaaaa", "ZTF18aaaaaab", "ZTF18aaaaaac"):
            producer.send(Output("t.photometry", f"ztf/{name}".encode(), photometry(name, [i], i)))
    producer.flush()
    run_until_idle(bus, "t", [AccumulateStage("t", SETTINGS), *score_stages(publish)], folder)
    return bus


def score_stages(publish: str):
    config = load_config(None, {"BROKER_PLUGIN_PREFIX": "t", "BROKER_PLUGIN_SCORE__PUBLISH": publish})
    return build_stages(config, ["score"])


@pytest.fixture
def installation(tmp_path) -> MemoryBus:
    """As installed, it publishes changes only."""
    return install(tmp_path, "changes")


@pytest.mark.parametrize(("publish", "annotations"), [("changes", 3), ("all", 9)])
def test_sound_installation_has_no_problems(tmp_path, publish, annotations) -> None:
    """Windows at 200, 250 and 300 epochs of three objects; of each one annotation, or one a window."""
    installation = install(tmp_path, publish)
    (stage,) = score_stages(publish)

    report = audit(installation, "t", SETTINGS, publish=publish, stage=stage)

    assert report.problems == []
    assert (report.photometry, report.windows, report.annotations) == (900, 9, annotations)
    assert report.state_keys > 9


def test_a_broken_chain_of_revisions_is_named(installation) -> None:
    """Somebody wrote a revision that supersedes nothing: chain, novelties and memory do not fit it."""
    message = committed(installation, "t", "classifications")[0]
    forged = replace(decode_classification(message.value), revision=3, changes=("model",), novel=True)
    producer = installation.producer()
    producer.send(Output(message.topic, message.key, encode_classification(forged, 0)))
    producer.flush()

    problems = audit(installation, "t", SETTINGS).problems

    assert any("is revision 3 and supersedes None, expected revision 2" in p for p in problems), problems
    assert any(p.startswith("novelties: 1 missing") for p in problems), problems
    assert any(p.startswith("memory: of 1 light curves") for p in problems), problems


def test_a_stage_that_kept_its_word_to_itself_is_named(tmp_path) -> None:
    """What one model has published is not what another one would have."""
    installation = install(tmp_path, "changes")
    (stage,) = score_stages("all")

    problems = audit(installation, "t", SETTINGS, stage=stage).problems

    assert any(p.startswith("classifications, computed again: 6 missing") for p in problems), problems


@pytest.mark.parametrize("topic", ["lightcurves", "classifications"])
def test_repeated_record_is_named(installation, topic) -> None:
    """Somebody wrote a window, or an annotation, twice."""
    message = committed(installation, "t", topic)[0]
    producer = installation.producer()
    producer.send(Output(message.topic, message.key, message.value))
    producer.flush()

    problems = audit(installation, "t", SETTINGS).problems
    assert any("1 too many" in problem for problem in problems), problems


def test_missing_window_and_wrong_state_are_named(installation) -> None:
    """The installation ran with other settings than the audit is told."""
    problems = audit(installation, "t", WindowSettings(rescore_after=100)).problems

    assert any(problem.startswith("windows: 3 too many") for problem in problems), problems
    assert any("values differ" in problem for problem in problems), problems


def test_lost_state_is_named(installation) -> None:
    """A value vanished from the changelog."""
    message = next(m for m in committed(installation, "t", "changelog") if m.key.startswith(b"c/"))
    producer = installation.producer()
    producer.send(Output(message.topic, message.key, None, partition=message.partition))
    producer.flush()

    (problem,) = audit(installation, "t", SETTINGS).problems
    assert "1 values differ" in problem


def test_new_photometry_is_not_idle(installation) -> None:
    """The audit is not fooled by a stage that has not read everything."""
    window = decode_window(committed(installation, "t", "lightcurves")[0].value)
    producer = installation.producer()
    key = f"ztf/{window.object_id}".encode()
    producer.send(Output("t.photometry", key, photometry(window.object_id, [999], 999)))
    producer.flush()

    problems = audit(installation, "t", SETTINGS).problems
    assert any("not idle" in problem for problem in problems), problems


@pytest.fixture
def combining(tmp_path) -> MemoryBus:
    """As installed, combined as well."""
    bus = install(tmp_path, "changes")
    run_until_idle(bus, "t", build_stages(load_config(None, {"BROKER_PLUGIN_PREFIX": "t"}), ["combine"]))
    return bus


def test_whole_objects_are_audited(combining) -> None:
    """One band each: as many combined annotations as annotations."""
    report = audit(combining, "t", SETTINGS, combined=True)
    assert report.problems == []
    assert report.objects == report.annotations == 3


@pytest.mark.parametrize("what", ["repeated", "foreign", "behind"])
def test_wrong_whole_objects_are_named(combining, what) -> None:
    """One twice, one that no band led to, one that is not there yet."""
    message = committed(combining, "t", "objects")[0]
    one = decode_object(message.value)
    producer = combining.producer()
    if what == "behind":
        later = committed(combining, "t", "classifications")[0]
        annotation = replace(decode_classification(later.value), band="g", window_id="another")
        producer.send(Output(later.topic, later.key, encode_classification(annotation, 0)))
    else:
        value = encode_object(replace(one, revision=one.revision + (what == "foreign")), 0)
        producer.send(Output(message.topic, message.key, value))
    producer.flush()

    problems = audit(combining, "t", SETTINGS, scored=False, combined=True).problems

    if what == "behind":
        assert any(p.startswith("objects: 1 missing") for p in problems), problems
        assert any("another annotation is remembered" in p for p in problems), problems
        assert any("not idle, or not running" in p for p in problems), problems
    else:
        assert any(p.startswith("objects: 1 too many") for p in problems), problems
