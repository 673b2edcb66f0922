"""Irregular T Tauri stars: accretion without a clock."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import NOVEL, PULSATION, Span, Variable
from broker_plugin.simulate.kinds.stochastic import damped_random_walk


class TTauri:
    """Red noise on days and on months, larger in the blue (hot accretion spots)."""

    name: ClassVar[str] = "T_TAURI"
    superclass: ClassVar[str] = NOVEL

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        fast = damped_random_walk(rng, span, rng.uniform(1.5, 6.0), rng.uniform(0.12, 0.3))
        slow = damped_random_walk(rng, span, rng.uniform(20.0, 120.0), rng.uniform(0.2, 0.55))

        def curve(time_mjd: FloatArray) -> FloatArray:
            return fast(time_mjd) + slow(time_mjd)

        return Variable(self.name, self.superclass, None, rng.uniform(0.9, 1.4), curve, PULSATION)
