"""Which windows cannot be scored, and why: decided before anything is divided by a scatter of zero."""

from __future__ import annotations

from typing import Any, Literal

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
    columns = (np.asarray(column, dtype=np.float64)[None] for column in (time_mjd, mag, magerr))
    return screen_windows(*columns)[0]


def screen_windows(
    time_mjd: npt.ArrayLike, mag: npt.ArrayLike, magerr: npt.ArrayLike
) -> list[ScreenReason | None]:
    """Return what :func:`screen` says of each of several windows of one length, all arrays (n, L)."""
    times, magnitudes, errors = (np.asarray(column, dtype=np.float64) for column in (time_mjd, mag, magerr))
    if times.shape[1] == 0:
        return ["too_few_times"] * len(times)
    finite = np.isfinite(times) & np.isfinite(magnitudes) & np.isfinite(errors)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite has its reason already
        failed: dict[ScreenReason, Any] = {
            "non_finite": ~finite.all(axis=1),
            "bad_magnitude": np.abs(magnitudes).max(axis=1) > _LARGEST_MAGNITUDE,
            "bad_error": (errors.min(axis=1) < _SMALLEST_SCATTER_MAG)
            | (errors.max(axis=1) > _LARGEST_MAGNITUDE),
            "too_few_times": _count_distinct(times) < MIN_DISTINCT_TIMES,
            "constant": magnitudes.std(axis=1) < _SMALLEST_SCATTER_MAG,
        }
    reasons: list[ScreenReason | None] = [None] * len(times)
    for reason, rows in reversed(failed.items()):  # the first of several is told
        for row in np.flatnonzero(rows).tolist():
            reasons[row] = reason
    return reasons


def _count_distinct(times: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    steps = times[:, 1:] - times[:, :-1]
    if (steps < 0).any():
        steps = np.diff(np.sort(times, axis=1), axis=1)
    return np.asarray(times.shape[1] - np.count_nonzero(steps == 0, axis=1))
