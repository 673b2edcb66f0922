"""Simulated outliers: on real epochs, the same for the same seed, searched once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.outliers import make_outliers
from training.windows import read_windows


def test_outliers_follow_from_the_seed_and_are_searched_once(data: Path, tmp_path: Path) -> None:
    """Twice the same, the second time from the cache; another seed gives others."""
    table = read_windows(data)
    index = np.arange(0, len(table), 2)
    periods = table.columns_period_days["period"]
    said: list[str] = []

    def made(seed: int):
        return make_outliers(
            table, index, periods, count=12, seed=seed, cache_dir=tmp_path, progress=said.append
        )

    one, again, other = made(1), made(1), made(2)
    assert len(said) == 2
    np.testing.assert_array_equal(one.mag, again.mag)
    np.testing.assert_array_equal(one.period_days, again.period_days)
    assert not np.array_equal(one.mag, other.mag)
    assert one.mag.shape == (12, 200)
    assert np.isfinite(one.mag).all()
    assert (one.mag.std(axis=1) > 0.01).all()
    assert (one.period_days > 0).all()


def test_outliers_have_the_epochs_of_training_windows_only(data: Path, tmp_path: Path) -> None:
    """No window outside of ``index`` lends its cadence or its light: held-out stars stay unseen."""
    table = read_windows(data)
    index = np.arange(10)
    periods = table.columns_period_days["period"]
    made = make_outliers(table, index, periods, count=40, seed=3, cache_dir=tmp_path)
    lenders = {time.tobytes() for time in table.time_mjd[index]}
    assert {time.tobytes() for time in made.time_mjd} <= lenders
    hidden = table.mag.copy()
    table.mag[10:] = 99.0
    again = make_outliers(table, index, periods, count=40, seed=3, cache_dir=tmp_path)
    table.mag[:] = hidden
    np.testing.assert_array_equal(again.mag, made.mag)


@pytest.mark.parametrize("days", [0.5, 100.0])
def test_red_noise_forgets_after_its_time(days: float) -> None:
    """The correlation of a damped random walk at lag t is exp(-t / days)."""
    from training.outliers import _red_noise

    rng = np.random.default_rng(0)
    time = np.arange(0, 60_000.0) * 0.2 * days
    walk = _red_noise(time, days, rng)
    assert walk.std() == pytest.approx(1.0, abs=0.1)
    for lag in (1, 5):
        found = np.corrcoef(walk[lag:], walk[:-lag])[0, 1]
        assert found == pytest.approx(np.exp(-0.2 * lag), abs=0.05)
