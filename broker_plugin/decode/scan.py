r"""Read only the wanted fields of an alert, several times as fast as a whole decode.

An alert repeats a record of about fifty mostly nullable fields some forty times,
and a general Avro reader makes a Python object of each. But the layout of such a
record, for a given schema, is a regular language: a nullable float is
``\x00|\x02.{4}``, a number is ``[\x80-\xff]*[\x00-\x7f]``. So a schema is compiled
to regular expressions whose groups are the wanted fields, one match reads one
record, and the groups of all the records, joined, are an array of packed rows.

The scan knows the shapes that alerts have and nothing else. Where a packet departs
from them in any way (a string longer than 127 bytes, a negative code, a damaged
byte) it gives up with None, and the caller decodes with fastavro, which also judges
what is wrong. Both ways lead to equal alerts (tests hold them equal, on damaged packets, too).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from broker_plugin.decode.alert import MalformedError
from broker_plugin.decode.columns import Columns
from broker_plugin.decode.layout import (
    MAX_PATTERN_BYTES,
    PRIMITIVES,
    NotRegularError,
    array_of,
    nullable_pattern,
    pattern_of,
    record_of,
    resolve,
    split_null,
    type_name_of,
)
from broker_plugin.decode.rows import SINGLE_READERS, Group, Rows, column_pattern
from broker_plugin.decode.selection import Scanned, Wanted
from broker_plugin.decode.wire import read_long, skip_bytes

Step = Callable[[bytes, int, Scanned], int]
"""Reads from a position into what was found, returns the position after it; negative: gives up."""

_GIVE_UP = -1


class Scan:
    """A compiled schema."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)

    def read(self, data: bytes, position: int) -> tuple[Scanned, int] | None:
        """Read one record.

        Returns
        -------
        (Scanned, int) or None
            What was found and the position after the record, or None where the record is not of the
            expected shape.
        """
        scanned = Scanned({}, {})
        try:
            for step in self._steps:
                position = step(data, position, scanned)
                if position < 0:
                    return None
        except (MalformedError, UnicodeDecodeError):
            return None
        return scanned, position


def compile_scan(parsed: Any, named: Mapping[str, Any], wanted: Mapping[str, Wanted]) -> Scan | None:
    """Compile a schema; None where it has a shape that the scan does not know.

    Parameters
    ----------
    parsed, named
        As in :class:`broker_plugin.decode.writer_schema.WriterSchema`.
    wanted : mapping of str to Wanted
        By field of the alert; the other fields are skipped.
    """
    steps: list[Step] = []
    try:
        run = _Run(named)
        for item in parsed["fields"]:
            name, kind = item["name"], resolve(item["type"], named)
            wish = wanted.get(name, Wanted())
            array = array_of(kind, named)
            if array is None and not _is_blob(kind, named):
                run.add_field(name, kind, wish)
                continue
            if wish.values or (array is None and wish.columns):
                return None  # what is wanted is of another type than the survey's
            steps.extend(run.steps())
            run = _Run(named)
            if array is None:
                steps.append(_skip_blob(kind, named))
            else:
                steps.append(_array_step(name, *array, wish, named))
        steps.extend(run.steps())
    except NotRegularError:
        return None
    return Scan(steps)


class _Run:
    """Builds the expression and the reader of a run of fields."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._pattern: list[bytes] = []
        self._groups: list[Group] = []
        self._tables: dict[str, tuple[Columns, list[int]]] = {}

    def add_field(self, name: str, kind: Any, wish: Wanted) -> None:
        """Add a field of the alert: a plain value, or a record that may be null."""
        if wish.values == (name,):
            self._pattern.append(self._value(name, name, kind))
            return
        record, null = record_of(kind, self._named)
        if not (wish.columns or wish.values):
            self._pattern.append(pattern_of(kind, self._named))
            return
        if record is None or (null is not None and wish.columns is not None):
            raise NotRegularError  # a field of another type than the survey's, or a table that may be absent
        body = b"".join(self._member(name, member, wish) for member in record["fields"])
        self._pattern.append(nullable_pattern(body, null))

    def steps(self) -> list[Step]:
        """Return the step that matches the expression, if there is anything to match."""
        if not self._pattern:
            return []
        match = _matcher(self._pattern)
        singles = [
            (i, g.key, SINGLE_READERS[g.type_name]) for i, g in enumerate(self._groups) if not g.layout
        ]
        tables = {
            name: Rows(columns, [self._groups[i] for i in members], members)
            for name, (columns, members) in self._tables.items()
        }

        def step(data: bytes, position: int, scanned: Scanned) -> int:
            found = match(data, position)
            if found is None:
                return _GIVE_UP
            groups = found.groups()
            for index, key, read in singles:
                text = groups[index]
                scanned.values[key] = None if text is None else read(text)
            for name, rows in tables.items():
                scanned.tables[name] = rows.table([groups])
            return found.end()

        return [step]

    def _member(self, name: str, member: Mapping[str, Any], wish: Wanted) -> bytes:
        kind = resolve(member["type"], self._named)
        if member["name"] in wish.values:
            return self._value(name, member["name"], kind)
        if wish.columns is None:
            return pattern_of(kind, self._named)
        columns, members = self._tables.setdefault(name, (wish.columns, []))
        pattern, group = column_pattern(member["name"], kind, columns, self._named)
        if group is not None:
            members.append(len(self._groups))
            self._groups.append(group)
        return pattern

    def _value(self, name: str, member: str, kind: Any) -> bytes:
        """Return the pattern of a value that is taken by itself, null or not."""
        plain, null = split_null(kind)
        type_name = type_name_of(plain)
        if type_name not in SINGLE_READERS:
            raise NotRegularError
        self._groups.append(Group((name, member), type_name))
        return nullable_pattern(b"(%s)" % PRIMITIVES[type_name], null)


# ---- arrays and stamps


def _array_step(name: str, items: Any, null: int | None, wish: Wanted, named: Mapping[str, Any]) -> Step:
    """Return the step that reads, or skips, a nullable array of records."""
    record, item_null = record_of(resolve(items, named), named)
    if record is None or item_null is not None:
        raise NotRegularError
    pattern, groups, columns = [], [], wish.columns
    for member in record["fields"]:
        kind = resolve(member["type"], named)
        if columns is None:
            pattern.append(pattern_of(kind, named))
            continue
        body, group = column_pattern(member["name"], kind, columns, named)
        pattern.append(body)
        groups.extend([] if group is None else [group])
    match = _matcher(pattern)
    rows = None if columns is None else Rows(columns, groups, range(len(groups)))

    def step(data: bytes, position: int, scanned: Scanned) -> int:
        found: list[tuple[bytes, ...]] = []
        position, is_null = _union_index(data, position, null)
        count = 0 if is_null else 1
        while count and position >= 0:
            count, position = read_long(data, position)
            if count < 0:
                count = -count
                position = read_long(data, position)[1]
            for _ in range(count):
                one = match(data, position)
                if one is None:
                    return _GIVE_UP
                found.append(one.groups())
                position = one.end()
        if rows is not None:
            scanned.tables[name] = rows.table(found)
        return position

    return step


def _is_blob(kind: Any, named: Mapping[str, Any]) -> bool:
    plain = resolve(split_null(kind)[0], named)
    if type_name_of(plain) == "record":
        return any(type_name_of(resolve(member["type"], named)) == "bytes" for member in plain["fields"])
    return type_name_of(plain) == "bytes"


def _skip_blob(kind: Any, named: Mapping[str, Any]) -> Step:
    """Return the step that jumps over a stamp: bytes, or a record of strings and bytes."""
    plain, null = split_null(kind)
    plain = resolve(plain, named)
    members = [m["type"] for m in plain["fields"]] if type_name_of(plain) == "record" else [plain]
    if any(type_name_of(resolve(member, named)) not in ("bytes", "string") for member in members):
        raise NotRegularError
    count = len(members)

    def step(data: bytes, position: int, scanned: Scanned) -> int:
        position, is_null = _union_index(data, position, null)
        if is_null or position < 0:
            return position
        for _ in range(count):
            position = skip_bytes(data, position)
        return position

    return step


def _union_index(data: bytes, position: int, null: int | None) -> tuple[int, bool]:
    """Read the index of a union with null: the position after it, and whether the value is null."""
    if null is None:
        return position, False
    index = data[position : position + 1]
    if index not in (b"\x00", b"\x02"):
        return _GIVE_UP, False
    return position + 1, index[0] == 2 * null


def _matcher(pattern: Sequence[bytes]) -> Callable[[bytes, int], re.Match[bytes] | None]:
    whole = b"".join(pattern)
    if len(whole) > MAX_PATTERN_BYTES:
        raise NotRegularError
    return re.compile(whole, re.DOTALL).match
