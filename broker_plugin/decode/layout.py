"""The byte layout of Avro types as regular expressions, and a few questions about parsed schemas."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


class NotRegularError(Exception):
    """The schema has a shape that the scan does not know; caught where a schema is compiled."""


def pattern_of(kind: Any, named: Mapping[str, Any]) -> bytes:
    """Return the pattern of a value that nobody wants."""
    kind = resolve(kind, named)
    if isinstance(kind, list):
        branches = [index_pattern(i) + pattern_of(branch, named) for i, branch in enumerate(kind)]
        return b"(?:%s)" % b"|".join(branches)
    type_name = type_name_of(kind)
    if type_name == "record":
        return b"".join(pattern_of(member["type"], named) for member in kind["fields"])
    if type_name not in PRIMITIVES:
        raise NotRegularError
    return PRIMITIVES[type_name]


def nullable_pattern(body: bytes, null: int | None) -> bytes:
    """Return the pattern of a union of null and what ``body`` matches; without null, ``body``."""
    return body if null is None else b"(?:%s|%s%s)" % (index_pattern(null), index_pattern(1 - null), body)


def resolve(kind: Any, named: Mapping[str, Any]) -> Any:
    """Return the definition of a named type, anything else as it is."""
    return named[kind] if isinstance(kind, str) and kind in named else kind


def type_name_of(kind: Any) -> str:
    """Return Avro's word for a type: ``"float"``, ``"record"``, ``"union"``, ..."""
    if isinstance(kind, dict):
        return type_name_of(kind["type"])
    return kind if isinstance(kind, str) else "union"


def split_null(kind: Any) -> tuple[Any, int | None]:
    """Split a union of null and one type into that type and the index of null; None without null."""
    if not isinstance(kind, list):
        return kind, None
    if len(kind) != 2 or "null" not in kind:
        raise NotRegularError
    null = kind.index("null")
    return kind[1 - null], null


def record_of(kind: Any, named: Mapping[str, Any]) -> tuple[Any | None, int | None]:
    """Return the record type and the index of null, (None, None) where the type is no record."""
    if isinstance(kind, list) and (len(kind) != 2 or "null" not in kind):
        return None, None
    plain, null = split_null(kind)
    plain = resolve(plain, named)
    return (plain, null) if type_name_of(plain) == "record" else (None, None)


def array_of(kind: Any, named: Mapping[str, Any]) -> tuple[Any, int | None] | None:
    """Return the items of an array and the index of null, None where the type is no array."""
    branches = kind if isinstance(kind, list) else [kind]
    if not any(type_name_of(resolve(branch, named)) == "array" for branch in branches):
        return None
    plain, null = split_null(kind)
    return resolve(plain, named)["items"], null


def index_pattern(branch: int) -> bytes:
    """Return the pattern of a union's index."""
    return re.escape(bytes((2 * branch,)))


def _string_pattern() -> bytes:
    """Return the pattern of a string of up to 127 bytes: one alternative for each length."""
    short = [re.escape(bytes((2 * n,))) + b".{%d}" % n for n in range(64)]
    longer = [re.escape(bytes((2 * n & 0x7F | 0x80, 1))) + b".{%d}" % n for n in range(64, 128)]
    return b"(?:%s)" % b"|".join(short + longer)


MAX_PATTERN_BYTES = 400_000
"""The expressions of a schema: 70 kB at most for any survey's; more would take long to compile."""

_NUMBER = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
SMALL = b"[%s]" % b"".join(rb"\x%02x" % (2 * n) for n in range(64))
"""Pattern of a number from 0 to 63: one byte, twice the number."""

PRIMITIVES = {
    "null": b"",
    "boolean": rb"[\x00\x01]",
    "int": _NUMBER,
    "long": _NUMBER,
    "float": b".{4}",
    "double": b".{8}",
    "string": _string_pattern(),
}
"""Patterns of the types without parts."""
