"""Rows of a table by object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from broker_plugin.photometry.epochs import BoolArray, IntArray
from broker_plugin.records.epoch import FloatArray


def by_object(ids: Sequence[str], good: BoolArray) -> Iterator[tuple[str, IntArray]]:
    """Yield each id with the numbers of its good rows, in the order in which the ids come first."""
    rows = np.flatnonzero(good)
    if not rows.size:
        return
    chosen = np.asarray(ids, dtype=object)[rows].astype(str)
    names, first, inverse = np.unique(chosen, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    parts = np.split(rows[order], np.flatnonzero(np.diff(inverse[order])) + 1)
    for index in np.argsort(first).tolist():
        yield str(names[index]), parts[index]


def mean_or_nan(values: FloatArray) -> float:
    """Return the mean of what is finite, NaN if nothing is."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")
