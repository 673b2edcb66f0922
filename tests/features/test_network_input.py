"""Folding, lags and normalisation, against small cases worked out by hand and invariants."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.features import OUR_INPUT, PUBLISHED_INPUT, InputConventions, build_network_input
from tests.shared import shared_path

PAPER_INPUT = replace(OUR_INPUT, phase_zero="first_epoch")


def make_window(seed: int, n_epochs: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a noisy sawtooth of period 0.7 d in time order."""
    rng = np.random.default_rng(seed)
    time = np.sort(58_000.0 + rng.uniform(0, 400, n_epochs))
    mag = (12.0 + np.mod(time / 0.7, 1.0) + 0.05 * rng.normal(size=n_epochs)).astype(np.float32)
    return time, mag, rng.uniform(0.01, 0.05, n_epochs).astype(np.float32)


def test_four_epochs_by_hand() -> None:
    """Four epochs, period 2 d: phases 0, .25, .75, .5 sort to lags 0, .25, .25, .25."""
    built = build_network_input(
        [10.0, 10.5, 11.5, 13.0], [1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4], 2.0, PAPER_INPUT
    )
    scatter = np.sqrt(1.25)
    np.testing.assert_array_equal(built.order, [[0, 1, 3, 2]])
    np.testing.assert_allclose(built.sequence[0, :, 0], [0, 0.25, 0.25, 0.25], atol=1e-7)
    np.testing.assert_allclose(built.sequence[0, :, 1], np.array([-1.5, -0.5, 1.5, 0.5]) / scatter, rtol=1e-6)
    np.testing.assert_allclose(built.error[0], np.array([0.1, 0.2, 0.4, 0.3]) / scatter, rtol=1e-6)
    np.testing.assert_allclose(built.auxiliary, [[scatter, np.log10(2.0)]], rtol=1e-6)
    np.testing.assert_allclose(built.phase, [[0, 0.25, 0.75, 0.5]], atol=1e-12)


def test_published_lags_are_forward_and_in_days() -> None:
    """The published code folds from time 0, in days, and puts the zero lag last."""
    built = build_network_input([10.0, 10.5, 11.5, 13.0], [1, 2, 3, 4], [0.1] * 4, 2.0, PUBLISHED_INPUT)
    np.testing.assert_allclose(built.sequence[0, :, 0], [0.5, 0.5, 0.5, 0], atol=1e-7)
    np.testing.assert_allclose(built.auxiliary, [[2.5, np.sqrt(1.25), np.log10(2.0)]], rtol=1e-6)


def test_auxiliary_is_scaled_by_the_conventions() -> None:
    """Mean and scale of the manifest are applied to each auxiliary feature."""
    time, mag, magerr = make_window(0)
    raw = build_network_input(time, mag, magerr, 0.7, OUR_INPUT, dtype=np.float64).auxiliary
    scaled = replace(OUR_INPUT, auxiliary_mean=(0.1, -1.0), auxiliary_scale=(2.0, 0.5))
    found = build_network_input(time, mag, magerr, 0.7, scaled, dtype=np.float64).auxiliary
    np.testing.assert_allclose(found, (raw - [0.1, -1.0]) / [2.0, 0.5], rtol=1e-14)


@pytest.mark.parametrize("conventions", [OUR_INPUT, PAPER_INPUT, PUBLISHED_INPUT])
@given(seed=st.integers(0, 50), shuffle=st.randoms(use_true_random=False))
@settings(max_examples=15, deadline=None)
def test_any_permutation_gives_the_same_input(
    conventions: InputConventions, seed: int, shuffle: object
) -> None:
    """The order in which the epochs of a window arrive changes neither input nor phase of an epoch."""
    time, mag, magerr = make_window(seed)
    time[3] = time[4]  # a tie in time, different magnitudes
    permutation = list(range(len(time)))
    shuffle.shuffle(permutation)  # type: ignore[attr-defined]
    one = build_network_input(time, mag, magerr, 0.7, conventions)
    other = build_network_input(time[permutation], mag[permutation], magerr[permutation], 0.7, conventions)
    np.testing.assert_array_equal(one.sequence, other.sequence)
    np.testing.assert_array_equal(one.error, other.error)
    np.testing.assert_array_equal(one.phase[0][permutation], other.phase[0])


@pytest.mark.parametrize("conventions", [OUR_INPUT, PAPER_INPUT])
@given(seed=st.integers(0, 20), shift=st.integers(-20_000, 20_000))
@settings(max_examples=25, deadline=None)
def test_a_shift_of_all_times_changes_nothing(conventions: InputConventions, seed: int, shift: int) -> None:
    """Phases count from a point of the window, not from the origin of the time scale."""
    time, mag, magerr = make_window(seed)
    one = build_network_input(time, mag, magerr, 0.7, conventions)
    other = build_network_input(time + shift, mag, magerr, 0.7, conventions)
    # MJD in float64 is good to 1e-11 d; an epoch within that of phase 0 may change ends.
    distance = np.abs(one.phase - other.phase)
    assert np.minimum(distance, 1 - distance).max() < 1e-9


@given(seed=st.integers(0, 30), offset=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_aligned_phases_do_not_depend_on_where_the_window_starts(seed: int, offset: float) -> None:
    """With phase zero at minimum light the same shape comes out alike, whatever epoch is the first."""
    rng = np.random.default_rng(seed)
    time = np.sort(58_000.0 + rng.uniform(0, 400, 200))
    mag = 12 + np.cos(2 * np.pi * (time / 0.7 - offset))  # faintest at phase `offset`
    built = build_network_input(time, mag, np.full(200, 0.02), 0.7, OUR_INPUT)
    faintest = built.phase[0, np.argmax(mag)]
    assert min(faintest, 1 - faintest) < 0.05


def test_reconstruction_returns_to_the_input_order() -> None:
    """The network's own input, put back, is the light curve."""
    time, mag, magerr = make_window(1)
    shuffled = np.random.default_rng(2).permutation(200)
    built = build_network_input(time[shuffled], mag[shuffled], magerr[shuffled], 0.7, OUR_INPUT)
    np.testing.assert_allclose(built.to_magnitudes(built.sequence[:, :, 1])[0], mag[shuffled], atol=1e-5)


def test_many_windows_at_once_equal_one_by_one() -> None:
    """Vectorised over windows: no window sees another."""
    windows = [make_window(seed) for seed in range(6)]
    periods = np.array([0.7, 1.4, 0.35, 10.0, 300.0, 0.05])
    together = build_network_input(
        *(np.stack(column) for column in zip(*windows, strict=True)), periods, OUR_INPUT
    )
    for index, (window, period) in enumerate(zip(windows, periods, strict=True)):
        alone = build_network_input(*window, period, OUR_INPUT)
        np.testing.assert_array_equal(together.sequence[index], alone.sequence[0])
        np.testing.assert_array_equal(together.auxiliary[index], alone.auxiliary[0])


@pytest.mark.parametrize("period", [0.0, -1.0, np.nan, np.inf])
def test_a_period_that_is_none_is_refused(period: float) -> None:
    """A fold by zero, a negative or no number is a caller's error, not a NaN in the output."""
    with pytest.raises(ValueError, match="fold period"):
        build_network_input(*make_window(0), period, OUR_INPUT)


def test_results_are_read_only() -> None:
    """Arrays that leave the function cannot be changed by whoever holds them."""
    built = build_network_input(*make_window(0), 0.7, OUR_INPUT)
    for array in (built.sequence, built.error, built.auxiliary, built.order, built.phase):
        assert not array.flags.writeable


def test_published_preprocessing_is_reproduced() -> None:
    """Folds, lags, normalised magnitudes and supports of the golden stars, as the authors' code made them."""
    golden = np.load(shared_path("reference/golden_forward.npz"), allow_pickle=False)
    starts = np.concatenate([[0], np.cumsum(golden["star_length"])])
    seen: dict[int, int] = {}
    for index, star in enumerate(golden["seq_star"]):
        chunk = seen.get(int(star), 0)
        seen[int(star)] = chunk + 1
        take = slice(starts[star] + 200 * chunk, starts[star] + 200 * (chunk + 1))
        built = build_network_input(
            golden["star_times"][take],
            golden["star_mags"][take],
            golden["star_errs"][take],
            golden["seq_period"][index],
            PUBLISHED_INPUT,
            dtype=np.float64,
        )
        np.testing.assert_allclose(built.sequence[0], golden["X"][index], rtol=0, atol=1e-10)
        np.testing.assert_allclose(built.error[0], golden["X_err"][index], rtol=0, atol=1e-10)
        np.testing.assert_allclose(built.auxiliary[0], golden["supports"][index], rtol=0, atol=1e-10)
    assert sum(seen.values()) == 64
