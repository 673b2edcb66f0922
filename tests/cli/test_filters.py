"""Filters on the command line: tried on an archive, and in subscribe."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from broker_plugin.app.output_files import RecordFiles
from broker_plugin.records import schemas
from broker_plugin.records.codec import encode_classification
from broker_plugin.records.object_annotation import encode_object
from broker_plugin.records.text import to_json
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from tests.annotate.objects import combined, of_band
from tests.cli.conftest import Call
from tests.filters.examples import annotation

NIGHT_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
HOUR_MS = 3_600_000

FILTERS = """
[filters.rr]
classes = ["RRAB", "RRCD"]
period_days = { min = 0.2, max = 1.0 }
new_or_changed = true

[filters.odd]
novel = true
"""

STARS = [
    annotation(),
    annotation(energy=1.0),
    annotation(period_days=None),
    annotation(object_id="ZTF2", probabilities={"ECL": 1.0}),
    annotation(object_id="ZTF3", novel=True, period_days=5.0),
]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Five annotations, an hour apart."""
    with RecordFiles(tmp_path / "night", {"classifications": "classification"}) as files:
        for i, star in enumerate(STARS):
            files.write("classifications", encode_classification(star, NIGHT_MS + i * HOUR_MS))
    return tmp_path / "night"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that holds nothing but filters."""
    path = tmp_path / "filters.toml"
    path.write_text(FILTERS)
    return path


def test_what_would_have_passed(call: Call, file: Path, archive: Path) -> None:
    """Each clause by itself, what it cannot judge, and what is left."""
    result = call("filters", "test", file, "--against", archive)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == (
        "rr: 1 of 5 annotations (20.0%), 1 objects\n"
        "  clause                passes  missing  left\n"
        "---------------------------------------------\n"
        "  class = RRAB,RRCD          4        0     4\n"
        "  period_days = 0.2..1       3        1     2\n"
        "  new or changed             1        0     1\n"
        "\n"
        "odd: 1 of 5 annotations (20.0%), 1 objects\n"
        "  clause  passes  missing  left\n"
        "-------------------------------\n"
        "  novel        1        0     1\n"
    )


def test_one_filter_and_part_of_the_night(call: Call, file: Path, archive: Path) -> None:
    """Times are when the annotations were made, UTC."""
    times = ("--since", "2026-01-01T03:00:00", "--until", "2026-01-01T04:00:00")
    result = call(
        "filters", "test", file, "--against", archive / "classifications.avro", "--filter", "odd", *times
    )
    assert result.stdout.startswith("odd: 0 of 1 annotations (0.0%), 0 objects\n")
    assert "rr:" not in result.stdout


def test_against_the_topic(call: Call, file: Path, bus: MemoryBus) -> None:
    """Without an archive, what the cluster still holds."""
    bus.create_topics([TopicSpec("variables.classifications", 1)])
    producer = bus.producer()
    for star in STARS:
        producer.send(Output("variables.classifications", b"k", encode_classification(star, NIGHT_MS)))
    producer.send(Output("variables.classifications", b"k", b"damaged"))
    producer.flush()
    result = call("filters", "test", file)
    assert result.exit_code == 0
    assert "rr: 1 of 5 annotations" in result.stdout
    assert "is skipped" in result.stderr


@pytest.mark.parametrize(
    ("text", "options", "code", "expected"),
    [
        ("", (), 7, "has no filter at all"),
        (FILTERS, ("--filter", "zz"), 7, "has no filter zz; it has: rr, odd"),
        ('[filters.a]\nclasses = ["RRABB"]\n', (), 2, "did you mean RRAB?"),
        (
            "[filters.a]\nmag = { min = 3, max = 1 }\n[filters.b]\nnovl = true\n",
            (),
            2,
            "nothing lies between",
        ),
    ],
)
def test_files_that_are_wrong(
    call: Call, tmp_path: Path, archive: Path, text, options, code, expected
) -> None:
    """Everything at once, with the exit codes of configuration and of input."""
    path = tmp_path / "f.toml"
    path.write_text(text)
    result = call("filters", "test", path, "--against", archive, *options)
    assert result.exit_code == code
    assert expected in result.stderr


def test_subscribe_shows_what_passes_any_filter(call: Call, file: Path, archive: Path) -> None:
    """A name of the configuration, or clauses; new_or_changed is remembered while it runs."""
    shown = ("subscribe", "--file", archive / "classifications.avro", "--config", file)
    assert len(call(*shown).stdout.splitlines()) == 5
    shown = (*shown, "--matches-only")
    assert len(call(*shown, "--filter", "rr").stdout.splitlines()) == 1
    both = call(*shown, "--filter", "rr", "--filter", "class=ECL mag<=16")
    assert [("ZTF2" in line) for line in both.stdout.splitlines()] == [False, True]
    assert len(call(*shown, "--filter", "band=r", "--max", "2").stdout.splitlines()) == 2


def test_subscribe_tells_what_does_not_pass_any_more(call: Call, file: Path, archive: Path) -> None:
    """Once: the third of the first star has no period. A file of such lines can be read again."""
    shown = ("subscribe", "--file", archive / "classifications.avro", "--config", file, "--filter", "rr")
    match, revised = call(*shown).stdout.splitlines()
    assert match.strip().startswith("ztf ZTF18abcdefg r")
    assert revised.startswith("NO LONGER PASSES  ztf ZTF18abcdefg r")
    lines = call(*shown, "--json").stdout
    outcomes = [json.loads(line).get("filter_outcome") for line in lines.splitlines()]
    assert outcomes == [None, "no_longer_passes"]
    kept = archive / "kept.jsonl"
    kept.write_text(lines)
    assert len(call("subscribe", "--file", kept).stdout.splitlines()) == 2
    assert "filter_outcome" not in call("subscribe", "--file", kept, "--json").stdout


def test_subscribe_follows_objects_whose_bands_come_and_go(call: Call, tmp_path: Path) -> None:
    """A match in one band, no match in two, then nothing: one object, told of each."""
    of_one = combined(of_band("g", probabilities={"RRAB": 0.9, "ECL": 0.1}))
    of_two = combined(of_band("r", probabilities={"RRAB": 0.01, "ECL": 0.99}, p_value=0.9), held=of_one)
    gone = replace(of_two, bands=(), probabilities={}, predicted_class="", withdrawn=True)
    path = tmp_path / "objects.jsonl"
    records = [schemas.decode("object", encode_object(each, NIGHT_MS)) for each in (of_one, of_two, gone)]
    path.write_text("".join(to_json(record) + "\n" for record in records))
    lines = call("subscribe", "--file", path, "--filter", "class=RRAB").stdout.splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:]] == ["NO LONGER PASSES", "WITHDRAWN"]
    assert len(lines) == 3


def test_subscribe_refuses_before_it_reads(call: Call, archive: Path) -> None:
    """All that is wrong with all filters, exit code 2."""
    result = call(
        *("subscribe", "--file", archive / "classifications.avro"),
        *("--filter", "class=RRABB", "--filter", "mag=2..1", "--filter", "novels"),
    )
    assert result.exit_code == 2
    assert result.stdout == ""
    for part in ("no class RRABB", "nothing lies between", "did you mean novel?"):
        assert part in result.stderr
