"""One minimum a cycle or two: P against 2P.

A contact or detached binary with two like minima folds as well with half its
period, and an information criterion then takes the half. What tells it from a
pulsating star, whatever its class is called, are the marks of
:mod:`broker_plugin.period.two_minima`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.period.compare import RESOLUTION, Comparison
from broker_plugin.period.harmonics import ComplexArray, fit_harmonics
from broker_plugin.period.light_curve import LightCurve
from broker_plugin.period.two_minima import Series, has_two_minima
from broker_plugin.records.epoch import FloatArray

LONG_FREQUENCY = 0.02
"""Cycles per day; beyond 50 days no two cycles are alike, and no period is doubled."""

_TRIALS: FloatArray = np.linspace(-1.0, 1.0, 9)
_SHORT_HARMONICS = 4
_LONG_HARMONICS = 2  # of the series that refines those: more of them come out within 1 % than with one
_LEAST_CYCLES = 3.0  # of the double period, else the odd harmonics describe the trend of the window
# Second over first harmonic: those of one dip a cycle fall with their order, of two like dips the even stay.
_SECOND_DOMINATES = 1.05


@dataclass(frozen=True, slots=True)
class Pair:
    """The series of a period and of twice it; ``may_double`` where the data could show the latter."""

    short: Series
    double: Series
    may_double: bool


def settle_double(curve: LightCurve, comparison: Comparison, limits: tuple[float, float]) -> Comparison:
    """Put the right member of the winner's pair (P, 2P) first.

    Parameters
    ----------
    curve : LightCurve
    comparison : Comparison
        Its first frequency is the winner of the fits.
    limits : tuple of float
        Lowest and highest frequency searched, cycles per day; no doubling or halving beyond them.
    """
    winner = float(comparison.frequencies[0])
    if winner < LONG_FREQUENCY:
        refined = _fit_near(curve, winner, _LONG_HARMONICS, 0.06)
        return _put_first(comparison, min(max(refined.frequency, limits[0]), limits[1]), curve)
    pair = pair_about(curve, winner, limits)
    doubled = pair.may_double and has_two_minima(curve, pair.short, pair.double)
    return _put_first(comparison, (pair.double if doubled else pair.short).frequency, curve)


def pair_about(curve: LightCurve, winner: float, limits: tuple[float, float]) -> Pair:
    """Fit the pair of like folds that a frequency (cycles per day) belongs to, its shorter or its longer."""
    lowest, highest = limits
    if 2.0 * winner <= highest:
        double = _fit_near(curve, winner, 2 * _SHORT_HARMONICS, 0.03)
        first, second = np.abs(double.amplitudes[:2])
        if second > _SECOND_DOMINATES * first:
            return Pair(_fit_near(curve, 2.0 * winner, _SHORT_HARMONICS, 0.06), double, may_double=True)
    short = _fit_near(curve, winner, _SHORT_HARMONICS, 0.06)
    double = _fit_near(curve, 0.5 * winner, 2 * _SHORT_HARMONICS, 0.03)
    enough = double.frequency * curve.baseline_days >= _LEAST_CYCLES and 0.5 * winner >= lowest
    return Pair(short, double, may_double=enough)


def _fit_near(curve: LightCurve, frequency: float, n_harmonics: int, reach: float) -> Series:
    """Fit within ``reach`` inverse baselines of a frequency and return the best."""
    trial = frequency + reach / curve.baseline_days * _TRIALS
    fits = fit_harmonics(curve.time_days, curve.values, curve.weights, trial, n_harmonics)
    best = int(fits.residual[:, -1].argmin())
    coefficients = fits.coefficients(best)
    amplitudes: ComplexArray = coefficients[0::2] - 1j * coefficients[1::2]
    return Series(float(trial[best]), float(fits.residual[best, -1]), amplitudes)


def _put_first(comparison: Comparison, chosen: float, curve: LightCurve) -> Comparison:
    """Return the comparison led by the chosen frequency, without a second copy of it."""
    ratio = chosen / float(comparison.frequencies[0])
    kind = "half" if ratio > 1.5 else "double" if ratio < 0.75 else comparison.kinds[0]
    apart = np.abs(comparison.frequencies - chosen) >= RESOLUTION / curve.baseline_days
    others = np.flatnonzero(apart)
    return Comparison(
        np.concatenate([[chosen], comparison.frequencies[others]]),
        np.concatenate([comparison.scores[:1], comparison.scores[others]]),
        (kind, *(comparison.kinds[i] for i in others)),
    )
