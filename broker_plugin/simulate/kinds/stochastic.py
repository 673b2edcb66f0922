"""Random processes in time that can be asked at any time and always answer the same."""

from __future__ import annotations

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import Curve, Span

_MARGIN_DAYS = 1.0  # barycentric times run up to 8.3 minutes past the survey's own
_STEPS_PER_TIMESCALE = 20  # a linear interpolation then misses 2 % of the variance between the nodes


def damped_random_walk(rng: np.random.Generator, span: Span, timescale_days: float, sigma: float) -> Curve:
    """Return a stationary Ornstein-Uhlenbeck process (Kelly et al. 2009), zero mean.

    Parameters
    ----------
    rng : Generator
    span : Span
        The process is drawn on it; outside, it stays at its end values.
    timescale_days : float
        e-folding time of the autocorrelation.
    sigma : float
        Standard deviation, mag.
    """
    step = timescale_days / _STEPS_PER_TIMESCALE
    count = int(np.ceil((span.days + 2 * _MARGIN_DAYS) / step)) + 1
    decay = np.exp(-1.0 / _STEPS_PER_TIMESCALE)
    kicks = rng.standard_normal(count) * np.sqrt(1 - decay**2)
    values = np.empty(count)
    values[0] = rng.standard_normal()
    for i in range(1, count):
        values[i] = decay * values[i - 1] + kicks[i]
    nodes = span.start_mjd - _MARGIN_DAYS + step * np.arange(count)

    def curve(time_mjd: FloatArray) -> FloatArray:
        return sigma * np.interp(time_mjd, nodes, values)

    return curve
