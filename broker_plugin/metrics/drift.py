"""The newest windows of a process, compared with the training's at each scrape."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np

from broker_plugin.drift import Reference, stability_index

NEWEST = 2000
"""Windows compared: an hour of a small stream, minutes of a large one."""

LEAST = 500
"""With fewer, chance alone makes the index: its expectation without any drift is 10 bins / 500 = 0.02."""


class DriftMonitor:
    """Counts of the newest values of each feature that the reference knows.

    One thread calls :meth:`add`; any may call :meth:`indices`.

    Parameters
    ----------
    reference : mapping of str to Distribution
    """

    def __init__(self, reference: Reference, *, newest: int = NEWEST, least: int = LEAST) -> None:
        self._reference = reference
        self._least = least
        self._bins: dict[str, deque[int]] = {name: deque(maxlen=newest) for name in reference}
        self._counts = {name: np.zeros(d.n_bins, dtype=np.int64) for name, d in reference.items()}

    def add(self, feature: str, value: float) -> None:
        """Count a value; a feature that the reference does not know is dropped."""
        bins = self._bins.get(feature)
        if bins is None:
            return
        counts = self._counts[feature]
        if len(bins) == bins.maxlen:
            counts[bins[0]] -= 1
        number = self._reference[feature].bin_of(value)
        bins.append(number)
        counts[number] += 1

    @property
    def n_windows(self) -> int:
        """Return how many windows the best-filled feature holds."""
        return max((len(bins) for bins in self._bins.values()), default=0)

    def indices(self) -> Iterator[tuple[str, float]]:
        """Yield each feature that has enough values, and its stability index."""
        for name, counts in self._counts.items():
            now = counts.copy()
            if now.sum() >= self._least:
                yield name, stability_index(self._reference[name], now)
