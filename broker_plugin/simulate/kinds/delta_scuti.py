"""Delta Scuti stars: hours, tenths of a magnitude, often with a second mode."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import PULSATION, Span, Variable
from broker_plugin.simulate.kinds.fourier import fourier_shape

_OVERTONE_RATIO = (
    0.773  # P_1 / P_0 of high-amplitude delta Scuti stars (Petersen & Christensen-Dalsgaard 1996)
)
_DOUBLE_MODE_FRACTION = 0.3


class DeltaScuti:
    """Mostly the high-amplitude kind: the rest stays below the 5 sigma of an alert."""

    name: ClassVar[str] = "DSCT"
    superclass: ClassVar[str] = "DSCT"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(10 ** rng.normal(-0.95, 0.14), 0.045, 0.24))
        amplitude = float(np.clip(rng.lognormal(np.log(0.32), 0.35), 0.12, 0.75))
        asymmetry = 0.12 + 0.35 * amplitude
        shape = fourier_shape([asymmetry, 0.35 * asymmetry], [rng.normal(3.95, 0.15), rng.normal(8.1, 0.3)])
        second = amplitude * rng.uniform(0.1, 0.35) if rng.random() < _DOUBLE_MODE_FRACTION else 0.0
        overtone = period * _OVERTONE_RATIO
        start = span.start_mjd + period * rng.random()

        def curve(time_mjd: FloatArray) -> FloatArray:
            since = time_mjd - start
            beat: FloatArray = 0.5 * second * np.sin(2 * np.pi * since / overtone)
            return amplitude * shape(since / period) + beat

        return Variable(self.name, self.superclass, period, rng.uniform(-0.05, 0.3), curve, PULSATION)
