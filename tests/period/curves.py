"""Light curves with known periods, seen as a survey sees them."""

from __future__ import annotations

import numpy as np

from broker_plugin.period import PeriodSettings
from broker_plugin.records.epoch import FloatArray

SETTINGS = PeriodSettings()


def night_times(rng: np.random.Generator, n: int = 200, years: float = 3.0) -> FloatArray:
    """Return MJDs of one site: two thirds of each year, at most one visit a night, within +-3 hours."""
    nights = np.arange(round(365.25 * years))
    nights = nights[nights % 365 < 240]
    chosen = np.sort(rng.choice(nights, n, replace=False))
    sidereal_drift = -((chosen % 365) / 365.25) % 0.25  # a field is observed earlier from night to night
    return 58000.3 + chosen + sidereal_drift + rng.uniform(-0.06, 0.06, n)


def rr_lyrae(phase: FloatArray) -> FloatArray:
    """Return a sawtooth with a fast rise, 0.9 mag, in magnitudes."""
    angle = 2 * np.pi * phase
    harmonics = ((0.32, 0.0), (0.15, 2.3), (0.09, 4.6), (0.05, 0.6))
    return 15.0 - sum(a * np.cos((k + 1) * angle + p) for k, (a, p) in enumerate(harmonics))


def contact_binary(phase: FloatArray, odd: float = 0.04) -> FloatArray:
    """Return two round minima a cycle whose depths differ by twice ``odd`` magnitudes."""
    angle = 2 * np.pi * phase
    return 14.0 + 0.2 * np.cos(2 * angle) + 0.05 * np.cos(4 * angle) + odd * np.cos(angle)


def detached_binary(phase: FloatArray) -> FloatArray:
    """Return narrow minima of 0.6 and 0.25 mag."""

    def dip(centre: float) -> FloatArray:
        distance = np.abs((phase - centre + 0.5) % 1.0 - 0.5)
        return np.exp(-0.5 * (distance / 0.03) ** 2)

    return 13.0 + 0.6 * dip(0.0) + 0.25 * dip(0.5)


def observe(
    rng: np.random.Generator, shape, period_days: float, time: FloatArray, noise: float = 0.02
) -> tuple[FloatArray, FloatArray]:
    """Return magnitudes and errors at the times."""
    mag = shape((time / period_days) % 1.0) + rng.normal(0.0, noise, len(time))
    return mag, np.full(len(time), noise)
