"""Which windows cannot be scored, and why: decided before anything is divided by a scatter of zero."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

ScreenReason = Literal["non_finite", "bad_magnitude", "bad_error", "constant", "too_few_times"]

MIN_DISTINCT_TIMES = 20
"""Fewer distinct times constrain neither a period nor a three-harmonic fit (7 parameters) of 200 epochs."""

_LARGEST_MAGNITUDE = 60.0
"""Stars have -2 to 30 mag; placeholders beyond (99, -999, 1e30) overflow float32 once squared."""

_SMALLEST_SCATTER_MAG = 1e-6
"""The float32 spacing at 15 mag: a scatter below it is rounding, not light."""


def screen(
    time_mjd: npt.ArrayLike,
    mag: npt.ArrayLike,
    magerr: npt.ArrayLike,
) -> ScreenReason | None:
    """Return why a window cannot be scored, or None when it can.

    Parameters
    ----------
    time_mjd, mag, magerr : array_like, shape (n,)
        Times in days, magnitudes and their 1-sigma errors.

    Returns
    -------
    str or None
        ``"non_finite"`` (NaN or infinity anywhere), ``"bad_magnitude"`` (a placeholder beyond 60 mag),
        ``"bad_error"`` (an error of zero or less, or so small or large that float32 weights overflow),
        ``"constant"`` (no scatter), ``"too_few_times"`` (fewer than 20 distinct times); fit for a metric's
        label.
    """
    times, magnitudes, errors = (np.asarray(column, dtype=np.float64) for column in (time_mjd, mag, magerr))
    if not (np.isfinite(times).all() and np.isfinite(magnitudes).all() and np.isfinite(errors).all()):
        return "non_finite"
    if np.abs(magnitudes).max(initial=0.0) > _LARGEST_MAGNITUDE:
        return "bad_magnitude"
    if errors.min(initial=1.0) < _SMALLEST_SCATTER_MAG or errors.max(initial=0.0) > _LARGEST_MAGNITUDE:
        return "bad_error"
    if _count_distinct(times) < MIN_DISTINCT_TIMES:
        return "too_few_times"
    if magnitudes.std() < _SMALLEST_SCATTER_MAG:
        return "constant"
    return None


def _count_distinct(times: npt.NDArray[np.float64]) -> int:
    steps = times[1:] - times[:-1]
    if (steps < 0).any():
        return len(np.unique(times))
    return len(times) - int(np.count_nonzero(steps == 0))
