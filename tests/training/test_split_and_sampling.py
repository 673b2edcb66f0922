"""No star on two sides; rare classes seen often enough; the same seed, the same draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from broker_plugin.features import OUR_INPUT
from training.sampling import draw_epoch, training_arrays
from training.split import split_by_star
from training.windows import NOVEL_LABEL, WindowTable, read_windows


@pytest.fixture(scope="module")
def table(data: Path) -> WindowTable:
    """Return the windows of the small data set."""
    return read_windows(data)


def test_no_group_is_in_two_parts(table: WindowTable) -> None:
    """A star seen in training can neither calibrate nor validate; NOVEL stars are in neither."""
    split = split_by_star(table, 3)
    parts = [set(table.group[part]) for part in (split.train, split.calibrate, split.validate)]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    known = np.concatenate([split.train, split.calibrate, split.validate])
    assert sorted(known) == np.flatnonzero(table.label != NOVEL_LABEL).tolist()
    assert (table.label[split.novel] == NOVEL_LABEL).all()


def test_every_class_is_in_every_part(table: WindowTable) -> None:
    """Stratified: a class without validation windows has no recall."""
    split = split_by_star(table, 3)
    for part in (split.train, split.validate):
        assert set(table.label[part]) == set(range(8))


def test_the_split_follows_from_the_seed(table: WindowTable) -> None:
    """The same seed gives the same parts, another seed others."""
    one, same, other = (split_by_star(table, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.validate, same.validate)
    assert set(one.validate) != set(other.validate)


@pytest.mark.parametrize(("balance", "share"), [(1.0, 0.1), (0.5, 0.25), (0.0, 0.5)])
def test_shares_of_the_classes(balance: float, share: float) -> None:
    """Nine to one by count: one tenth, one quarter (square roots), or one half of the draws."""
    label = np.repeat([0, 1], [900, 100])
    drawn = draw_epoch(label, 400, balance, np.random.default_rng(0))
    assert len(drawn) == 400
    assert np.mean(label[drawn] == 1) == pytest.approx(share, abs=0.01)


def test_no_window_twice_before_every_window_once() -> None:
    """150 draws from 100 windows of a class: each once, half of them twice."""
    drawn = draw_epoch(np.zeros(100, dtype=int), 150, 0.5, np.random.default_rng(0))
    assert sorted(np.unique(drawn, return_counts=True)[1].tolist()) == [1] * 50 + [2] * 50


def test_relative_weights_do_not_favour_large_amplitudes(table: WindowTable) -> None:
    """Eq. 1's weights grow with the amplitude where magerr knows the frame only; relative ones do not."""
    index = np.arange(len(table))
    periods = table.columns_period_days["period"]
    paper = training_arrays(table, index, periods, OUR_INPUT, weight_mode="inverse_error")["weight"]
    relative = training_arrays(table, index, periods, OUR_INPUT, weight_mode="relative")["weight"]
    constant = training_arrays(table, index, periods, OUR_INPUT, weight_mode="constant")["weight"]
    assert np.ptp(paper.mean(axis=1)) > 10
    np.testing.assert_allclose(relative.mean(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(constant, 1.0)


def test_augmentation_shifts_phases_and_adds_noise(table: WindowTable) -> None:
    """With a generator the same window looks different each time, without one it does not."""
    index, periods = np.array([0, 1]), table.columns_period_days["period"]

    def arrays(rng: np.random.Generator | None, **options: float) -> np.ndarray:
        made = training_arrays(table, index, periods, OUR_INPUT, weight_mode="constant", rng=rng, **options)
        return made["sequence"]

    plain = arrays(None)
    rng = np.random.default_rng(0)
    shifted = arrays(rng, phase_jitter=0.2)
    noisy = arrays(rng, noise=0.5)
    assert not np.array_equal(plain, shifted)
    np.testing.assert_allclose(np.sort(plain[:, :, 1], axis=1), np.sort(shifted[:, :, 1], axis=1), rtol=1e-6)
    assert not np.allclose(np.sort(plain[:, :, 1], axis=1), np.sort(noisy[:, :, 1], axis=1))
