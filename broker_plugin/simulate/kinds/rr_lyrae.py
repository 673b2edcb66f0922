"""RR Lyrae stars: fundamental mode (RRab), first overtone (RRc) and both at once (RRd)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import PULSATION, Span, Variable
from broker_plugin.simulate.kinds.fourier import fourier_shape

# Mean Fourier parameters of field RRab in V, cosine convention (Jurcsik & Kovacs 1996 give sine phases;
# phi_k1(cos) = phi_k1(sin) + (k - 1) pi / 2).
_RRAB_R = np.array([0.47, 0.34, 0.23, 0.15, 0.10, 0.06])
_RRAB_PHI = np.array([3.95, 8.2, 12.4, 16.6, 20.8, 25.0])
_PETERSEN = 0.745  # P_1 / P_0 of double-mode RR Lyrae stars
_BLAZHKO_FRACTION = 0.25


class RRab:
    """Fundamental mode: a steep rise and a long decline; larger amplitudes at shorter periods (Bailey)."""

    name: ClassVar[str] = "RRAB"
    superclass: ClassVar[str] = "RRAB"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(rng.normal(0.56, 0.07), 0.38, 0.85))
        amplitude = float(np.clip(0.95 - 2.8 * (period - 0.56) + rng.normal(0, 0.12), 0.3, 1.35))
        # The steeper the rise the more harmonics: low amplitudes are rounder.
        steepness = float(np.clip(0.75 + 0.28 * amplitude, 0.8, 1.08))
        order = np.arange(1, 7)
        ratios = _RRAB_R * steepness**order * (1 + rng.normal(0, 0.05, 6))
        shape = fourier_shape(ratios, _RRAB_PHI + rng.normal(0, 0.08) * order)
        blazhko = rng.uniform(0.1, 0.3) if rng.random() < _BLAZHKO_FRACTION else 0.0
        blazhko_period = rng.uniform(25.0, 120.0)
        start = span.start_mjd + period * rng.random()

        def curve(time_mjd: FloatArray) -> FloatArray:
            since = time_mjd - start
            modulation = 1 + blazhko * np.cos(2 * np.pi * since / blazhko_period)
            return amplitude * modulation * shape(since / period)

        return Variable(self.name, self.superclass, period, rng.uniform(0.1, 0.4), curve, PULSATION)


class RRc:
    """First overtone: nearly a sinusoid."""

    name: ClassVar[str] = "RRC"
    superclass: ClassVar[str] = "RRCD"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(rng.normal(0.325, 0.045), 0.22, 0.45))
        amplitude = rng.uniform(0.3, 0.55)
        shape = fourier_shape(
            [rng.uniform(0.08, 0.22), rng.uniform(0.03, 0.09)], [rng.normal(4.7, 0.25), rng.normal(9.2, 0.5)]
        )
        start = span.start_mjd + period * rng.random()

        def curve(time_mjd: FloatArray) -> FloatArray:
            return amplitude * shape((time_mjd - start) / period)

        return Variable(self.name, self.superclass, period, rng.uniform(0.0, 0.3), curve, PULSATION)


class RRd:
    """First overtone with the fundamental mode beating against it."""

    name: ClassVar[str] = "RRD"
    superclass: ClassVar[str] = "RRCD"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(rng.normal(0.36, 0.02), 0.32, 0.42))
        fundamental = period / (_PETERSEN + rng.normal(0, 0.001))
        amplitude = rng.uniform(0.25, 0.45)
        weaker = amplitude * rng.uniform(0.3, 0.7)
        overtone_shape = fourier_shape([0.12, 0.05], [4.7, 9.2])
        fundamental_shape = fourier_shape([0.25, 0.1], [4.0, 8.3])
        start = span.start_mjd + period * rng.random()

        def curve(time_mjd: FloatArray) -> FloatArray:
            since = time_mjd - start
            return amplitude * overtone_shape(since / period) + weaker * fundamental_shape(
                since / fundamental
            )

        return Variable(self.name, self.superclass, period, rng.uniform(0.0, 0.3), curve, PULSATION)
