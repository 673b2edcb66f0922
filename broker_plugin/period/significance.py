"""How often noise alone makes a peak this high."""

from __future__ import annotations

import math

import numpy as np

from broker_plugin.records.epoch import FloatArray

_LOWEST = -300.0  # log10; beyond it the logarithms of residuals are rounding


def log10_false_alarm(
    highest_power: float, time_days: FloatArray, weights: FloatArray, highest_frequency: float
) -> float:
    """Return log10 of the false-alarm probability of the highest one-term peak.

    Baluev (2008, MNRAS 385, 1279, Eq. 5 and 6, "standard" normalisation): the expected number of
    upcrossings of the level, with the effective length of the time series from the weighted variance of
    its times; an upper bound that is sharp where frequencies are independent.

    Parameters
    ----------
    highest_power : float
        Between 0 and 1.
    time_days, weights : ndarray, shape (n,), float64
        Weights sum to one.
    highest_frequency : float
        Upper end of the search, cycles per day.
    """
    n = len(time_days)
    if n <= 4 or highest_power <= 0.0:
        return 0.0
    mean = float(np.sum(weights * time_days))
    spread = float(np.sum(weights * (time_days - mean) ** 2))
    width = highest_frequency * math.sqrt(4.0 * math.pi * spread)
    remaining = max(1.0 - highest_power, 1e-300)
    gamma = math.sqrt(2.0 / (n - 1)) * math.exp(math.lgamma((n - 1) / 2) - math.lgamma((n - 2) / 2))
    log10_single = 0.5 * (n - 3) * math.log10(remaining)
    crossings = gamma * width * math.sqrt(0.5 * (n - 1) * highest_power)
    log10_tau = 0.5 * (n - 4) * math.log10(remaining) + math.log10(max(crossings, 1e-300))
    if max(log10_single, log10_tau) < -8.0:
        combined = max(log10_single, log10_tau) + math.log10(1.0 + 10.0 ** (-abs(log10_single - log10_tau)))
        return max(combined, _LOWEST)
    single, tau = 10.0**log10_single, 10.0 ** min(log10_tau, 3.0)
    probability = 1.0 - (1.0 - single) * math.exp(-tau)
    return math.log10(min(1.0, max(probability, 1e-300)))
