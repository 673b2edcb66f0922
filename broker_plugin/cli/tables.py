"""Plain tables for the terminal: aligned by spaces, so that they survive a pipe, a log and a mail."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the table; the first column is flush left, the others flush right.

    Parameters
    ----------
    columns : sequence of str
        Headings; all empty for none.
    rows : sequence of sequence of str
        As long as the columns.
    """
    lines = [columns, *rows] if any(columns) else list(rows)
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))] if lines else []
    text = [_line(line, widths) for line in lines]
    if any(columns):
        text.insert(1, "-" * (sum(widths) + 2 * (len(widths) - 1)))
    return "\n".join(text)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    parts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
    return "  ".join(parts).rstrip()


def share(part: int, whole: int) -> str:
    """Return ``part of whole (percent)``."""
    return f"{part} of {whole}" + (f" ({part / whole:.0%})" if whole else "")
