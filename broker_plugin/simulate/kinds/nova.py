"""Novae with a visible old star: one outburst of several magnitudes, then a long decline."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import GREY, NOVEL, Span, Variable


class Nova:
    """A rise of days and the universal decline law, flux falling as t^-1.75 after a first plateau.

    Hachisu & Kato (2006). Slow novae are drawn, because a fast one never gathers 200 epochs of one band.
    """

    name: ClassVar[str] = "NOVA"
    superclass: ClassVar[str] = NOVEL

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star, its outburst in the first half of the span."""
        start = span.start_mjd + span.days * rng.uniform(0.05, 0.45)
        rise = rng.uniform(1.0, 6.0)
        rise_magnitudes = rng.uniform(4.0, 6.0)
        decay = rng.uniform(15.0, 60.0)
        quiescent_flicker = rng.uniform(0.05, 0.15)
        orbit = rng.uniform(0.1, 0.3)

        def curve(time_mjd: FloatArray) -> FloatArray:
            since = time_mjd - start
            growth = 1 / (1 + np.exp(-np.clip(8 * (since / rise - 0.5), -500, 500)))
            decline = (1 + np.maximum(since - rise, 0.0) / decay) ** -1.75
            outburst = (10 ** (0.4 * rise_magnitudes) - 1) * growth * decline
            flicker = quiescent_flicker * np.sin(2 * np.pi * since / orbit)
            brightening: FloatArray = -2.5 * np.log10(10 ** (-0.4 * flicker) + outburst)
            return brightening

        return Variable(
            self.name, self.superclass, None, rng.uniform(0.0, 0.4), curve, GREY, rise_magnitudes - 2.0
        )
