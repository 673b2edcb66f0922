"""Microlensing: a constant star brightened once, symmetrically, in all bands alike."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import GREY, NOVEL, Span, Variable


class Microlensing:
    """A point lens before a point source (Paczynski 1986); long events, of months."""

    name: ClassVar[str] = "MICROLENSING"
    superclass: ClassVar[str] = NOVEL

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one event, its peak in the middle half of the span."""
        peak = span.start_mjd + span.days * rng.uniform(0.25, 0.75)
        einstein_time = rng.uniform(40.0, 180.0)
        impact = rng.uniform(0.03, 0.4)

        def curve(time_mjd: FloatArray) -> FloatArray:
            separation2 = impact**2 + ((time_mjd - peak) / einstein_time) ** 2
            magnification = (separation2 + 2) / np.sqrt(separation2 * (separation2 + 4))
            brightening: FloatArray = -2.5 * np.log10(magnification)
            return brightening

        return Variable(self.name, self.superclass, None, rng.uniform(0.3, 1.0), curve, GREY)
