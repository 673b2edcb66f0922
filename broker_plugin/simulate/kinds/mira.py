"""Miras: hundreds of days, magnitudes, and no cycle quite like the last."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import RED_GIANT, Span, Variable


class Mira:
    """Large-amplitude long-period variables."""

    name: ClassVar[str] = "M"
    superclass: ClassVar[str] = "M"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(rng.normal(280, 75), 120, 520))
        amplitude = float(np.clip(rng.normal(3.6, 0.9), 2.5, 6.0))
        rise = float(np.clip(rng.normal(0.45 - 0.0002 * (period - 280), 0.04), 0.33, 0.52))
        hump = rng.uniform(0, 0.05) * amplitude
        cycles = int(np.ceil(span.days / period)) + 3
        lengths = period * (1 + rng.normal(0, 0.02, cycles))
        maxima = span.start_mjd - period * (1 + rng.random()) + np.concatenate([[0.0], np.cumsum(lengths)])
        strengths = 1 + rng.normal(0, 0.1, cycles + 1)
        levels = rng.normal(0, 0.06, cycles + 1) * amplitude

        def curve(time_mjd: FloatArray) -> FloatArray:
            cycle = np.interp(time_mjd, maxima, np.arange(cycles + 1, dtype=np.float64))
            phase = np.mod(cycle, 1.0)
            # Stretch the phase so that decline and rise each take half a turn.
            turn = np.where(phase < 1 - rise, 0.5 * phase / (1 - rise), 0.5 + 0.5 * (phase - 1 + rise) / rise)
            whole = np.arange(cycles + 1, dtype=np.float64)
            wave = -0.5 * amplitude * np.cos(2 * np.pi * turn) * np.interp(cycle, whole, strengths)
            return wave - hump * np.sin(4 * np.pi * turn) + np.interp(cycle, whole, levels)

        return Variable(self.name, self.superclass, period, rng.uniform(1.2, 1.9), curve, RED_GIANT)
