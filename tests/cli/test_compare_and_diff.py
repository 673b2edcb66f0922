"""Two sets of annotations side by side: from topics, from both kinds of files, from folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.app.annotation_compare import compare
from broker_plugin.app.annotation_diff import diff
from broker_plugin.app.output_files import RecordFiles
from broker_plugin.records import schemas
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import encode_classification
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from tests.cli.conftest import Call
from tests.filters.examples import annotation, annotations

NOW_MS = 1_767_225_600_000


def star(number: int, **changes: object) -> Annotation:
    return annotation(object_id=f"ZTF{number}", revision=1, changes=("new",), **changes)


STARS = [star(1), star(2, energy=20.0, novel=True), star(3), star(4)]
OTHERS = [
    star(1),
    star(2, energy=3.0, energy_percentile=10.0),
    star(3, probabilities={"ECL": 1.0}, model_digest="cd" * 32),
    star(5),
]


def decoded(stars: list[Annotation], made_ms: int = NOW_MS) -> list[dict]:
    return [schemas.decode("classification", encode_classification(a, made_ms)) for a in stars]


def folder(path: Path, stars: list[Annotation], made_ms: int = NOW_MS) -> Path:
    with RecordFiles(path, {"classifications": "classification"}) as files:
        for a in stars:
            files.write("classifications", encode_classification(a, made_ms))
    return path


def publish(bus: MemoryBus, topic: str, stars: list[Annotation]) -> None:
    bus.create_topics([TopicSpec(topic, 2)])
    producer = bus.producer()
    for a in stars:
        producer.send(Output(topic, a.object_id.encode(), encode_classification(a, NOW_MS + 5)))
    producer.flush()


@given(st.lists(annotations(), max_size=5, unique_by=lambda a: a.annotation_id), st.randoms())
def test_a_set_is_equal_to_itself_in_any_order(stars, random) -> None:
    """Whatever was annotated, when it was made is no difference; NaN is not in what is published."""
    stars = [replace(a, mean_mag=15.0) for a in stars]
    shuffled = list(stars)
    random.shuffle(shuffled)
    found = diff(decoded(stars), decoded(shuffled, NOW_MS + 7))
    assert found.equal
    assert found.same == len(stars)


def test_what_differs_is_named_with_both_values() -> None:
    """One energy, one probability within a map, a repetition, one that only one side has."""
    shares = {"RRAB": 0.7, "ECL": 0.3}
    here = decoded([star(1), star(2, probabilities=shares), star(3)])
    there = decoded([star(1, energy=12.75), star(2, probabilities={**shares, "ECL": 0.25}), star(4), star(4)])

    found = diff(here, there)

    assert not found.equal
    assert [dict(d.fields) for d in found.differing] == [
        {"energy": (12.5, 12.75)},
        {"probabilities.ECL": (0.3, 0.25)},
    ]
    assert list(found.only_here.values()) == ["ztf/ZTF3/r"]
    assert list(found.only_there.values()) == ["ztf/ZTF4/r"]
    assert found.repeated_there.total() == 1
    assert diff(
        here, decoded([star(1, energy=12.5 + 1e-9), star(2, probabilities=shares), star(3)]), rtol=1e-8
    ).equal


def test_diff_of_a_topic_and_a_replay(call: Call, bus: MemoryBus, tmp_path: Path) -> None:
    """The live topic by its prefix, the replay by its folder, and by its lines: the same; then not."""
    publish(bus, "live.classifications", STARS)
    replay = folder(tmp_path / "replay", STARS)

    for where in (replay, replay / "classifications.jsonl", replay / "classifications.avro"):
        result = call("diff", "live", where)
        assert (result.exit_code, result.stdout.splitlines()[0][:8]) == (0, "4 equal,"), result.stderr

    result = call("diff", "live.classifications", folder(tmp_path / "other", OTHERS))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].startswith(
        "1 equal, 1 different, 2 only in live.classifications, 2 only"
    )
    assert "energy: 20.0 | 3.0" in result.stdout
    assert "novel: true | false" in result.stdout
    found = json.loads(call("diff", "live", tmp_path / "other", "--json").stdout)
    assert (found["equal"], found["same"], len(found["differing"])) == (False, 1, 1)
    assert call("diff", "live", tmp_path / "other", "--most", "0").exit_code == 1


def test_compare_takes_what_is_in_force() -> None:
    """A revision replaces the former one, wherever it stands; what is withdrawn is not there."""
    old = star(1)
    new = replace(
        old, revision=2, supersedes=old.annotation_id, probabilities={"ECL": 1.0}, predicted_class="ECL"
    )
    gone = replace(star(2), revision=2, withdrawn=True)

    found = compare(decoded([new, old, gone, star(2)]), decoded([star(1), star(2)]))

    assert (found.both, found.only_a, found.only_b) == (1, 0, 1)
    assert dict(found.classes) == {("ECL", "RRAB"): 1}


def test_compare_counts_and_ranks() -> None:
    """Three stars of both: one changed its class, one its novelty; percentiles rank two models' moves."""
    found = compare(decoded(STARS), decoded(OTHERS), most=2)

    assert (found.both, found.only_a, found.only_b, found.same_class) == (3, 1, 1, 2)
    assert dict(found.classes) == {("RRAB", "RRAB"): 2, ("RRAB", "ECL"): 1}
    assert dict(found.novelty) == {(False, False): 2, (True, False): 1}
    assert [m.where for m in found.moves] == ["ztf/ZTF2/r", "ztf/ZTF1/r"]
    assert found.as_json()["agreement"] == pytest.approx(2 / 3)
    assert compare(decoded(STARS), decoded(OTHERS), by="window").both == 3


def test_compare_on_the_command_line(call: Call, bus: MemoryBus, tmp_path: Path) -> None:
    """A live installation and its shadow; figures for a person, and for a program."""
    publish(bus, "live.classifications", STARS)
    publish(bus, "live-shadow.classifications", OTHERS)

    result = call("compare", "live", "live-shadow")
    assert result.exit_code == 0, result.stderr
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "light curves in both 3" in lines
    assert "same class 2 of 3 (67%)" in lines
    assert "novel in both, in live only, in live-shadow only 0, 1, 0" in lines
    assert "RRAB 1 2" in lines
    assert json.loads(call("compare", "live", "live-shadow", "--json").stdout)["same_class"] == 2
    assert call("compare", "live", folder(tmp_path / "none", [])).exit_code == 0


@pytest.mark.parametrize("command", ["compare", "diff"])
def test_what_cannot_be_read_is_told(call: Call, bus: MemoryBus, tmp_path: Path, command: str) -> None:
    """A topic or file that is not there, a folder without annotations, lines of something else."""
    good = folder(tmp_path / "good", STARS)
    (tmp_path / "empty").mkdir()
    lines = tmp_path / "wrong.jsonl"
    lines.write_text('{"a": 1}\n')
    for where, message in (
        ("nowhere", "has no topic nowhere or nowhere.classifications"),
        ("nowhere.avro", "cannot be read"),
        (tmp_path / "empty", "holds no classifications.avro"),
        (lines, "line 1 holds another record"),
    ):
        result = call(command, good, where)
        assert result.exit_code not in (0, 1)
        assert message in result.stderr
