"""A writer's schema that is safe to read with, and the survey that it belongs to.

The schema in an object container comes from outside. Two shapes of schema are
dangerous to fastavro's compiled reader and occur in no survey's alerts, so they
are refused before the first record is read: a type that contains itself (the
reader recurses on the C stack: a megabyte of data ends the process with SIGSEGV,
measured with fastavro 1.13), and arrays of items that take no bytes (a count of
2^62 then loops for ever and fills the memory).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import fastavro

from broker_plugin.decode.alert import MalformedError, Reason

MAX_SCHEMA_DEPTH = 24
"""Nesting of an alert schema: about 8 at most in ZTF's and LSST's."""

MAX_SCHEMA_NODES = 5_000
"""Values in an alert, arrays and named types written out once per use: about 1 000 in LSST 11.1."""

_FIXED_SIZES = {
    "boolean": 1,
    "int": 1,
    "long": 1,
    "float": 4,
    "double": 8,
    "bytes": 1,
    "string": 1,
    "null": 0,
}


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A parsed schema.

    Attributes
    ----------
    parsed : object
        For fastavro; every name in it resolves within it.
    named : mapping of str to dict
        The schema's named types by full name.
    survey : str or None
        ``"ztf"``, ``"lsst"``, or None when the fields are neither's.
    name : str
        Full name of the outermost record, e.g. ``"lsst.v9_0.alert"``.
    """

    parsed: Any
    named: Mapping[str, Any]
    survey: str | None
    name: str


def parse_writer_schema(schema: Any) -> WriterSchema:
    """Parse a schema on its own, with no names left over from any other.

    Parameters
    ----------
    schema : JSON value
        As read from a container's header, a registry or a file, self-contained.

    Raises
    ------
    MalformedError
        ``bad_header`` when it is no Avro schema, ``unsafe_schema`` when it must not be read with.
    """
    _check_nesting(schema)
    named: dict[str, Any] = {}
    try:
        parsed = fastavro.parse_schema(schema, named)
    except Exception as error:  # fastavro raises KeyError, TypeError and more for what is not a schema
        detail = f"not an Avro schema: {type(error).__name__}: {error}".replace("\n", " ")
        raise MalformedError(Reason.BAD_HEADER, detail[:300]) from error
    check_sizes(parsed, named)
    nodes = _count_nodes(parsed, named, {})
    if nodes > MAX_SCHEMA_NODES:
        raise MalformedError(Reason.UNSAFE_SCHEMA, f"a record of {nodes} values; at most {MAX_SCHEMA_NODES}")
    return WriterSchema(parsed, named, _survey_of(parsed), _name_of(parsed))


def _survey_of(parsed: Any) -> str | None:
    """Recognise the survey by the record's fields: topics are named as their operators please."""
    if not isinstance(parsed, dict) or parsed.get("type") != "record":
        return None
    fields = {field["name"] for field in parsed["fields"]}
    if {"objectId", "candid", "candidate"} <= fields:
        return "ztf"
    if {"diaSource", "diaObject"} <= fields:
        return "lsst"
    return None


def _name_of(parsed: Any) -> str:
    return str(parsed.get("name", parsed.get("type"))) if isinstance(parsed, dict) else str(parsed)[:100]


def _check_nesting(schema: Any) -> None:
    """Bound depth and size before anything recursive sees the schema."""
    level, depth, nodes = [schema], 0, 0
    while level:
        depth += 1
        nodes += len(level)
        # Each type takes up to three levels of JSON: object, list of fields or of union branches, field.
        if depth > 3 * MAX_SCHEMA_DEPTH or nodes > 20 * MAX_SCHEMA_NODES:
            raise MalformedError(
                Reason.UNSAFE_SCHEMA, f"schema nested {depth} deep with more than {nodes} values"
            )
        level = [child for value in level for child in _children(value)]


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _count_nodes(schema: Any, named: Mapping[str, Any], known: dict[str, int]) -> int:
    """Count the types in a schema with its named types written out; the schema does not contain itself."""
    if isinstance(schema, list):
        return 1 + sum(_count_nodes(branch, named, known) for branch in schema)
    if isinstance(schema, str):
        if schema in named and schema not in known:
            known[schema] = _count_nodes(named[schema], named, known)
        return known.get(schema, 1)
    if schema["type"] in ("record", "error"):
        return 1 + sum(_count_nodes(member["type"], named, known) for member in schema["fields"])
    inner = schema.get("items", schema.get("values"))
    return 1 if inner is None else 1 + _count_nodes(inner, named, known)


def check_sizes(schema: Any, named: Mapping[str, Any]) -> None:
    """Refuse types that contain themselves, and items and fields that take no bytes.

    With neither, the values in a packet are fewer than its bytes, whatever counts it declares.

    Raises
    ------
    MalformedError
        ``unsafe_schema``.
    """
    known: dict[str, int] = {}
    open_names: list[str] = []

    def smallest(schema: Any) -> int:
        """Return the fewest bytes that a value of this type can take."""
        if isinstance(schema, list):
            return 1 + min((smallest(branch) for branch in schema), default=0)
        if isinstance(schema, str):
            if schema in _FIXED_SIZES:
                return _FIXED_SIZES[schema]
            return known[schema] if schema in known else smallest(named[schema])
        return smallest_complex(schema, schema["type"])

    def smallest_complex(schema: Any, kind: Any) -> int:
        if kind in ("record", "error"):
            return smallest_record(schema)
        if kind in ("array", "map"):
            refuse_empty(schema["items" if kind == "array" else "values"], f"items of {kind}")
            return 1
        if kind == "fixed":
            return int(schema["size"])
        return 1 if kind == "enum" else smallest(kind)

    def smallest_record(schema: Any) -> int:
        name = schema["name"]
        if name in open_names:
            msg = f"type {name!r} contains itself; alert schemas never do"
            raise MalformedError(Reason.UNSAFE_SCHEMA, msg)
        open_names.append(name)
        if len(open_names) > MAX_SCHEMA_DEPTH:
            msg = f"records nested more than {MAX_SCHEMA_DEPTH} deep"
            raise MalformedError(Reason.UNSAFE_SCHEMA, msg)
        known[name] = sum(refuse_empty(field["type"], field["name"]) for field in schema["fields"])
        open_names.pop()
        return known[name]

    def refuse_empty(schema: Any, what: str) -> int:
        size = smallest(schema)
        if size == 0:
            msg = f"{what!r} takes no bytes: a count of it is not bounded by the data"
            raise MalformedError(Reason.UNSAFE_SCHEMA, msg)
        return size

    smallest(schema)
