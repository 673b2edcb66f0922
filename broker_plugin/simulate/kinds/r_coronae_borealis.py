"""R Coronae Borealis stars: quiet at maximum, then lost in their own soot for months."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import DUST, NOVEL, Span, Variable

_MEAN_INTERVAL_DAYS = 500.0  # between declines; 500 to 2000 d are common (Clayton 2012)


class RCoronaeBorealis:
    """Declines of 2 to 6 mag within weeks, recoveries of months; small pulsation at maximum."""

    name: ClassVar[str] = "RCB"
    superclass: ClassVar[str] = NOVEL

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star, with at least one decline that begins in the first two thirds of the span."""
        first = span.start_mjd + span.days * rng.uniform(0.1, 0.65)
        further = rng.uniform(
            span.start_mjd - 200, span.end_mjd, rng.poisson(span.days / _MEAN_INTERVAL_DAYS)
        )
        starts = np.concatenate([[first], further])
        depths = rng.uniform(2.0, 5.0, starts.size)
        falls = rng.uniform(10.0, 40.0, starts.size)
        recoveries = rng.uniform(50.0, 150.0, starts.size)
        pulsation = rng.uniform(0.08, 0.2)
        pulsation_period = rng.uniform(38.0, 60.0)
        phase = rng.random()

        def curve(time_mjd: FloatArray) -> FloatArray:
            turn = (time_mjd - span.start_mjd) / pulsation_period + phase
            total: FloatArray = pulsation * np.sin(2 * np.pi * turn)
            dimming = np.zeros_like(time_mjd)
            for start, depth, fall, recovery in zip(starts, depths, falls, recoveries, strict=True):
                since = np.maximum(time_mjd - start, 0.0)
                onset = 1 - np.exp(-((since / fall) ** 2))
                clearing = 1 / (1 + np.exp((since - 2.5 * fall - 1.5 * recovery) / (0.4 * recovery)))
                # Clouds over one another: the thickest counts, so that many declines stay finite.
                dimming = np.maximum(dimming, depth * onset * clearing)
            return total + dimming

        return Variable(self.name, self.superclass, None, rng.uniform(0.5, 0.9), curve, DUST)
