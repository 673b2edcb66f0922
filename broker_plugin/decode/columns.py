"""Columns of measurements, and the one place where a survey's many words for "missing" become NaN.

ZTF writes 100, 99, -99999, -999, 0, NaN and null for values that it does not have.
Each column therefore states the open interval in which its values lie; all else is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from broker_plugin.decode.alert import MalformedError, Reason, Table

BAND_NAMES = ("u", "g", "r", "i", "z", "y")
"""Band of code 0, 1, ...: the column of a band holds the code."""

SEVERAL_CODES = -1.0
"""Value of a code column where the survey wrote anything but one small number."""


class Kind(Enum):
    """How a field's value becomes a number."""

    NUMBER = "number"
    SIGN = "sign"  # 't' or '1' is +1, 'f' or '0' is -1
    BAND = "band"  # letter of the band, as its index in BAND_NAMES
    CODE = "code"  # decimal digits in a string; several codes are SEVERAL_CODES


@dataclass(frozen=True, slots=True)
class Column:
    """A field that is wanted, and which of its values mean something.

    Attributes
    ----------
    name : str
        The field's name.
    low, high : float
        Values outside the open interval are missing.
    missing : float
        A sentinel inside the interval.
    kind : Kind
    aliases : tuple of str
        Names of the field in other versions of the schema.
    """

    name: str
    low: float = -math.inf
    high: float = math.inf
    missing: float = math.nan
    kind: Kind = Kind.NUMBER
    aliases: tuple[str, ...] = ()


class Columns:
    """The columns of a table: from field values to a clean array of float64."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.index = {column.name: i for i, column in enumerate(self.columns)}
        self._low = np.array([column.low for column in self.columns])
        self._high = np.array([column.high for column in self.columns])
        self._sentinels = [(i, c.missing) for i, c in enumerate(self.columns) if not math.isnan(c.missing)]
        self._names = [(column.name, *column.aliases) for column in self.columns]
        self._converters = [
            (i, _CONVERTERS[c.kind]) for i, c in enumerate(self.columns) if c.kind in _CONVERTERS
        ]

    def __len__(self) -> int:
        return len(self.columns)

    def table(self, records: Sequence[Mapping[str, Any]]) -> Table:
        """Pick the columns out of records.

        Parameters
        ----------
        records : sequence of mapping
            As fastavro reads them; a field that is absent or null is missing.

        Returns
        -------
        ndarray, shape (number of records, number of columns), float64

        Raises
        ------
        MalformedError
            ``bad_field`` where a value is of the wrong type.
        """
        rows = [[self._pick(record, names) for names in self._names] for record in records]
        for index, convert in self._converters:
            for row in rows:
                row[index] = convert(row[index])
        table = np.empty((len(rows), len(self.columns)))
        for number, row in enumerate(rows):
            for index, value in enumerate(row):
                if value is None:
                    table[number, index] = math.nan
                elif isinstance(value, (int, float)):
                    table[number, index] = value
                else:
                    name = self.columns[index].name
                    raise MalformedError(Reason.BAD_FIELD, f"{name} is {value!r:.80}; expected a number")
        return self.clean(table)

    def clean(self, table: Table) -> Table:
        """Turn every value that means "missing" into NaN, in place."""
        usable = table > self._low
        usable &= table < self._high
        for index, sentinel in self._sentinels:
            usable[:, index] &= table[:, index] != sentinel
        np.copyto(table, np.nan, where=~usable)
        return table

    @staticmethod
    def _pick(record: Mapping[str, Any], names: tuple[str, ...]) -> Any:
        for name in names:
            value = record.get(name)
            if value is not None:
                return value
        return None


def sign_of(text: Any) -> float:
    """Return +1 or -1 for ZTF's ``isdiffpos``, NaN for what is neither."""
    return _SIGNS.get(text, math.nan) if isinstance(text, str) else math.nan


def band_of(text: Any) -> float:
    """Return the code of a band's letter, NaN for what is none of the six."""
    return _BANDS.get(text, math.nan) if isinstance(text, str) else math.nan


def code_of(text: Any) -> float:
    """Return the number that a string of up to three digits spells, else SEVERAL_CODES; NaN for none."""
    if not isinstance(text, str):
        return math.nan
    return float(int(text)) if text.isascii() and text.isdigit() and len(text) <= 3 else SEVERAL_CODES


_SIGNS = {"t": 1.0, "1": 1.0, "f": -1.0, "0": -1.0}
_BANDS = {name: float(code) for code, name in enumerate(BAND_NAMES)}
_CONVERTERS = {Kind.SIGN: sign_of, Kind.BAND: band_of, Kind.CODE: code_of}
