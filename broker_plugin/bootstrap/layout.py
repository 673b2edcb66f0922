"""Which columns a table must and may have, and its values as numbers and texts, or what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.bootstrap.pieces import BadRow
from broker_plugin.errors import InputError
from broker_plugin.photometry.epochs import BoolArray
from broker_plugin.records.epoch import FloatArray

_TRUTH = {"true": 1.0, "false": 0.0}

_MISSING = frozenset({"", "null", "nan", "none", "na", "n/a", "--", "\\n"})
"""How archives write that there is no value, in small letters."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns of a format.

    Attributes
    ----------
    name : str
        Of the format, for messages.
    required : tuple of tuple of str
        Each a column by its names, one of which must be there.
    optional : tuple of tuple of str
    ignored : tuple of str
        Known and of no use here.
    open : bool
        Any further columns may be there: wide tables whose columns differ from release to release.
    """

    name: str
    required: tuple[tuple[str, ...], ...]
    optional: tuple[tuple[str, ...], ...] = ()
    ignored: tuple[str, ...] = ()
    open: bool = False

    def choose(self, path: Path, found: Sequence[str], *, ignore_unknown: bool = False) -> dict[str, str]:
        """Return for each column that is there, by its first name, the name it has in the file.

        Raises
        ------
        InputError
            A required column is missing, or a column is not known.
        """
        there = set(found)
        chosen = {
            names[0]: next(name for name in names if name in there)
            for names in (*self.required, *self.optional)
            if not there.isdisjoint(names)
        }
        missing = [" or ".join(names) for names in self.required if names[0] not in chosen]
        allowed = [name for names in (*self.required, *self.optional) for name in names]
        if missing:
            msg = (
                f"{path}: format {self.name} needs the column {missing[0]}, which is not there; found "
                f"{', '.join(found)}; needed are {', '.join(' or '.join(names) for names in self.required)}"
            )
            raise InputError(msg)
        unknown = [name for name in found if name not in allowed and name not in self.ignored]
        if unknown and not self.open and not ignore_unknown:
            near = difflib.get_close_matches(unknown[0], allowed, n=1)
            hint = f", perhaps {near[0]}" if near else ""
            msg = (
                f"{path}: unknown column {unknown[0]!r}{hint}; format {self.name} allows "
                f"{', '.join([*allowed, *self.ignored])} (--ignore-columns passes over others)"
            )
            raise InputError(msg)
        return chosen


class Rows:
    """Some rows of a table, by column; remembers which are bad.

    Parameters
    ----------
    path : Path
    first_row : int
        Of these, from 0.
    columns : mapping of str to sequence
        Values as they were read: numbers, texts, None.
    """

    def __init__(self, path: Path, first_row: int, columns: Mapping[str, Any]) -> None:
        self._path = path
        self._first = first_row
        self._columns = columns
        self.n = len(next(iter(columns.values()))) if columns else 0
        self.bad: dict[int, BadRow] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._columns

    def renamed(self, prefix: str) -> Rows:
        """Return the same rows, their columns without a prefix."""
        rows = Rows(self._path, self._first, {k.removeprefix(prefix): v for k, v in self._columns.items()})
        rows.bad = self.bad
        return rows

    @property
    def good(self) -> BoolArray:
        """Return which rows nobody has found bad."""
        good = np.ones(self.n, dtype=bool)
        good[list(self.bad)] = False
        return good

    def note(self, index: int, column: str, found: Any, expected: str) -> None:
        """Remember what is wrong with a row; the first thing counts."""
        self.bad.setdefault(index, BadRow(self._path, self._first + index + 1, column, str(found), expected))

    def numbers(self, name: str, expected: str = "a number") -> FloatArray:
        """Return a column as numbers, NaN where a value is missing; all NaN without the column."""
        raw = self._columns.get(name)
        if raw is None:
            return np.full(self.n, np.nan)
        values = np.asarray(raw)
        try:
            return values.astype(np.float64)  # the usual case, and much quicker
        except (TypeError, ValueError):
            pass
        result = np.full(self.n, np.nan)
        for index, value in enumerate(values.tolist()):
            number = _number(value)
            if number is None:
                self.note(index, name, value, expected)
            else:
                result[index] = number
        return result

    def objects(self, name: str) -> list[Any]:
        """Return a column's values as they were read, for instance arrays."""
        return list(self._columns[name])

    def texts(self, name: str) -> list[str]:
        """Return a column as texts, empty where a value is missing."""
        raw = self._columns.get(name)
        if raw is None:
            return [""] * self.n
        return [_text(value) for value in np.asarray(raw).tolist()]

    def coded(self, name: str, codes: Mapping[str, float]) -> FloatArray:
        """Return a column of names as their codes; NaN where missing, any other name is bad."""
        texts = self.texts(name)
        result = np.full(self.n, np.nan)
        for index, text in enumerate(texts):
            if text in codes:
                result[index] = codes[text]
            elif text.lower() not in _MISSING:
                self.note(index, name, text, f"one of {', '.join(codes)}")
        return result


def _number(value: Any) -> float | None:
    """Return a number, NaN for a missing value, None for what is neither."""
    if value is None:
        return np.nan
    if isinstance(value, (int, float)):
        return float(value)
    text = str(value).strip()
    word = text.lower()
    if word in _MISSING or word in _TRUTH:
        return _TRUTH.get(word, np.nan)
    try:
        # IRSA writes some flags as 0x8000.
        return float(int(text, 16)) if word.startswith("0x") else float(text)
    except ValueError:
        return None


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
