"""No star on two sides; rare classes seen often enough; the same seed, the same draw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broker_plugin.features import OUR_INPUT, InputConventions, build_network_input
from training.sampling import (
    WindowPool,
    disturbed,
    draw_epoch,
    frame_weights,
    joined,
    make_pool,
    training_arrays,
)
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
    error = table.magerr / table.mag.std(axis=1, keepdims=True)
    assert np.ptp(frame_weights(error, "inverse_error").mean(axis=1)) > 10
    np.testing.assert_allclose(frame_weights(error, "relative").mean(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(frame_weights(error, "constant"), 1.0)


def whole_pool(table: WindowTable, conventions: InputConventions = OUR_INPUT) -> WindowPool:
    """Return all windows of the table with catalogue periods."""
    return make_pool(
        table.time_mjd,
        table.mag,
        table.magerr,
        table.columns_period_days["period"],
        table.label,
        conventions=conventions,
    )


def test_arrays_of_a_pool_are_the_input_of_the_stream(table: WindowTable) -> None:
    """Features computed once and kept are those that the stream computes for the window."""
    names = ("log10_std", "log10_period", "fold_residual", "odd_gain")
    inputs = replace(OUR_INPUT, auxiliary=names, auxiliary_mean=(0.1,) * 4, auxiliary_scale=(2.0,) * 4)
    index = np.array([7, 3])
    made = training_arrays(whole_pool(table, inputs), index, inputs, weight_mode="constant")
    periods = table.columns_period_days["period"]
    built = build_network_input(
        table.time_mjd[index], table.mag[index], table.magerr[index], periods[index], inputs
    )
    np.testing.assert_array_equal(made["sequence"], built.sequence)
    np.testing.assert_allclose(made["auxiliary"], built.auxiliary, rtol=1e-5, atol=1e-6)


def test_outliers_have_no_weight_in_the_reconstruction(table: WindowTable) -> None:
    """The autoencoder must not learn to draw what it is to call strange."""
    pool = whole_pool(table)
    weight = training_arrays(pool, np.arange(len(pool)), OUR_INPUT, weight_mode="relative")["weight"]
    assert (weight[pool.label == NOVEL_LABEL] == 0).all()
    assert (weight[pool.label != NOVEL_LABEL] > 0).all()


def test_a_shift_of_phases_only_turns_the_fold(table: WindowTable) -> None:
    """The same magnitudes in another order."""
    pool, index = whole_pool(table), np.array([0, 1])
    plain = training_arrays(pool, index, OUR_INPUT, weight_mode="constant")["sequence"]
    turned = training_arrays(
        pool, index, OUR_INPUT, weight_mode="constant", phase_offset=np.array([0.2, 0.4])
    )["sequence"]
    assert not np.array_equal(plain, turned)
    np.testing.assert_allclose(np.sort(plain[:, :, 1], axis=1), np.sort(turned[:, :, 1], axis=1), rtol=1e-6)


def test_disturbed_windows_are_noisier_and_have_bad_epochs(table: WindowTable) -> None:
    """Noise up to half of each window's scatter, up to a tenth of the epochs thrown off; labels stay."""
    pool, rng = whole_pool(table), np.random.default_rng(0)
    noisy = disturbed(pool, OUR_INPUT, rng, noise=0.5, bad_epochs=0.0)
    added = (noisy.mag - pool.mag).std(axis=1) / pool.mag.std(axis=1)
    assert 0.0 < added.min() < 0.1
    assert 0.4 < added.max() < 0.6
    thrown = disturbed(pool, OUR_INPUT, rng, noise=0.0, bad_epochs=0.1)
    moved = np.abs(thrown.mag - pool.mag) > pool.mag.std(axis=1, keepdims=True)
    assert 0.03 < moved.mean() < 0.07
    np.testing.assert_array_equal(noisy.label, pool.label)
    assert len(joined([pool, noisy, thrown])) == 3 * len(pool)
