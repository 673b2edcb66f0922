"""Eclipsing binaries: detached (EA), semi-detached (EB) and contact (EW).

Eclipses have the phenomenological profile of Mikulasek (2015), proximity effects a cosine of twice the phase.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import ECLIPSE, Span, Variable


@dataclass(frozen=True, slots=True)
class _Binary:
    """Depths in magnitudes; width and phases in units of the period."""

    period_days: float
    start_mjd: float
    primary_depth: float
    secondary_depth: float
    width: float
    flatness: float
    secondary_phase: float
    ellipsoidal: float

    def __call__(self, time_mjd: FloatArray) -> FloatArray:
        """Return the deviation from the mean magnitude between the eclipses."""
        phase = np.mod((time_mjd - self.start_mjd) / self.period_days, 1.0)
        dimming = self.primary_depth * self._eclipse(phase) + self.secondary_depth * self._eclipse(
            phase - self.secondary_phase
        )
        proximity: FloatArray = self.ellipsoidal * np.cos(4 * np.pi * phase)
        return dimming + proximity

    def _eclipse(self, phase: FloatArray) -> FloatArray:
        distance = np.abs(phase - np.round(phase))
        argument = np.minimum(distance / self.width, 20.0)  # cosh of more overflows; the eclipse is long over
        profile: FloatArray = 1 - (1 - np.exp(1 - np.cosh(argument))) ** self.flatness
        return profile


class Detached:
    """Algol type: sharp eclipses, constant light between them."""

    name: ClassVar[str] = "EA"
    superclass: ClassVar[str] = "ECL"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(10 ** rng.normal(0.35, 0.28), 0.6, 15.0))
        primary = rng.uniform(0.35, 1.6)
        eccentric = rng.random() < 0.25
        binary = _Binary(
            period_days=period,
            start_mjd=span.start_mjd + period * rng.random(),
            primary_depth=primary,
            # Equal masses give the usual bound of 0.75 mag on the shallower eclipse.
            secondary_depth=min(primary * rng.beta(1.3, 1.3), 0.75),
            width=float(np.clip(0.055 * period**-0.5 + rng.normal(0, 0.006), 0.018, 0.07)),
            flatness=rng.uniform(0.7, 1.3),
            secondary_phase=0.5 + (rng.normal(0, 0.04) if eccentric else 0.0),
            ellipsoidal=rng.uniform(0.0, 0.03),
        )
        return Variable(self.name, self.superclass, period, rng.uniform(-0.1, 0.6), binary, ECLIPSE)


class SemiDetached:
    """Beta Lyrae type: unequal eclipses on an ellipsoidal light curve that never rests."""

    name: ClassVar[str] = "EB"
    superclass: ClassVar[str] = "ECL"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(10 ** rng.normal(-0.1, 0.2), 0.4, 4.0))
        primary = rng.uniform(0.3, 0.9)
        binary = _Binary(
            period_days=period,
            start_mjd=span.start_mjd + period * rng.random(),
            primary_depth=primary,
            secondary_depth=primary * rng.uniform(0.2, 0.65),
            width=rng.uniform(0.055, 0.085),
            flatness=rng.uniform(0.9, 1.2),
            secondary_phase=0.5,
            ellipsoidal=rng.uniform(0.05, 0.12),
        )
        return Variable(self.name, self.superclass, period, rng.uniform(-0.1, 0.5), binary, ECLIPSE)


class Contact:
    """W Ursae Majoris type: two nearly equal, round minima; half a day or less."""

    name: ClassVar[str] = "EW"
    superclass: ClassVar[str] = "ECL"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(rng.lognormal(np.log(0.37), 0.2), 0.22, 0.75))
        amplitude = rng.uniform(0.25, 0.8)
        ellipsoidal = 0.2 * amplitude
        eclipse = amplitude - 2 * ellipsoidal
        binary = _Binary(
            period_days=period,
            start_mjd=span.start_mjd + period * rng.random(),
            primary_depth=eclipse,
            secondary_depth=eclipse * rng.uniform(0.8, 0.98),
            width=rng.uniform(0.07, 0.1),
            flatness=rng.uniform(0.95, 1.15),
            secondary_phase=0.5,
            ellipsoidal=ellipsoidal,
        )
        return Variable(self.name, self.superclass, period, rng.uniform(0.2, 0.7), binary, ECLIPSE)
