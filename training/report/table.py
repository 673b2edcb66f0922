"""A table of the report: HTML and Markdown show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading; the first column is a name, the others are figures."""

    heading: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
