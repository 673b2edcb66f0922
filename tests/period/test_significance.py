"""The false-alarm probability is a rate."""

from __future__ import annotations

import itertools

import numpy as np

from broker_plugin.period.significance import log10_false_alarm
from broker_plugin.period.spectrum import frequency_grid, one_term_power
from tests.period.curves import SETTINGS, night_times, observe, rr_lyrae


def test_rate_on_shuffled_light_curves():
    """400 shuffles of a light curve on a single-site cadence: P(FAP <= p) is p within 3 sigma of counting.

    Baluev's formula is an upper bound that daily aliases make slack, so only the upper side is strict.
    """
    rng = np.random.default_rng(3)
    values = []
    for _ in range(20):
        time = night_times(rng, years=0.7, n=100) - 58000
        mag, err = observe(rng, rr_lyrae, 0.5678, time)
        grid = frequency_grid(float(np.ptp(time)), SETTINGS)
        weights = np.full(len(time), 1 / len(time))
        for _ in range(20):
            shuffled = rng.permutation(mag)
            power = one_term_power(time, shuffled - shuffled.mean(), err, grid)
            highest_frequency = grid.step * (grid.first + grid.size)
            values.append(log10_false_alarm(float(power.max()), time, weights, highest_frequency))
    found = np.array(values)

    for level in (0.3, 0.1, 0.03):
        rate = np.mean(found <= np.log10(level))
        assert rate <= level + 3 * np.sqrt(level / len(found))
        assert rate >= 0.3 * level - 3 * np.sqrt(level / len(found))


def test_falls_with_power_and_stays_finite():
    """From no peak (probability one) to a perfect one (a floor, not minus infinity)."""
    time = night_times(np.random.default_rng(4)) - 58000
    weights = np.full(len(time), 1 / len(time))
    powers = (0.0, 0.05, 0.1, 0.2, 0.5, 0.9, 1.0)

    values = [log10_false_alarm(power, time, weights, 33.3) for power in powers]

    assert values[0] == 0.0
    assert all(later <= earlier for earlier, later in itertools.pairwise(values))
    assert values[3] < -2
    assert np.isfinite(values[-1])
