"""The verdict of the guard: what is slow, what is noise."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from benchmarks import guard
from benchmarks.measure import Effort, Way


def answers(*ratios: float) -> tuple[Callable[[Effort], float], list[Effort]]:
    """Return a measurement with these ratios, one after the other, and the efforts that it is asked for."""
    left, asked = list(ratios), []

    def measure(effort: Effort) -> float:
        asked.append(effort)
        return left.pop(0)

    return measure, asked


def test_as_fast_as_usual_is_measured_once() -> None:
    """And so is what is somewhat slower: the margin is for that."""
    for ratio in (10.0, 6.1, 60.0):
        measure, asked = answers(ratio)
        verdict = guard.judge("row", 10.0, 0.6, measure)
        assert not verdict.slow
        assert len(asked) == 1
        assert verdict.least == pytest.approx(6.0)


def test_one_bad_turn_is_noise() -> None:
    """Measured again with twice the time, the pair is what it was: the best counts."""
    measure, asked = answers(2.0, 9.5)
    verdict = guard.judge("row", 10.0, 0.6, measure)
    assert not verdict.slow
    assert verdict.ratio == 9.5
    assert asked[1].slice_seconds == 2 * asked[0].slice_seconds


def test_slow_three_times_is_slow() -> None:
    """The best of the three is told, with what was expected."""
    measure, asked = answers(2.0, 5.9, 3.0)
    verdict = guard.judge("row", 10.0, 0.6, measure)
    assert verdict.slow
    assert len(asked) == 3
    assert "5.900" in str(verdict)
    assert "6.000" in str(verdict)
    assert "SLOW" in str(verdict)


def test_what_cannot_be_compared_is_slow() -> None:
    """NaN is not fast."""
    measure, _ = answers(float("nan"), float("nan"), float("nan"))
    assert guard.judge("row", 10.0, 0.6, measure).slow


def test_a_stage_that_does_its_work_three_times_is_caught() -> None:
    """Real work on a real clock: the same loop, once as it is and once slowed down beyond the margin."""

    def loop(times: int) -> Callable[[], object]:
        return lambda: sum(i * i for i in range(20_000 * times))

    effort = Effort(repetitions=5, slice_seconds=0.05)
    theirs = Way("theirs", loop(1))
    as_it_was = guard.judge(
        "row", 1.0, 0.6, lambda e: guard.ratio_of(Way("ours", loop(1)), theirs, e), effort
    )
    slowed = guard.judge("row", 1.0, 0.6, lambda e: guard.ratio_of(Way("ours", loop(3)), theirs, e), effort)
    assert not as_it_was.slow
    assert slowed.slow


def test_every_pair_has_its_ratio() -> None:
    """In the one file of limits, each positive, with a margin that leaves room for noise."""
    limits = json.loads(guard.LIMITS.read_text())
    assert limits["usual"].keys() == guard.pairs().keys()
    assert all(usual > 0 for usual in limits["usual"].values())
    assert 0.4 <= limits["margin"] <= 0.7


def test_limits_that_do_not_fit_are_refused(tmp_path, monkeypatch, capsys) -> None:
    """A pair without its ratio would never be slow."""
    path = tmp_path / "guard.json"
    path.write_text(json.dumps({"margin": 0.6, "usual": {"ingest-ztf": 4.0}}))
    monkeypatch.setattr(guard, "LIMITS", path)
    with pytest.raises(SystemExit) as ended:
        guard.main()
    assert ended.value.code == 2
    assert "scorer" in capsys.readouterr().err
