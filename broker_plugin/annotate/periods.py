"""How two periods go together: the same, a simple multiple, or another."""

from __future__ import annotations

from typing import Literal

_MULTIPLES = (2.0, 3.0)  # what the period search itself compares: half, double, third, triple
_RESOLUTION = 0.1  # of 1/span, the distance of independent frequencies: what noise moves a peak by

Relation = Literal["same", "multiple", "other"]


def tolerance_of(days: float, span_days: float, least: float) -> float:
    """Return the relative difference that counts as none: what a span resolves, and at least ``least``."""
    return max(least, _RESOLUTION * days / max(span_days, days))


def relation(days: float, other: float, tolerance: float) -> Relation:
    """Return how a period goes together with another.

    Parameters
    ----------
    days, other : float
        Positive.
    tolerance : float
        Relative.
    """
    if _close(days, other, tolerance):
        return "same"
    multiples = (factor for m in _MULTIPLES for factor in (m, 1 / m))
    return "multiple" if any(_close(days, other * factor, tolerance) for factor in multiples) else "other"


def _close(days: float, other: float, tolerance: float) -> bool:
    return abs(days - other) <= tolerance * other
