"""What is written: aims met or not, ways that could not run, and rows read back from their files."""

from __future__ import annotations

import json

import pytest

from benchmarks import report, results
from benchmarks.pages import write_into
from benchmarks.results import Figure, Line, Result, Spread

RESULT = Result(
    "row",
    "A row",
    "On something.",
    (
        Line("batch of 1", "ours", "alert", Spread(2e-4, 1e-4, 3e-4), Spread(3e-4, 3e-4, 3e-4)),
        Line(
            "batch of 1", "theirs", "alert", Spread(1e-3, 1e-3, 1e-3), Spread(2.0, 1.0, 3.0), Spread(5, 4, 6)
        ),
        Line("batch of 1", "absent", "alert", why_not="a | pipe\nand a line"),
    ),
    (
        Figure("rate", 5000.0, "alerts/s", 1333.0, "at least"),
        Figure("delay", 4.0, "s", 3.0, "at most"),
        Figure("size", 7.0, "B"),
    ),
    date="2026-11-23 10:00 UTC",
    seconds=12.3,
    load=1.5,
)


def test_aims() -> None:
    """At least and at most, each on its edge; what has no aim is neither met nor missed."""
    assert [figure.met for figure in RESULT.figures] == [True, False, None]
    assert Figure("edge", 3.0, "s", 3.0, "at most").met
    assert Figure("edge", 3.0, "s", 3.0, "at least").met
    assert not Figure("nothing measured", float("nan"), "s", 3.0, "at most").met


def test_rows_survive_their_files(tmp_path) -> None:
    """A run that is resumed reports what was measured before."""
    results.write(RESULT, tmp_path / "row.json")
    assert results.read(tmp_path / "row.json") == RESULT
    assert [path.name for path in tmp_path.iterdir()] == ["row.json"]


def test_tables(tmp_path) -> None:
    """Every aim in front with its verdict, then the row; a cell never breaks its table."""
    failed = Result("other", "Another", failed="no Kafka")
    report.write([RESULT, failed], {"processor": "abacus"}, tmp_path)
    text = (tmp_path / "benchmarks.md").read_text()
    lines = text.splitlines()
    assert "| A row | rate | 5,000 alerts/s | at least 1,333 alerts/s | yes |" in lines
    assert "| A row | delay | 4 s | at most 3 s | **no** |" in lines
    assert "| Another | | no Kafka | | **no** |" in lines
    assert "| batch of 1 | ours | 200 us (100 to 300) | 300 us (300 to 300) | 5,000 |  |" in lines
    assert "|  | theirs | 1 ms (1 to 1) | 2 s (1 to 3) | 1,000 | 5 (4 to 6) |" in lines
    assert "|  | absent | a / pipe and a line | | | |" in lines
    assert "processor abacus" in text
    assert "2026-11-23 10:00 UTC" in text
    stored = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [results.from_json(row) for row in stored["rows"]] == [RESULT, failed]


def test_a_table_goes_between_its_marks() -> None:
    """Whatever is in it, and only once."""
    page = "a\n<!-- benchmarks: results -->\nold\n<!-- end -->\nz\n"
    table = r"| \1 |"
    assert write_into(page, "benchmarks", {"results": table}) == (
        "a\n<!-- benchmarks: results -->\n\n| \\1 |\n\n<!-- end -->\nz\n"
    )
    with pytest.raises(SystemExit, match="benchmarks: other"):
        write_into(page, "benchmarks", {"other": table})
