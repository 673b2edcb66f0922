"""Semiregular red giants: two or three periods at once, with strengths that come and go."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import RED_GIANT, Span, Variable
from broker_plugin.simulate.kinds.stochastic import damped_random_walk

_LONG_SECONDARY_FRACTION = 0.3  # of semiregulars (Wood et al. 1999)


class Semiregular:
    """Pulsating red giants of tenths of a magnitude to 1.5 mag."""

    name: ClassVar[str] = "SR"
    superclass: ClassVar[str] = "SR"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(10 ** rng.normal(1.85, 0.22), 25.0, 220.0))
        amplitude = float(np.clip(rng.lognormal(np.log(0.6), 0.4), 0.3, 1.5))
        periods = [period, period / rng.uniform(1.7, 2.1)]
        strengths = [0.5 * amplitude, 0.5 * amplitude * rng.uniform(0.2, 0.5)]
        if rng.random() < _LONG_SECONDARY_FRACTION:
            periods.append(period * rng.uniform(7.0, 10.0))
            strengths.append(0.5 * amplitude * rng.uniform(0.4, 0.8))
        phases = rng.random(len(periods))
        swells = [damped_random_walk(rng, span, 8 * p, 0.3) for p in periods]
        drifts = [damped_random_walk(rng, span, 12 * p, 0.12) for p in periods]

        def curve(time_mjd: FloatArray) -> FloatArray:
            total = np.zeros_like(time_mjd)
            for p, strength, phase, swell, drift in zip(
                periods, strengths, phases, swells, drifts, strict=True
            ):
                turn = (time_mjd - span.start_mjd) / p + phase + drift(time_mjd)
                total += strength * (1 + swell(time_mjd)) * np.sin(2 * np.pi * turn)
            return total

        return Variable(self.name, self.superclass, period, rng.uniform(1.1, 1.6), curve, RED_GIANT)
