"""What is new: the memory behind ``new_or_changed``, one small value an object and band.

Where it is kept is the caller's affair: the deliver stage keeps it in its state, ``subscribe`` while it runs.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self

from broker_plugin.records.annotation import Annotation

PERIOD_TOLERANCE = 0.01
"""Relative. Periods found from 200 epochs of one star agree far better, aliases and multiples far worse."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The verdict that was let through last.

    Attributes
    ----------
    predicted_class : str
    novel : bool
    period_days : float or None
        None when no period was significant.
    """

    predicted_class: str
    novel: bool
    period_days: float | None

    @classmethod
    def of(cls, annotation: Annotation) -> Self:
        """Return what is to be remembered of an annotation."""
        return cls(annotation.predicted_class, annotation.novel, annotation.period.value_days)

    def pack(self) -> bytes:
        """Return it as bytes; equal values give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return what :meth:`pack` packed."""
        return cls(**json.loads(packed))


def is_news(annotation: Annotation, seen: Seen | None) -> bool:
    """Return whether an annotation says something that was not said before.

    Parameters
    ----------
    annotation : Annotation
    seen : Seen or None
        What was let through last of the same object and band; None if nothing was.
    """
    now = Seen.of(annotation)
    if seen is None or (now.predicted_class, now.novel) != (seen.predicted_class, seen.novel):
        return True
    if now.period_days is None or seen.period_days is None:
        return now.period_days is not seen.period_days
    return abs(now.period_days - seen.period_days) > PERIOD_TOLERANCE * seen.period_days
