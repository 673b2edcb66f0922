"""Dippers: young stars that dust of the inner disc covers for a day, never twice the same."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import DUST, NOVEL, Span, Variable
from broker_plugin.simulate.kinds.stochastic import damped_random_walk


class Dipper:
    """Dips at random times, of random depth and width, under a little red noise (AA Tau and its kin)."""

    name: ClassVar[str] = "DIPPER"
    superclass: ClassVar[str] = NOVEL

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        spacing = rng.uniform(4.0, 12.0)
        count = int(np.ceil(span.days / spacing)) + 2
        centres = span.start_mjd + spacing * (np.arange(count) + rng.uniform(-0.45, 0.45, count))
        depths = rng.exponential(rng.uniform(0.4, 0.8), count)
        widths = rng.uniform(0.3, 1.5, count)
        noise = damped_random_walk(rng, span, rng.uniform(5.0, 30.0), 0.05)

        def curve(time_mjd: FloatArray) -> FloatArray:
            total = noise(time_mjd)
            for centre, depth, width in zip(centres, depths, widths, strict=True):
                total = total + depth * np.exp(-0.5 * ((time_mjd - centre) / width) ** 2)
            return total

        return Variable(self.name, self.superclass, None, rng.uniform(0.9, 1.4), curve, DUST)
