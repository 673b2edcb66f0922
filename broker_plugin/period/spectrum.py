"""The periodogram: a Lomb-Scargle power on a uniform grid, and its sums over harmonics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from broker_plugin.period.harmonics import unit_circle
from broker_plugin.period.nonuniform import SingleComplexArray, trigonometric_sums
from broker_plugin.period.settings import PeriodSettings
from broker_plugin.records.epoch import Float32Array, FloatArray

_LEAST_OVERSAMPLING = 2.5  # a peak half way between two grid points still keeps 87 % of its power
_ROWS = 32  # that a spectrum is laid in, to learn how high its highest points are
_BLOCK = 16_384  # frequencies: what is computed of them stays in the processor's cache
# Where what a cosine and a sine have of their own is less, of all they have (or of one, where all epochs
# share a phase), errors of the sums would make peaks.
_DEGENERATE = 1e-4
_NO_PHASES = 1e-8
_Complex = TypeVar("_Complex", np.complex64, np.complex128)

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


def one_term_power(time_days: FloatArray, values: FloatArray, errors: FloatArray, grid: Grid) -> Float32Array:
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
    ndarray, shape (grid.size,), float32
        With errors of about 1e-5, some 1e-4 at most: enough to find peaks, whose height
        :func:`exact_power` tells.
    """
    weights, weighted, variance = _weighted(values, errors)
    of_weights, of_values = trigonometric_sums(
        time_days, np.stack([weights, weighted]), grid.first, grid.step, grid.size
    )
    of_doubled = _at_twice(of_weights, time_days, weights, grid)
    power = np.empty(grid.size, dtype=np.float32)
    for start in range(0, grid.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        power[part] = _power(of_weights[part], of_values[part], of_doubled[part], variance)
    return power


def exact_power(time_days: FloatArray, values: FloatArray, errors: FloatArray, frequency: float) -> float:
    """Return what :func:`one_term_power` returns, at one frequency and in double precision."""
    weights, weighted, variance = _weighted(values, errors)
    circle = unit_circle(time_days, np.array([frequency]))
    return float(_power(circle @ weights, circle @ weighted, circle**2 @ weights, variance)[0])


def _weighted(values: FloatArray, errors: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Return weights of sum one, these times the values about their mean, and the variance."""
    weights = errors**-2
    weights /= weights.sum()
    values = values - np.sum(weights * values)
    weighted = weights * values
    return weights, weighted, float(np.sum(weighted * values))


def _at_twice(
    of_weights: SingleComplexArray, time_days: FloatArray, weights: FloatArray, grid: Grid
) -> SingleComplexArray:
    """Return the sums of the weights at twice each grid frequency: of half of them the grid has them."""
    known = of_weights[grid.first :: 2]
    rest = trigonometric_sums(
        2.0 * time_days, weights[None], grid.first + len(known), grid.step, grid.size - len(known)
    )
    return np.concatenate([known, rest[0]])


def _power(
    weight: npt.NDArray[_Complex],
    value: npt.NDArray[_Complex],
    doubled: npt.NDArray[_Complex],
    variance: float,
) -> npt.NDArray[np.floating]:
    """Return the power in the precision of the sums; see :func:`one_term_power`."""
    a = weight * weight
    np.subtract(doubled, a, out=a)
    turned = value * value
    turned *= np.conjugate(a)
    above = 1.0 - _squared_modulus(weight)
    b_squared = above * above
    above *= _squared_modulus(value)
    above -= turned.real
    below = b_squared - _squared_modulus(a)
    b_squared *= _DEGENERATE
    b_squared += _NO_PHASES
    below[below < b_squared] = np.inf  # a cosine and a sine are one there: no power rather than rounding
    above /= below
    above *= 2.0 / variance
    return np.clip(above, 0.0, 1.0, out=above)


def _squared_modulus(sums: npt.NDArray[_Complex]) -> npt.NDArray[np.floating]:
    parts = np.square(sums.view(sums.real.dtype))  # all in a row: twice as fast as real and imaginary parts
    return np.asarray(parts[0::2] + parts[1::2])


def harmonic_sum(power: Float32Array, grid: Grid, n_harmonics: int) -> Float32Array:
    """Return the power summed over the first harmonics of each frequency that has them all on the grid.

    Up to the leakage between harmonics this is the periodogram of a Fourier series; it costs
    one addition where that costs a matrix, and its peaks are refitted exactly anyway.

    Returns
    -------
    ndarray, shape (m,), float32
        For grid frequencies ``first .. first + m - 1``.
    """
    last = (grid.first + grid.size - 1) // n_harmonics
    size = max(0, last - grid.first + 1)
    total = power[:size].copy()
    for harmonic in range(2, n_harmonics + 1):
        start = harmonic * grid.first - grid.first
        total += power[start : start + harmonic * (size - 1) + 1 : harmonic] if size else 0.0
    return total


def highest_peaks(power: Float32Array, count: int) -> npt.NDArray[np.intp]:
    """Return indices of the highest local maxima, highest first (equal ones: lower frequency first)."""
    columns = len(power) // _ROWS
    tops = power[: _ROWS * columns].reshape(_ROWS, columns).max(axis=0)
    peaks = np.empty(0, dtype=np.intp)
    for points in (20 * count, 200 * count):  # that are high, at least; few of them are maxima
        if len(peaks) < count and columns > points:
            peaks = _local_maxima(power, float(np.partition(tops, columns - points)[columns - points]))
    if len(peaks) < count:
        peaks = _local_maxima(power, -np.inf)
    highest: npt.NDArray[np.intp] = peaks[np.argsort(-power[peaks], kind="stable")[:count]]
    return highest


def _local_maxima(power: Float32Array, least: float) -> npt.NDArray[np.intp]:
    """Return indices of the maxima of at least this height, of a plateau the last; ends may be maxima."""
    high = np.flatnonzero(power >= least)
    last = len(power) - 1
    heights, left, right = power[high], power[np.maximum(high - 1, 0)], power[np.minimum(high + 1, last)]
    rises, falls = heights > left, heights > right
    maxima: npt.NDArray[np.intp] = high[np.where(high == last, rises, falls & (rises | (heights == left)))]
    return maxima
