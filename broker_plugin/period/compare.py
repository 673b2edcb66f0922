"""The comparison of candidates by multi-harmonic fits, and its rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.period.candidates import SIDEREAL_DAY, Candidates
from broker_plugin.period.harmonics import SeriesSums, fit_sums, unit_circle
from broker_plugin.period.light_curve import LightCurve
from broker_plugin.period.scatter import absolute_residual, folded_scatter
from broker_plugin.records.epoch import FloatArray

_LONG_FREQUENCY = (
    0.02  # cycles per day; above 50 days cycles differ, and further harmonics fit the differences
)
_CYCLES_EACH_LONG = 4.0  # observed for each harmonic beyond 50 days
_CYCLES_EACH = 2.0  # and below
_DAY_ALIAS_WIDTH = 0.02  # cycles per day about one and two cycles a day: slow variation seen once a night
_DAY_MULTIPLE_WIDTH = 2.5e-3  # about three to five
_HIGHEST_DAY_MULTIPLE = 5
_MONTH_WIDTH = 0.03  # relative
_DISTRUST = 0.7  # a distrusted frequency must leave this fraction of its rival's residual variance
_LUNAR_MONTH = 29.530589  # days, synodic
_COARSE_OFFSETS = np.array([-0.1, -0.05, 0.0, 0.05, 0.1])  # of the inverse baseline
_FINE_OFFSETS: FloatArray = np.arange(-3.0, 4.0) * np.float64(0.02)
_COARSE_HARMONICS = 3
_LEADERS = 16  # the right one is hardly ever behind them
_SCATTER_WEIGHT = 0.5
RESOLUTION = 0.15
"""Frequencies closer than this part of the inverse baseline are one."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Finalists, best first: refined frequencies, scores (lower is better) and how each came in."""

    frequencies: FloatArray
    scores: FloatArray
    kinds: tuple[str, ...]


def compare(
    curve: LightCurve,
    candidates: Candidates,
    finalists: int,
    n_harmonics: int,
    limits: tuple[float, float],
) -> Comparison:
    """Refine the candidates within ``limits`` (cycles per day) and rank them, each frequency once.

    The criterion is the Bayesian one of the best series of 1..H harmonics, plus twice the logarithm of the
    frequency (the number of trial frequencies grows with it: a prior flat in log frequency), plus a penalty
    for frequencies that the sky and the clock make by themselves. A series may have at most one harmonic
    for each two cycles observed, for each four beyond 50 days. The leaders are then ranked by a mean of
    three: the criterion, the same of absolute residuals, and the scatter of the fold about its running
    median, the last with half the weight; see :mod:`broker_plugin.period.scatter`.
    """
    frequencies, criterion, _ = _scan(
        curve, candidates.frequencies, _COARSE_OFFSETS, _COARSE_HARMONICS, limits
    )
    order = np.argsort(criterion, kind="stable")[:finalists]
    kinds = [candidates.kinds[i] for i in order]
    frequencies, criterion, harmonics = _scan(curve, frequencies[order], _FINE_OFFSETS, n_harmonics, limits)
    leaders = _distinct(frequencies, np.argsort(criterion, kind="stable"), RESOLUTION / curve.baseline_days)
    leaders = leaders[:_LEADERS]
    n = len(curve.time_days)
    frequencies, criterion, harmonics = frequencies[leaders], criterion[leaders], harmonics[leaders]
    absolute = n * np.log(absolute_residual(curve, frequencies, harmonics)) + harmonics * np.log(n)
    scatter = n * np.log(folded_scatter(curve, frequencies))
    # n ln(deviation) each: the criterion, of variances, is two of them, and so is the mean.
    scores = 2.0 * (criterion + absolute + _SCATTER_WEIGHT * scatter) / (3.0 + _SCATTER_WEIGHT)
    order = np.argsort(scores, kind="stable")
    return Comparison(frequencies[order], scores[order], tuple(kinds[leaders[i]] for i in order))


def _distinct(frequencies: FloatArray, order: np.ndarray, resolution: float) -> np.ndarray:
    """Leave out of an order what cannot be told from a better one: refinement brings peaks together."""
    near = np.abs(frequencies[:, None] - frequencies) < resolution
    left = np.ones(len(frequencies), dtype=bool)
    kept: list[int] = []
    for position in order.tolist():
        if left[position]:
            kept.append(position)
            left &= ~near[position]
    return np.array(kept, dtype=np.intp)


def _scan(
    curve: LightCurve,
    frequencies: FloatArray,
    offsets: FloatArray,
    n_harmonics: int,
    limits: tuple[float, float],
) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Return for each frequency the best one near it, its criterion, and the number of its harmonics."""
    n = len(curve.time_days)
    trial, sums = _near(curve, frequencies, offsets / curve.baseline_days, limits, n_harmonics)
    residual = fit_sums(sums).residual.reshape(*trial.shape, n_harmonics)
    harmonics = np.arange(1, n_harmonics + 1)
    criterion = n * np.log(residual) + 2 * harmonics * np.log(n)
    criterion[np.broadcast_to(harmonics > _allowed(trial, curve)[:, :, None], criterion.shape)] = np.inf
    number = criterion.argmin(axis=2) + 1
    criterion = criterion.min(axis=2)
    best = criterion.argmin(axis=1)
    rows = np.arange(len(frequencies))
    chosen: FloatArray = trial[rows, best]
    dominant = _dominant_harmonic(residual[rows, best])
    suspect = is_distrusted(chosen) | is_distrusted(dominant * chosen)
    distrust = np.where(suspect, -n * np.log(_DISTRUST), 0.0)
    return chosen, criterion[rows, best] + 2.0 * np.log(chosen) + distrust, number[rows, best]


def _near(
    curve: LightCurve,
    frequencies: FloatArray,
    offsets: FloatArray,
    limits: tuple[float, float],
    n_harmonics: int,
) -> tuple[FloatArray, SeriesSums]:
    """Return the trial frequencies, shape (n_frequencies, n_offsets), and their sums."""
    trial: FloatArray = frequencies[:, None] + offsets
    circles = unit_circle(curve.time_days, frequencies), unit_circle(curve.time_days, offsets)
    sums = SeriesSums.near(*circles, curve.values, curve.weights, n_harmonics)
    outside = (trial < limits[0]) | (trial > limits[1])
    if outside.any():
        np.clip(trial, *limits, out=trial)
        circle = unit_circle(curve.time_days, trial[outside])
        at_limits = SeriesSums.of(circle, curve.values, curve.weights, n_harmonics)
        sums.weight[outside], sums.value[outside] = at_limits.weight, at_limits.value
    return trial, sums


def _dominant_harmonic(residual: FloatArray) -> FloatArray:
    """Return the number of the harmonic that explains most, for residuals of shape (n, harmonics)."""
    steps = -np.diff(residual, axis=1, prepend=1.0)
    return np.asarray(steps.argmax(axis=1) + 1.0, dtype=np.float64)


def _allowed(frequencies: FloatArray, curve: LightCurve) -> FloatArray:
    """Return the most harmonics that a series of this frequency may have.

    Close to a whole or half number of cycles a day, where slow variation is seen once a night, the slow
    cycles count.
    """
    slow = np.abs(frequencies - 0.5 * np.round(2.0 * frequencies))
    folded = (frequencies > 0.4) & (frequencies < 2.1) & (slow < _DAY_ALIAS_WIDTH)
    effective = np.where(folded, slow, frequencies)
    each = np.where(effective < _LONG_FREQUENCY, _CYCLES_EACH_LONG, _CYCLES_EACH)
    allowed = np.maximum(1.0, np.floor(effective * curve.baseline_days / each))
    return np.asarray(allowed, dtype=np.float64)


def is_distrusted(frequencies: FloatArray) -> np.ndarray:
    """Say which frequencies stand at 1..5 cycles a solar or sidereal day, or at one a lunar month.

    The year is left out: with a few cycles in a window it cannot be told from a Mira of 365 days.
    """
    suspect = np.zeros(frequencies.shape, dtype=bool)
    for day in (1.0, SIDEREAL_DAY):
        cycles = frequencies * day
        nearest = np.round(cycles)
        width = np.where(nearest <= 2, _DAY_ALIAS_WIDTH, _DAY_MULTIPLE_WIDTH)
        suspect |= (nearest >= 1) & (nearest <= _HIGHEST_DAY_MULTIPLE) & (np.abs(cycles - nearest) < width)
    return suspect | (np.abs(frequencies * _LUNAR_MONTH - 1.0) < _MONTH_WIDTH)
