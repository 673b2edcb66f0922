"""Classical Cepheids: the Hertzsprung progression of shape with period."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.kinds.base import PULSATION, Span, Variable
from broker_plugin.simulate.kinds.fourier import FourierShape, fourier_shape


class Cepheid:
    """Fundamental-mode classical Cepheids, 2.5 to 45 d."""

    name: ClassVar[str] = "CEPH"
    superclass: ClassVar[str] = "CEPH"

    def draw(self, rng: np.random.Generator, span: Span) -> Variable:
        """Draw one star."""
        period = float(np.clip(10 ** rng.normal(0.82, 0.27), 2.5, 45.0))
        amplitude = rng.uniform(0.45, 0.9) * (1.0 if period < 10 else 1.15)
        shape = _shape(rng, period)
        start = span.start_mjd + period * rng.random()

        def curve(time_mjd: FloatArray) -> FloatArray:
            return amplitude * shape((time_mjd - start) / period)

        return Variable(self.name, self.superclass, period, rng.uniform(0.4, 0.9), curve, PULSATION)


def _shape(rng: np.random.Generator, period_days: float) -> FourierShape:
    """Return a shape of the Hertzsprung progression: a bump at maximum light near 10 d (Simon & Lee 1981)."""
    resonance = np.exp(-0.5 * (np.log10(period_days / 10.0) / 0.08) ** 2)
    r21 = (0.42 - 0.012 * max(period_days - 10, 0)) * (1 - 0.7 * resonance) + rng.normal(0, 0.02)
    below = period_days < 10
    phi21 = (4.0 + 0.12 * (period_days - 3.0) if below else 4.3 + 0.02 * (period_days - 10)) + rng.normal(
        0, 0.08
    )
    phi31 = (1.7 + 0.16 * (period_days - 3.0) if below else 1.9 + 0.03 * (period_days - 10)) + rng.normal(
        0, 0.12
    )
    phi41 = phi21 + phi31 - 0.1
    r21 = max(r21, 0.08)
    return fourier_shape([r21, 0.5 * r21, 0.25 * r21], [phi21, phi31, phi41])
