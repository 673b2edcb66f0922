"""Wanted fields as groups of a regular expression, and many matches as one table."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any

import numpy as np

from broker_plugin.decode.alert import Table
from broker_plugin.decode.columns import Columns, Kind, band_of, code_of, sign_of
from broker_plugin.decode.layout import (
    PRIMITIVES,
    SMALL,
    NotRegularError,
    nullable_pattern,
    pattern_of,
    split_null,
    type_name_of,
)
from broker_plugin.decode.wire import read_long


@dataclass(slots=True)
class Group:
    """A group of the expression: a value by itself, or some bytes of a packed row."""

    key: tuple[str, str]
    type_name: str  # Avro's
    layout: list[tuple[str, Any]] = field(default_factory=list)
    null_byte: int | None = None  # the union index that says null


class Rows:
    """Turns the groups of many matches into a table."""

    def __init__(self, columns: Columns, groups: Sequence[Group], members: Sequence[int]) -> None:
        self._columns = columns
        filled = [_column_index(columns, group.key[1]) for group in groups]
        if not groups or len(set(filled)) < len(filled):
            raise NotRegularError  # nothing wanted, or a column under two of its names
        self._pick: Callable[[Any], Any] = itemgetter(*members) if len(members) > 1 else _only(members[0])
        self._dtype = np.dtype([part for group in groups for part in group.layout])
        nulls = [group for group in groups if group.null_byte is not None]
        by_name: Mapping[str, Any] = self._dtype.fields or {}
        self._null_offsets = np.array([by_name[f"{group.key[1]}?"][1] for group in nulls], dtype=np.intp)
        self._null_bytes = np.array([group.null_byte for group in nulls], dtype=np.uint8)
        self._null_columns = np.array(
            [_column_index(columns, group.key[1]) for group in nulls], dtype=np.intp
        )
        self._fills = [_Fill.of(columns, group) for group in groups]
        self._absent = sorted(set(range(len(columns))) - {fill.column for fill in self._fills})

    def table(self, matches: Sequence[Sequence[Any]]) -> Table:
        """Return the clean table of the matches' groups, one row each."""
        if not matches:
            return np.empty((0, len(self._columns)))
        joined = b"".join([part for groups in matches for part in self._pick(groups)])
        rows = np.frombuffer(joined, dtype=self._dtype)
        table = np.empty((len(rows), len(self._columns)))
        for fill in self._fills:
            fill.into(table, rows)
        for column in self._absent:
            table[:, column] = np.nan
        if len(self._null_offsets):
            raw = np.frombuffer(joined, dtype=np.uint8).reshape(len(rows), -1)
            where, which = np.nonzero(raw[:, self._null_offsets] == self._null_bytes)
            table[where, self._null_columns[which]] = np.nan
        return self._columns.clean(table)


@dataclass(frozen=True, slots=True)
class _Fill:
    """Writes one field of the packed rows into one column of the table."""

    column: int
    name: str
    is_code: bool
    letters: Table | None  # what each byte stands for
    halve: bool  # zig-zag: an even byte is twice the number

    @classmethod
    def of(cls, columns: Columns, group: Group) -> _Fill:
        column = _column_index(columns, group.key[1])
        kind = columns.columns[column].kind
        halve = group.type_name in ("int", "long")
        return cls(column, group.key[1], kind is Kind.CODE, _LETTERS.get(kind), halve)

    def into(self, table: Table, rows: Any) -> None:
        values = rows[self.name]
        if self.is_code:
            table[:, self.column] = [_code_of_bytes(text) for text in values.tolist()]
        elif self.letters is not None:
            table[:, self.column] = self.letters[values]
        elif self.halve:
            table[:, self.column] = values >> 1
        else:
            table[:, self.column] = values


def column_pattern(
    name: str, kind: Any, columns: Columns, named: Mapping[str, Any]
) -> tuple[bytes, Group | None]:
    """Return the pattern of a field and, where it is a wanted column, its group.

    A nullable field is captured by a look-ahead of fixed width, index byte and value, whether or not it is
    null: so that all packed rows have one size, and null is told apart afterwards, for all rows at once.
    """
    plain, null = split_null(kind)
    index = next((i for i, c in enumerate(columns.columns) if name in (c.name, *c.aliases)), None)
    if index is None:
        return pattern_of(kind, named), None
    shape = _CAPTURES.get((columns.columns[index].kind, type_name_of(plain)))
    if shape is None:
        raise NotRegularError
    body, width, layout = shape
    group = Group(
        ("", name), type_name_of(plain), [(part.replace("x", name, 1), code) for part, code in layout]
    )
    if null is None:
        return b"(?=(.{%d}))%s" % (width, body), group
    group.layout.insert(0, (f"{name}?", "u1"))
    group.null_byte = 2 * null
    return b"(?=(.{%d}))%s" % (width + 1, nullable_pattern(body, null)), group


def _only(member: int) -> Callable[[Any], Any]:
    return lambda groups: (groups[member],)


def _column_index(columns: Columns, name: str) -> int:
    return next(i for i, c in enumerate(columns.columns) if name in (c.name, *c.aliases))


# Pattern, width in bytes and layout ("x" stands for the field's name) of a wanted column.
_CAPTURES: dict[tuple[Kind, str], tuple[bytes, int, list[tuple[str, Any]]]] = {
    (Kind.NUMBER, "double"): (b".{8}", 8, [("x", "<f8")]),
    (Kind.NUMBER, "float"): (b".{4}", 4, [("x", "<f4")]),
    (Kind.NUMBER, "int"): (SMALL, 1, [("x", "u1")]),
    (Kind.NUMBER, "long"): (SMALL, 1, [("x", "u1")]),
    (Kind.NUMBER, "boolean"): (rb"[\x00\x01]", 1, [("x", "u1")]),
    (Kind.SIGN, "string"): (rb"\x02.", 2, [("x#", "u1"), ("x", "u1")]),
    (Kind.BAND, "string"): (rb"\x02.", 2, [("x#", "u1"), ("x", "u1")]),
    (Kind.CODE, "string"): (PRIMITIVES["string"], 4, [("x", "V4")]),
}

_LETTERS = {
    Kind.SIGN: np.array([sign_of(chr(i)) for i in range(256)]),
    Kind.BAND: np.array([band_of(chr(i)) for i in range(256)]),
}


@lru_cache(maxsize=4096)  # a survey has some dozens of them
def _code_of_bytes(text: bytes) -> float:
    """Return the code of a length byte and up to three characters; more of them are several codes."""
    length = text[0] >> 1
    return code_of(text[1 : 1 + length].decode("latin-1") if length <= 3 else "several")


def _long_of(text: bytes) -> int:
    return read_long(text, 0)[0]


def _text_of(text: bytes) -> str:
    return text[1 if text[0] < 0x80 else 2 :].decode()


def _float_of(code: str) -> Callable[[bytes], float]:
    unpack = struct.Struct(code).unpack
    return lambda text: float(unpack(text)[0])


SINGLE_READERS: dict[str, Callable[[bytes], Any]] = {
    "int": _long_of,
    "long": _long_of,
    "string": _text_of,
    "float": _float_of("<f"),
    "double": _float_of("<d"),
}
