"""One minimum a cycle or two: P against 2P.

A contact or detached binary with two like minima folds as well with half its
period, and an information criterion then takes the half. Two marks tell it from
a pulsating star, whatever its class is called:

- its minima are sharper than its maxima, and both are symmetric (eclipses and
  ellipsoids are; pulsating stars rise fast and have sharp maxima, or are sinusoids);
- at the double period the odd harmonics are not noise: the minima differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.period.compare import RESOLUTION, Comparison, LightCurve
from broker_plugin.period.harmonics import ComplexArray, fit_harmonics
from broker_plugin.records.epoch import FloatArray

_SHORT_HARMONICS = 4
_LONG_FREQUENCY = 0.02  # cycles per day; beyond 50 days the one-term peak is trusted
_LEAST_CYCLES = 3.0  # of the double period, else the odd harmonics describe the trend of the window
# Second over first harmonic: those of one dip a cycle fall with their order, of two like dips the even stay.
_SECOND_DOMINATES = 1.05
# The next five were set on half of the ASAS stars (even groups) and checked on the other half, see
# benchmarks/period_recovery.py: a lower bar finds more binaries and doubles more sinusoidal pulsators.
_SHARPNESS = 0.10  # second harmonic in phase with the minimum, over the first
_SHARPNESS_SIGMAS = 0.6  # of its own error, on top
_ASYMMETRY_WEIGHT = 0.7  # of the part out of phase: an eclipse has none
_ODD_GAIN = 25.0  # n ln(residual ratio) of the 8 terms that doubling adds; noise and the choice give 4 to 20
_ODD_GAIN_EACH = 0.2  # ln(residual ratio): modulated pulsators gain less


@dataclass(frozen=True, slots=True)
class _Fit:
    """The best series near a frequency: residual variances by number of harmonics, complex amplitudes."""

    frequency: float
    residual: FloatArray
    amplitudes: ComplexArray  # sum of Re(amplitudes[k] exp(2 pi i (k + 1) f t))


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
    if winner < _LONG_FREQUENCY:
        return comparison
    lowest, highest = limits
    if 2.0 * winner <= highest:
        short = _fit_near(curve, 2.0 * winner, _SHORT_HARMONICS, 0.06)
        double = _fit_near(curve, winner, 2 * _SHORT_HARMONICS, 0.03)
        first, second = np.abs(double.amplitudes[:2])
        if second > _SECOND_DOMINATES * first:
            two_minima = _is_eclipsing(short, curve) or _cycles_differ(short, double, curve)
            return _put_first(comparison, double if two_minima else short, winner, curve)
    short = _fit_near(curve, winner, _SHORT_HARMONICS, 0.06)
    double = _fit_near(curve, 0.5 * winner, 2 * _SHORT_HARMONICS, 0.03)
    enough = double.frequency * curve.baseline_days >= _LEAST_CYCLES and 0.5 * winner >= lowest
    doubled = enough and (_is_eclipsing(short, curve) or _cycles_differ(short, double, curve))
    return _put_first(comparison, double if doubled else short, winner, curve)


def _cycles_differ(short: _Fit, double: _Fit, curve: LightCurve) -> bool:
    """Say whether the odd harmonics of the double period are more than noise and modulation."""
    n = len(curve.time_days)
    gain = float(np.log(short.residual[-1] / double.residual[-1]))
    return gain > _ODD_GAIN_EACH and gain * n > _ODD_GAIN


def _is_eclipsing(short: _Fit, curve: LightCurve) -> bool:
    """Say whether the minima are sharper than the maxima, and symmetric."""
    first, second = short.amplitudes[:2] + 1e-12  # a series of zeros is not eclipsing
    # Magnitudes grow towards a minimum, so a second harmonic in phase there (real part > 0) sharpens it.
    relative = second * np.abs(first) / first**2
    error = np.sqrt(2.0 * short.residual[-1] / len(curve.time_days)) / np.abs(first)
    sharpness = relative.real - _ASYMMETRY_WEIGHT * np.abs(relative.imag)
    return bool(sharpness > _SHARPNESS + _SHARPNESS_SIGMAS * error)


def _fit_near(curve: LightCurve, frequency: float, n_harmonics: int, reach: float) -> _Fit:
    """Fit within ``reach`` inverse baselines of a frequency and return the best."""
    trial = frequency + np.linspace(-reach, reach, 9) / curve.baseline_days
    fits = fit_harmonics(curve.time_days, curve.values, curve.weights, trial, n_harmonics)
    best = int(fits.residual[:, -1].argmin())
    coefficients = fits.coefficients[best]
    return _Fit(float(trial[best]), fits.residual[best], coefficients[0::2] - 1j * coefficients[1::2])


def _put_first(comparison: Comparison, chosen: _Fit, winner: float, curve: LightCurve) -> Comparison:
    """Return the comparison led by the chosen frequency, without a second copy of it."""
    resolution = RESOLUTION / curve.baseline_days
    n = len(curve.time_days)
    harmonics = np.arange(1, len(chosen.residual) + 1)
    criterion = n * np.log(chosen.residual) + 2 * harmonics * np.log(n)
    score = float(criterion.min() + 2 * np.log(chosen.frequency))
    ratio = chosen.frequency / winner
    kind = "half" if ratio > 1.5 else "double" if ratio < 0.75 else comparison.kinds[0]
    others = np.flatnonzero(np.abs(comparison.frequencies - chosen.frequency) >= resolution)
    return Comparison(
        np.concatenate([[chosen.frequency], comparison.frequencies[others]]),
        np.concatenate([[score], comparison.scores[others]]),
        (kind, *(comparison.kinds[i] for i in others)),
    )
