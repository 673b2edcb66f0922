"""What the leaders are ranked by besides squares: against the sums written out, and what it is for."""

from __future__ import annotations

import numpy as np

from broker_plugin.period import find_period
from broker_plugin.period.light_curve import prepare
from broker_plugin.period.scatter import absolute_residual, folded_scatter
from tests.period.curves import SETTINGS, night_times, observe, rr_lyrae


def _curve(seed: int):
    rng = np.random.default_rng(seed)
    time = night_times(rng)
    mag, err = observe(rng, rr_lyrae, 0.5678, time)
    return prepare(time, mag, err * rng.uniform(1, 2, len(err)))


def test_absolute_residuals_equal_those_of_least_squares():
    """Series of different lengths at different frequencies, fitted one by one with lstsq."""
    curve = _curve(1)
    frequencies, harmonics = np.array([1 / 0.5678, 0.7, 3.3]), np.array([4, 1, 4])

    found = absolute_residual(curve, frequencies, harmonics)

    for frequency, count, value in zip(frequencies, harmonics, found, strict=True):
        angle = 2 * np.pi * frequency * curve.time_days
        columns = [f(k * angle) for k in range(1, count + 1) for f in (np.cos, np.sin)]
        design = np.stack([np.ones_like(angle), *columns], axis=1)
        root = np.sqrt(curve.weights)
        solution, *_ = np.linalg.lstsq(design * root[:, None], curve.values * root, rcond=None)
        np.testing.assert_allclose(value, np.abs(curve.values - design @ solution).mean(), rtol=1e-5)


def test_folded_scatter_is_that_about_nine_neighbours_in_phase():
    """The fold closes: the first epochs have the last as neighbours."""
    curve = _curve(2)
    frequency = 1 / 0.5678
    folded = curve.values[np.argsort((curve.time_days * frequency) % 1.0, kind="stable")]
    n = len(folded)
    medians = [np.median(folded[np.arange(i - 4, i + 5) % n]) for i in range(n)]

    found = folded_scatter(curve, np.array([frequency, 0.1234]))

    np.testing.assert_allclose(found[0], np.abs(folded - medians).mean(), rtol=1e-12)
    assert found[1] > 2 * found[0]


def test_a_few_bad_epochs_cost_few_periods():
    """Weak sinusoids with four epochs in a hundred thrown off by eight amplitudes."""
    right = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        time, period = night_times(rng), float(10 ** rng.uniform(-1, 0))
        mag, err = observe(rng, lambda phase: 12 + 0.1 * np.cos(2 * np.pi * phase), period, time, 0.04)
        bad = rng.choice(len(mag), 8, replace=False)
        mag[bad] += rng.choice([-0.8, 0.8], len(bad))
        right += abs(find_period(time, mag, err, SETTINGS).fold_days / period - 1) < 0.01

    assert right >= 17, right
