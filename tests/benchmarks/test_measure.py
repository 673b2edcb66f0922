"""Turns, spreads, and what becomes of a way that is not there."""

from __future__ import annotations

import pytest

from benchmarks.measure import Absent, CannotRunError, Effort, Way, in_turns, lines, spread, way
from benchmarks.results import Spread, find

SHORT = Effort(repetitions=4, slice_seconds=0.0)


def test_ways_take_turns() -> None:
    """A warm-up and a calibration of each; then ours, theirs, theirs, ours: neighbours share the machine."""
    called: list[str] = []
    in_turns([Way("ours", lambda: called.append("o")), Way("theirs", lambda: called.append("t"))], SHORT)
    assert "".join(called) == "ot" + "ot" + "ot" + "to" + "ot" + "to"


def test_times_are_of_one_unit() -> None:
    """A call that is a thousand units costs each a thousandth."""
    work = lambda: sum(range(30_000))  # noqa: E731
    turns = in_turns([Way("one", work), Way("many", work, units=1000.0)], Effort(3, 0.01))
    assert min(t.cpu for t in turns["one"]) > 100 * min(t.cpu for t in turns["many"])
    assert min(t.wall for t in turns["many"]) > 0


def test_lines_compare_with_ours() -> None:
    """Ours have no ratio; what is absent says why; what is slow has one turn."""
    ours, other = Way("ours", lambda: sum(range(20_000))), Way("other", lambda: sum(range(60_000)))
    found = lines(
        "group", "unit", ours, [other, Absent("gone", "not installed")], Effort(5, 0.03),
        also=[Way("ours too", lambda: None)], slow=[Way("slow", lambda: sum(range(200_000)))],
    )  # fmt: skip
    assert [line.way for line in found] == ["ours", "ours too", "other", "gone", "slow"]
    assert found[0].ratio is None
    assert found[1].ratio is None
    assert found[2].ratio is not None
    assert 1.5 < found[2].ratio.median < 6
    assert found[3].cpu is None
    assert found[3].why_not == "not installed"
    assert found[4].ratio is not None
    assert found[4].ratio.low == found[4].ratio.high
    assert find(found, "gone") is None
    assert find(found, "other", "group") is found[2]
    assert find(found, "other", "another") is None


def test_spread_is_median_and_quartiles() -> None:
    """Of one value, the value."""
    assert spread([1.0, 2.0, 3.0, 4.0, 100.0]) == Spread(3.0, 2.0, 4.0)
    assert spread([7.0]) == Spread(7.0, 7.0, 7.0)


def test_a_library_that_is_missing_is_named_with_its_cure() -> None:
    """Other faults are not hidden."""

    def missing() -> Way:
        import no_such_library  # noqa: F401

        raise AssertionError

    absent = way("theirs", missing)
    assert isinstance(absent, Absent)
    assert "no_such_library" in absent.reason
    assert ".[bench]" in absent.reason

    def refused() -> Way:
        raise CannotRunError("no Java")

    assert way("theirs", refused) == Absent("theirs", "no Java")

    def broken() -> Way:
        raise ValueError("a fault of ours")

    with pytest.raises(ValueError, match="of ours"):
        way("theirs", broken)
