"""What every kind of simulated star gives: a draw from its population, and a light curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Protocol

import numpy as np

from broker_plugin.records.epoch import FloatArray

NOVEL = "NOVEL"
"""The label of a kind that the classifier has never been shown."""

Curve = Callable[[FloatArray], FloatArray]
"""Barycentric MJD (TDB), shape (n,) -> deviation from the mean V magnitude, shape (n,), positive fainter."""

# Amplitude in a band over the amplitude in V. Pulsators: Stellingwerf-type ratios of RR Lyrae and Cepheids
# (A_B/A_V 1.25, A_I/A_V 0.63). Red giants: Mira amplitudes fall steeply to the infrared as TiO weakens.
# Dust: the extinction law with R_V 3.1. Eclipses of stars of nearly equal temperature are nearly grey.
PULSATION = MappingProxyType({"u": 1.35, "g": 1.18, "r": 0.85, "i": 0.66, "z": 0.58, "y": 0.55})
RED_GIANT = MappingProxyType({"u": 1.15, "g": 1.1, "r": 0.85, "i": 0.6, "z": 0.45, "y": 0.4})
DUST = MappingProxyType({"u": 1.55, "g": 1.19, "r": 0.87, "i": 0.67, "z": 0.51, "y": 0.42})
SPOTS = MappingProxyType({"u": 1.25, "g": 1.1, "r": 0.9, "i": 0.75, "z": 0.7, "y": 0.68})
ECLIPSE = MappingProxyType({"u": 1.08, "g": 1.03, "r": 0.98, "i": 0.95, "z": 0.94, "y": 0.93})
GREY = MappingProxyType(dict.fromkeys("ugrizy", 1.0))


@dataclass(frozen=True, slots=True)
class Span:
    """The time that the survey covers, MJD."""

    start_mjd: float
    end_mjd: float

    @property
    def days(self) -> float:
        """Return its length."""
        return self.end_mjd - self.start_mjd


@dataclass(frozen=True, slots=True)
class Variable:
    """One star drawn from a kind.

    Attributes
    ----------
    kind, superclass : str
        For instance ``"EW"`` and ``"ECL"``.
    period_days : float or None
        None where the star has no period.
    colour : float
        Mean g - r, mag.
    curve : Curve
        The variation in V.
    ratios : mapping of str to float
        Amplitude in each of u g r i z y over that in V.
    faint_offset : float
        Added to the drawn mean magnitude: stars that brighten by many magnitudes start faint.
    """

    kind: str
    superclass: str
    period_days: float | None
    colour: float
    curve: Curve
    ratios: Mapping[str, float]
    faint_offset: float = 0.0

    def variation(self, time_mjd: FloatArray, band: str) -> FloatArray:
        """Return the deviation from the mean magnitude of a band, shape (n,), mag."""
        return np.asarray(self.curve(time_mjd) * self.ratios[band], dtype=np.float64)


class Kind(Protocol):
    """A population of stars."""

    name: ClassVar[str]
    superclass: ClassVar[str]

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star; the same generator state gives the same star."""
