"""Two versions of the period search: which of them are the same."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.same_periods import _compare, _read

BEFORE = {
    "search": np.array("aaaaaaaaaaaa"),
    "fold_days": np.array([0.5, 1.5, 200.0]),
    "significant": np.array([True, True, False]),
    "log10_false_alarm": np.array([-30.0, -12.0, -0.5]),
}


def test_the_best_trial_frequency_may_be_the_next_one(capsys) -> None:
    """Differences of a few millionths are told and are none."""
    _compare(BEFORE, {**BEFORE, "fold_days": BEFORE["fold_days"] * (1 + 4e-6)})

    assert "all but 0; largest difference 4e-06" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changed",
    [{"fold_days": np.array([0.5, 3.0, 200.0])}, {"significant": np.array([True, False, False])}],
)
def test_another_period_or_significance_is_another_search(changed) -> None:
    """One window is enough."""
    with pytest.raises(SystemExit, match="1"):
        _compare(BEFORE, {**BEFORE, **changed})


def test_other_windows_and_other_files_are_refused(tmp_path) -> None:
    """By what was found and what was expected."""
    with pytest.raises(SystemExit, match="3 windows were searched before, 2 now"):
        _compare(BEFORE, {name: column[:2] for name, column in BEFORE.items() if name != "search"})
    with pytest.raises(SystemExit, match=r"gone\.npz.*expected what --write keeps"):
        _read(tmp_path / "gone.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(2))
    with pytest.raises(SystemExit, match=r"other\.npz.*search.*expected"):
        _read(tmp_path / "other.npz")
