"""The marks of two minima a cycle, and the decision that was learned from them.

Eclipses and ellipsoids have sharp symmetric minima, at the double period unequal
ones, and amplitudes and periods of their own; pulsating stars rise fast and have
sharp maxima, or are sinusoids. No mark decides alone: a quadratic logistic
regression does, which ``python -m training two-minima`` fits on labelled stars and
writes to ``two_minima.json`` beside this module.
"""

from __future__ import annotations

import importlib.resources
import json
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from broker_plugin.period.harmonics import ComplexArray
from broker_plugin.period.light_curve import LightCurve
from broker_plugin.records.epoch import FloatArray

FILE = "two_minima.json"
MARKS = (
    "log10_period",  # of the short period, days
    "log10_amplitude",  # of its first harmonic, magnitudes
    "log_error",  # of an amplitude, relative to the first
    "log_residual",  # variance about the series of the short period, of the variance
    "sharpness",  # second harmonic in phase with the minimum, over the first
    "asymmetry",  # the part of it out of phase, as a size: an eclipse has none
    "third_in_phase",
    "fourth_in_phase",
    "log_gain",  # n ln(residual ratio) of the odd harmonics of the double period; noise gives 4 to 20
    "depth_difference",  # of the minima of the double period, over its range
    "log_first_to_second",  # harmonic of the double period
)
_PHASES = 200  # at which the series of the double period is looked at; its eight harmonics need 17
_SECOND_MINIMUM = 20  # phases on either side of half a cycle: within a tenth of it
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Series:
    """The best Fourier series near a frequency.

    Attributes
    ----------
    frequency : float
        Cycles per day.
    residual : float
        Variance about it, in units of the variance about the mean.
    amplitudes : ndarray, shape (H,), complex128
        The series is the sum of ``Re(amplitudes[k] exp(2 pi i (k + 1) f t))``, standardised magnitudes.
    """

    frequency: float
    residual: float
    amplitudes: ComplexArray


@dataclass(frozen=True, slots=True)
class Decision:
    """A quadratic logistic regression: marks are clipped, standardised and multiplied by each other.

    Attributes
    ----------
    marks : tuple of str
    lowest, highest, centre, scale : tuple of float
        Of each mark.
    intercept : float
    linear : tuple of float
    quadratic : tuple of float
        Of the products of marks i <= j, in the order of ``numpy.triu_indices``.
    bar : float
        Log odds from which a light curve has two minima.
    source : str
        What it was fitted on.
    """

    marks: tuple[str, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    intercept: float
    linear: tuple[float, ...]
    quadratic: tuple[float, ...]
    bar: float
    source: str

    def log_odds(self, marks: FloatArray) -> FloatArray:
        """Return the log odds of two minima for marks of shape (n, 11) or (11,)."""
        clipped = np.clip(marks, self.lowest, self.highest)
        standard = (clipped - np.asarray(self.centre)) / np.asarray(self.scale)
        i, j = np.triu_indices(len(self.marks))
        odds = self.intercept + standard @ np.asarray(self.linear)
        return np.asarray(odds + (standard[..., i] * standard[..., j]) @ np.asarray(self.quadratic))

    def to_json(self) -> str:
        """Return the text of :data:`FILE`."""
        return json.dumps(asdict(self), indent=1) + "\n"


@cache
def shipped_decision() -> Decision:
    """Return the decision that the search uses."""
    text = (importlib.resources.files(__package__) / FILE).read_text()
    fields: Any = {
        key: tuple(value) if isinstance(value, list) else value for key, value in json.loads(text).items()
    }
    return Decision(**fields)


def has_two_minima(curve: LightCurve, short: Series, double: Series) -> bool:
    """Say whether the double period is the period."""
    decision = shipped_decision()
    return bool(decision.log_odds(marks_of(curve, short, double)) > decision.bar)


def marks_of(curve: LightCurve, short: Series, double: Series) -> FloatArray:
    """Return the marks of a pair of series, in the order of :data:`MARKS`; shape (11,), float64."""
    n = len(curve.time_days)
    first = complex(short.amplitudes[0]) or _TINY
    size = abs(first)
    # Magnitudes grow towards a minimum, so a harmonic in phase there (real part > 0) sharpens it.
    relative = short.amplitudes / ((first / size) ** np.arange(1, len(short.amplitudes) + 1) * size)
    error = np.sqrt(2.0 * short.residual / n) / size
    gain = n * np.log(short.residual / double.residual)
    odd, even = np.abs(double.amplitudes[:2]) + _TINY
    return np.array(
        [
            -np.log10(short.frequency),
            np.log10(curve.scale_mag * size),
            np.log(error),
            np.log(short.residual),
            relative[1].real,
            abs(relative[1].imag),
            relative[2].real,
            relative[3].real,
            np.log(max(gain, 1.0)),
            _depth_difference(double),
            np.log(odd / even),
        ]
    )


def _depth_difference(double: Series) -> float:
    phase = np.arange(_PHASES) / _PHASES
    order = np.arange(1, len(double.amplitudes) + 1)
    magnitudes = (double.amplitudes @ np.exp(2j * np.pi * order[:, None] * phase)).real
    deepest = int(magnitudes.argmax())
    opposite = deepest + _PHASES // 2 + np.arange(-_SECOND_MINIMUM, _SECOND_MINIMUM + 1)
    second = magnitudes[opposite % _PHASES].max()
    return float((magnitudes.max() - second) / (np.ptp(magnitudes) + _TINY))
