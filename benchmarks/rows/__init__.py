"""The rows of the table, in its order; each is imported when it is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Protocol

from benchmarks.measure import Effort
from benchmarks.results import Result

Say = Callable[[str], None]


class Row(Protocol):
    """Measures one row; the row's name is that of its function, with dashes."""

    def __call__(self, effort: Effort, say: Say) -> Result:
        """Measure, telling what is done, and return the result."""


ROWS: Mapping[str, str] = {
    "ingest-ztf": "ingest",
    "ingest-lsst": "ingest",
    "accumulate": "accumulate",
    "accumulate-kafka": "accumulate_kafka",
    "accumulate-objects": "accumulate_kafka",
    "period": "period",
    "network": "network",
    "score": "score",
    "training": "training",
    "end-to-end": "end_to_end",
}
"""Modules of the rows by the rows' names."""


def load(name: str) -> Row:
    """Return the function of a row."""
    row: Row = getattr(import_module(f"benchmarks.rows.{ROWS[name]}"), name.replace("-", "_"))
    return row
