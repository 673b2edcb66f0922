"""The periodogram: a Lomb-Scargle power on a uniform grid, and its sums over harmonics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.period.nonuniform import ComplexArray, trigonometric_sums
from broker_plugin.period.settings import PeriodSettings
from broker_plugin.records.epoch import FloatArray

_LEAST_OVERSAMPLING = 2.5  # a peak half way between two grid points still keeps 87 % of its power
_BLOCK = 8192  # frequencies: what is computed of them stays in the processor's cache
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

    The generalised periodogram of Zechmeister & Kuerster (2009, A&A 496, 577, Eq. 4 to 13), its sums written
    as complex numbers: with W(f) the sums of the weights and Y(f) those of weights times values,
    a = W(2f) - W(f)^2 and b = 1 - |W(f)|^2, the power is 2 (b |Y|^2 - Re(conj(a) Y^2)) / (b^2 - |a|^2) over
    the variance.

    Parameters
    ----------
    time_days, values, errors : ndarray, shape (n,), float64
    grid : Grid

    Returns
    -------
    ndarray, shape (grid.size,), float64
    """
    weights = errors**-2
    weights /= weights.sum()
    values = values - np.sum(weights * values)
    weighted = weights * values
    variance = float(np.sum(weighted * values))
    of_weights = trigonometric_sums(time_days, weights, grid.first, grid.step, grid.size)
    of_values = trigonometric_sums(time_days, weighted, grid.first, grid.step, grid.size)
    of_doubled = _at_twice(of_weights, time_days, weights, grid)
    power = np.empty(grid.size)
    for start in range(0, grid.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        power[part] = _power(of_weights[part], of_values[part], of_doubled[part])
    power /= variance
    np.nan_to_num(power, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return np.clip(power, 0.0, 1.0, out=power)


def _at_twice(
    of_weights: ComplexArray, time_days: FloatArray, weights: FloatArray, grid: Grid
) -> ComplexArray:
    """Return the sums of the weights at twice each grid frequency: of half of them the grid has them."""
    known = of_weights[grid.first :: 2]
    rest = trigonometric_sums(
        2.0 * time_days, weights, grid.first + len(known), grid.step, grid.size - len(known)
    )
    return np.concatenate([known, rest])


def _power(weight: ComplexArray, value: ComplexArray, doubled: ComplexArray) -> FloatArray:
    """Return the power times the variance; see :func:`one_term_power`."""
    a = weight * weight
    np.subtract(doubled, a, out=a)
    a_real, a_imag = a.real.copy(), a.imag.copy()
    real, imag = value.real.copy(), value.imag.copy()
    b = 1.0 - (weight.real**2 + weight.imag**2)
    real_squared, imag_squared = real * real, imag * imag
    above = b * (real_squared + imag_squared)
    above -= a_real * (real_squared - imag_squared)
    real *= imag
    real *= a_imag
    real *= 2.0
    above -= real
    below = b * b
    below -= a_real * a_real
    below -= a_imag * a_imag
    with np.errstate(divide="ignore", invalid="ignore"):  # where a cosine and a sine are one
        above /= below
    above *= 2.0
    return above


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
