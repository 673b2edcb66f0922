"""The fast sums against plain least squares, and the periodogram against astropy's."""

from __future__ import annotations

import numpy as np
from astropy.timeseries import LombScargle
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.period.harmonics import fit_harmonics, unit_circle
from broker_plugin.period.spectrum import (
    exact_power,
    frequency_grid,
    harmonic_sum,
    highest_peaks,
    one_term_power,
)
from tests.period.curves import SETTINGS, night_times, observe, rr_lyrae


def test_fits_equal_least_squares():
    """Residuals of 1 to 4 harmonics and the coefficients equal a weighted lstsq at each frequency."""
    rng = np.random.default_rng(1)
    time = night_times(rng) - 58000
    mag, _ = observe(rng, rr_lyrae, 0.5678, time)
    weights = rng.uniform(0.5, 1.5, len(time))
    weights /= weights.sum()
    values = mag - np.sum(weights * mag)
    values /= np.sqrt(np.sum(weights * values**2))
    frequencies = np.array([1 / 0.5678, 0.7, 3.3, 12.0])

    fits = fit_harmonics(time, values, weights, frequencies, 4)

    for row, frequency in enumerate(frequencies):
        for n_harmonics in range(1, 5):
            angle = 2 * np.pi * frequency * time
            columns = [f(k * angle) for k in range(1, n_harmonics + 1) for f in (np.cos, np.sin)]
            design = np.stack([np.ones_like(time), *columns], axis=1)
            root = np.sqrt(weights)
            solution, residual, _, _ = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)
            np.testing.assert_allclose(fits.residual[row, n_harmonics - 1], residual[0], rtol=1e-6)
        np.testing.assert_allclose(fits.coefficients(row), solution[1:], rtol=1e-5, atol=1e-6)


def test_power_equals_astropy():
    """One term, floating mean, weights: astropy's exact sums, on the grid to 2e-4 (its sums are to 1e-5)."""
    rng = np.random.default_rng(2)
    time = night_times(rng, n=80, years=0.5) - 58000
    mag, err = observe(rng, rr_lyrae, 0.5678, time)
    err *= rng.uniform(1, 2, len(err))
    grid = frequency_grid(float(np.ptp(time)), SETTINGS)
    frequencies = grid.step * (grid.first + np.arange(grid.size))

    power = one_term_power(time, mag - mag.mean(), err, grid)

    some = slice(None, None, 37)
    expected = LombScargle(time, mag, err).power(frequencies[some], method="cython")
    np.testing.assert_allclose(power[some], expected, atol=2e-4)
    assert np.sqrt(((power[some] - expected) ** 2).mean()) < 2e-5
    exact = [exact_power(time, mag - mag.mean(), err, frequency) for frequency in frequencies[some]]
    np.testing.assert_allclose(exact, expected, atol=1e-10)


def test_frequencies_that_the_sampling_cannot_tell_from_a_constant_have_no_power():
    """One epoch a day at the same minute: at whole cycles a day rounding is all there is, and no peak."""
    rng = np.random.default_rng(8)
    time = np.sort(rng.choice(700, 200, replace=False)).astype(np.float64)
    mag, err = rng.normal(size=200), np.full(200, 0.1)
    grid = frequency_grid(float(np.ptp(time)), SETTINGS)
    frequencies = grid.step * (grid.first + np.arange(grid.size))
    whole = np.abs(frequencies - frequencies.round()) < 0.001 * grid.step

    power = one_term_power(time - time[0], mag, err, grid)

    assert whole.sum() > 20
    np.testing.assert_array_equal(power[whole], 0.0)
    assert np.isfinite(power).all()


def test_harmonic_sum_adds_the_right_frequencies():
    """The sum at k is the power at k, 2k and 3k, for those whose 3k is on the grid."""
    grid = frequency_grid(100.0, SETTINGS)
    power = np.arange(grid.first, grid.first + grid.size, dtype=np.float32)  # power equals its own index

    total = harmonic_sum(power, grid, 3)

    np.testing.assert_array_equal(total, 6.0 * np.arange(grid.first, grid.first + len(total)))
    assert 3 * (grid.first + len(total)) > grid.first + grid.size - 1


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=60) | st.just([0] * 3000),
    st.integers(1, 12),
    st.sampled_from([1, 200, 2000]),
)
def test_highest_peaks_are_those_of_a_plain_search(heights, count, repeats):
    """Plateaus, ends, fewer peaks than asked for, short spectra and long: as by comparing all neighbours."""
    power = np.tile(np.array(heights, dtype=np.float32), repeats)[:20_000]
    power += np.linspace(0, 1e-3, len(power), dtype=np.float32).round(4)
    wanted = []
    for k in range(len(power)):
        left = power[k - 1] if k else -np.inf
        right = power[k + 1] if k < len(power) - 1 else -np.inf
        if (
            len(power) > 1
            and (power[k] > left or (power[k] == left and right > -np.inf))
            and power[k] > right
        ):
            wanted.append(k)
    wanted.sort(key=lambda k: (-power[k], k))

    assert highest_peaks(power, count).tolist() == wanted[:count]


@given(st.floats(1e-4, 50.0), st.lists(st.floats(-6000.0, 6000.0), min_size=1, max_size=20))
def test_unit_circle_is_exact(frequency, times):
    """To the rounding of the product of frequency and time, for times of both signs."""
    time = np.array(times)

    (circle,) = unit_circle(time, np.array([frequency]))

    cycles = frequency * time
    np.testing.assert_allclose(circle, np.exp(2j * np.pi * (cycles - np.rint(cycles))), rtol=0, atol=1e-15)
