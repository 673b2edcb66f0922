"""The periodogram: a Lomb-Scargle power on a uniform grid, and its sums over harmonics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.period.settings import PeriodSettings
from broker_plugin.records.epoch import FloatArray

_LEAST_OVERSAMPLING = 2.5  # a peak half way between two grid points still keeps 87 % of its power
HARMONIC_SUMS = (1, 2, 3, 4, 6)
"""Numbers of harmonics of the summed periodograms: 1 for pulsators, 4 and 6 for narrow eclipses."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Frequencies ``step * k`` for ``first <= k < first + size``, cycles per day; ``cut`` when shortened."""

    step: float
    first: int
    size: int
    cut: bool


def frequency_grid(baseline_days: float, settings: PeriodSettings) -> Grid:
    """Lay the grid of a light curve of this baseline, never sparser than its peaks are wide."""
    highest = 1.0 / settings.min_days
    oversampling = settings.oversampling
    if highest * baseline_days * oversampling > settings.max_grid:
        oversampling = max(_LEAST_OVERSAMPLING, settings.max_grid / (highest * baseline_days))
    step = 1.0 / (oversampling * baseline_days)
    lowest = max(1.0 / settings.max_days, 1.0 / (settings.max_baselines * baseline_days))
    first = max(1, int(np.ceil(lowest / step)))
    last = int(np.floor(highest / step))
    cut = last > settings.max_grid
    last = min(last, settings.max_grid)
    return Grid(step, first, max(0, last - first + 1), cut)


def one_term_power(time_days: FloatArray, values: FloatArray, errors: FloatArray, grid: Grid) -> FloatArray:
    """Return the Lomb-Scargle power (floating mean, 0 to 1) at each grid frequency.

    Parameters
    ----------
    time_days, values, errors : ndarray, shape (n,), float64
    grid : Grid

    Returns
    -------
    ndarray, shape (grid.size,), float64
    """
    import nifty_ls  # here: it brings most of astropy, a second that only who searches periods should wait

    result = nifty_ls.finufft.lombscargle(
        time_days,
        values,
        fmin=grid.first * grid.step,
        df=grid.step,
        Nf=grid.size,
        dy=errors,
        nthreads=1,  # same sums in the same order, and workers scale by processes
        finufft_kwargs={"eps": 1e-6},
    )
    power = np.asarray(result, dtype=np.float64)
    return np.clip(np.nan_to_num(power, nan=0.0, posinf=0.0, neginf=0.0), 0.0, 1.0)


def harmonic_sum(power: FloatArray, grid: Grid, n_harmonics: int) -> FloatArray:
    """Return the power summed over the first harmonics of each frequency that has them all on the grid.

    Up to the leakage between harmonics this is the periodogram of a Fourier series; it costs
    one addition where that costs a matrix, and its peaks are refitted exactly anyway.

    Returns
    -------
    ndarray, shape (m,), float64
        For grid frequencies ``first .. first + m - 1``.
    """
    last = (grid.first + grid.size - 1) // n_harmonics
    size = max(0, last - grid.first + 1)
    total = power[:size].copy()
    for harmonic in range(2, n_harmonics + 1):
        start = harmonic * grid.first - grid.first
        total += power[start : start + harmonic * (size - 1) + 1 : harmonic] if size else 0.0
    return total


def highest_peaks(power: FloatArray, count: int) -> np.ndarray:
    """Return indices of the highest local maxima, highest first (equal ones: lower frequency first)."""
    if len(power) < 3:
        return np.argsort(-power, kind="stable")[:count]
    inner = power[1:-1]
    is_peak = np.empty(len(power), dtype=bool)
    is_peak[1:-1] = (inner >= power[:-2]) & (inner > power[2:])
    is_peak[0], is_peak[-1] = power[0] > power[1], power[-1] > power[-2]
    peaks = np.flatnonzero(is_peak)
    heights = power[peaks]
    if len(peaks) > 8 * count:
        chosen = heights >= np.partition(heights, len(heights) - 4 * count)[len(heights) - 4 * count]
        peaks, heights = peaks[chosen], heights[chosen]
    return peaks[np.argsort(-heights, kind="stable")[:count]]
