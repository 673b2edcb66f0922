"""Rotating stars with spots, on which the spots slowly change."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import SPOTS, Span, Variable
from broker_plugin.simulate.kinds.stochastic import damped_random_walk


class Rotating:
    """Chemically peculiar stars and active giants and dwarfs: RS CVn, BY Dra, alpha2 CVn."""

    name: ClassVar[str] = "ROT"
    superclass: ClassVar[str] = "ROT"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(10 ** rng.normal(0.55, 0.35), 0.5, 40.0))
        depths = rng.uniform(0.12, 0.35) * np.array([1.0, rng.uniform(0.1, 0.7)])
        longitudes = np.array([0.0, rng.uniform(0.2, 0.5)]) + rng.random()
        # Seen at an angle, a spot near the pole never sets.
        upright = rng.uniform(0.05, 0.5, 2)
        # Magnetic spots live for months, chemical ones for ever; most of the visible ones are magnetic.
        lifetime = rng.uniform(150.0, 600.0)
        changes = [damped_random_walk(rng, span, lifetime, 0.2) for _ in depths]

        def curve(time_mjd: FloatArray) -> FloatArray:
            turn = (time_mjd - span.start_mjd) / period
            total = np.zeros_like(time_mjd)
            for depth, longitude, height, change in zip(depths, longitudes, upright, changes, strict=True):
                # A spot dims in proportion to its projected area while it is on the near side.
                facing = np.maximum(height + (1 - height) * np.cos(2 * np.pi * (turn - longitude)), 0.0)
                total += depth * (1 + change(time_mjd)) * (facing - 0.4)  # about its mean over a turn
            return total

        return Variable(self.name, self.superclass, period, rng.uniform(0.3, 0.9), curve, SPOTS)
