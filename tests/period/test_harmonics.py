"""The fast sums against plain least squares, and the periodogram against astropy's."""

from __future__ import annotations

import numpy as np
from astropy.timeseries import LombScargle

from broker_plugin.period.harmonics import fit_harmonics
from broker_plugin.period.spectrum import frequency_grid, harmonic_sum, one_term_power
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
        np.testing.assert_allclose(fits.coefficients[row], solution[1:], rtol=1e-5, atol=1e-6)


def test_power_equals_astropy():
    """One term, floating mean, weights: astropy's exact sums to 1e-5 (the transform's tolerance is 1e-6)."""
    rng = np.random.default_rng(2)
    time = night_times(rng, n=80, years=0.5) - 58000
    mag, err = observe(rng, rr_lyrae, 0.5678, time)
    err *= rng.uniform(1, 2, len(err))
    grid = frequency_grid(float(np.ptp(time)), SETTINGS)
    frequencies = grid.step * (grid.first + np.arange(grid.size))

    power = one_term_power(time, mag - mag.mean(), err, grid)

    some = slice(None, None, 37)
    expected = LombScargle(time, mag, err).power(frequencies[some], method="cython")
    np.testing.assert_allclose(power[some], expected, atol=1e-5)


def test_harmonic_sum_adds_the_right_frequencies():
    """The sum at k is the power at k, 2k and 3k, for those whose 3k is on the grid."""
    grid = frequency_grid(100.0, SETTINGS)
    power = np.arange(grid.first, grid.first + grid.size, dtype=np.float64)  # power equals its own index

    total = harmonic_sum(power, grid, 3)

    np.testing.assert_array_equal(total, 6.0 * np.arange(grid.first, grid.first + len(total)))
    assert 3 * (grid.first + len(total)) > grid.first + grid.size - 1
