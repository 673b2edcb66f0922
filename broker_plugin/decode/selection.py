"""What is wanted of an alert record, and what was found: the same for a fast scan and for a whole decode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from broker_plugin.decode.alert import MalformedError, Reason, Table
from broker_plugin.decode.columns import Columns


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to take out of one field of the alert record.

    Attributes
    ----------
    columns : Columns or None
        Measurements: of the record, or of each record of the array, that the field holds.
    values : tuple of str
        Fields of the record, or the field itself where it is no record, that are taken one by one
        (numbers of 64 bits, strings): see :class:`Scanned`.
    """

    columns: Columns | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scanned:
    """What a scan found.

    Attributes
    ----------
    values : dict of (str, str) to str, int, float or None
        By field of the alert and field within it (equal for a field that is no record).
    tables : dict of str to ndarray of float64
        By field of the alert. A null array is an empty table; a null record is absent.
    """

    values: dict[tuple[str, str], Any]
    tables: dict[str, Table]

    def integer(self, name: str, member: str) -> int | None:
        """Return a whole number of at most 64 bits, None for null.

        Raises
        ------
        MalformedError
            ``bad_field``.
        """
        value = self.values.get((name, member))
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not -(2**63) <= value < 2**63:
            raise bad_field(value, _path(name, member), "an integer of 64 bits")
        return value

    def text(self, name: str, member: str) -> str | None:
        """Return a string, None for null; raises ``bad_field``."""
        value = self.values.get((name, member))
        if value is not None and not isinstance(value, str):
            raise bad_field(value, _path(name, member), "a string")
        return value

    def number(self, name: str, member: str) -> float:
        """Return a number, NaN for null; raises ``bad_field``."""
        value = self.values.get((name, member))
        if value is None:
            return math.nan
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise bad_field(value, _path(name, member), "a number")
        return float(value)

    def position(self, name: str, dec_names: tuple[str, ...] = ("dec",)) -> tuple[float, float]:
        """Return right ascension and declination in degrees; raises ``bad_field``."""
        ra = self.number(name, "ra")
        if not 0.0 <= ra <= 360.0:
            raise bad_field(ra, f"{name}.ra", "degrees from 0 to 360")
        dec_name = next((n for n in dec_names if self.values.get((name, n)) is not None), dec_names[0])
        dec = self.number(name, dec_name)
        if not -90.0 <= dec <= 90.0:
            raise bad_field(dec, f"{name}.{dec_name}", "degrees from -90 to 90")
        return ra, dec

    def table(self, name: str, columns: Columns) -> Table:
        """Return a table; an empty one where the field is null or absent."""
        found = self.tables.get(name)
        return columns.table([]) if found is None else found


def bad_field(value: Any, path: str, expected: str) -> MalformedError:
    """Return the error that names a field and its value."""
    return MalformedError(Reason.BAD_FIELD, f"{path} is {value!r:.80}; expected {expected}")


def _path(name: str, member: str) -> str:
    return name if member == name else f"{name}.{member}"


def select(record: Mapping[str, Any], wanted: Mapping[str, Wanted]) -> Scanned:
    """Select what is wanted out of a decoded record.

    Raises
    ------
    MalformedError
        ``bad_field`` where a field is not of its expected shape.
    """
    found = Scanned({}, {})
    for name, wish in wanted.items():
        value = record.get(name)
        if wish.values == (name,):
            found.values[name, name] = value
            continue
        if value is None:
            continue
        if isinstance(value, list) and wish.columns is not None:
            if not all(isinstance(item, dict) for item in value):
                raise MalformedError(Reason.BAD_FIELD, f"{name} holds a value that is no record")
            found.tables[name] = wish.columns.table(value)
        elif isinstance(value, dict):
            for member in wish.values:
                found.values[name, member] = value.get(member)
            if wish.columns is not None:
                found.tables[name] = wish.columns.table([value])
        else:
            raise MalformedError(Reason.BAD_FIELD, f"{name} is {value!r:.80}; expected a record")
    return found
