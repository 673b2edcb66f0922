"""How far the light curves are: n/200 of each object and band."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.lightcurve.epochs import time_slots
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.records.window import WINDOW_EPOCHS

_EXACT_EPOCHS = 20_000_000  # 160 MB of time slots
_STEPS = (0.25, 0.5, 0.75, 1.0)


class Census:
    """Counts the exposures of each light curve.

    An exposure that several files bring counts once, as in the state; beyond ``exact_epochs`` of them new
    ones are only added up, and :attr:`exact` says so.
    """

    def __init__(self, exact_epochs: int = _EXACT_EPOCHS) -> None:
        self.exact = True
        self.epochs = 0
        self._left = exact_epochs
        self._slots: dict[tuple[str, str, str], npt.NDArray[np.int64]] = {}
        self._more: defaultdict[tuple[str, str, str], int] = defaultdict(int)

    def add(self, photometry: ObjectPhotometry) -> None:
        """Count a record."""
        for band, epochs in photometry.bands.items():
            key = (photometry.survey, photometry.object_id, band)
            self.epochs += len(epochs)
            if self._left <= 0:
                self.exact = False
                self._more[key] += len(epochs)
                continue
            slots = np.unique(time_slots(epochs))
            held = self._slots.get(key)
            merged = slots if held is None else np.union1d(held, slots)
            self._left -= len(merged) - (0 if held is None else len(held))
            self._slots[key] = merged

    def counts(self) -> npt.NDArray[np.int64]:
        """Return the exposures of each light curve."""
        keys = self._slots.keys() | self._more.keys()
        found = [_exposures(self._slots.get(key)) + self._more.get(key, 0) for key in keys]
        return np.array(found, dtype=np.int64)

    @property
    def objects(self) -> int:
        """Return the number of objects."""
        return len({key[:2] for key in self._slots.keys() | self._more.keys()})

    def rows(self) -> list[tuple[str, str]]:
        """Return lines of a table: light curves by n/200."""
        counts = self.counts()
        lines = []
        low = 0
        for step in _STEPS:
            high = round(step * WINDOW_EPOCHS)
            lines.append((f"light curves with {low} to {high - 1} epochs", _number(counts, low, high)))
            low = high
        lines.append((f"light curves with {WINDOW_EPOCHS} or more: ready", _number(counts, low, None)))
        return lines


def _exposures(slots: npt.NDArray[np.int64] | None) -> int:
    """Count slots, neighbours once: an exposure whose times straddle a border."""
    return 0 if slots is None else int(np.sum(np.diff(slots, prepend=np.iinfo(np.int64).min // 2) > 1))


def _number(counts: Any, low: int, high: int | None) -> str:
    inside: Sequence[bool] = (counts >= low) & (counts < (np.inf if high is None else high))
    return f"{int(np.sum(inside)):,}"
