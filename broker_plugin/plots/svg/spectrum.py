"""A periodogram with the periods that were compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.plots.svg.axes import Axes, Scale

_Column = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Mark:
    """A period to mark.

    Attributes
    ----------
    period_days : float
    text : str
        Shown when it is pointed at.
    chosen : bool
    """

    period_days: float
    text: str
    chosen: bool


def spectrum_svg(period_days: _Column, power: _Column, marks: Sequence[Mark]) -> str:
    """Draw power against period on a logarithmic axis.

    Parameters
    ----------
    period_days, power : ndarray, shape (m,), float
        Increasing periods.
    marks : sequence of Mark
        Those outside of the axis are left out.
    """
    ends = [
        *(mark.period_days for mark in marks if mark.chosen),
        float(period_days[0]),
        float(period_days[-1]),
    ]
    x = Scale(min(ends) * 0.98, max(ends) * 1.02, "log")
    axes = Axes(x, Scale(0.0, max(0.05, 1.08 * float(np.max(power)))), height=260)
    axes.label("period [d]", "power")
    inside = [mark for mark in marks if x.first <= mark.period_days <= x.last]
    for mark in sorted(inside, key=lambda mark: mark.chosen):  # the chosen one lies on top
        axes.vertical(mark.period_days, "chosen" if mark.chosen else "rejected", mark.text)
    axes.line(period_days, power, "spectrum")
    chosen = ", ".join(f"{mark.period_days:.6g} d" for mark in inside if mark.chosen)
    highest = float(period_days[int(np.argmax(power))])
    return axes.render(
        f"Periodogram: highest power {float(np.max(power)):.2f} at {highest:.6g} days; "
        f"chosen period {chosen or 'none'}"
    )
