"""The plugin's own Avro schemas and the two framings they are written in.

A record of the internal topics is written in Avro's *single-object encoding* (two marker bytes, the
schema's 64-bit Rabin fingerprint, the body): as slim as a registry's framing and self-describing
without a registry. What others subscribe to is an *object container* of one record, which every Avro
library reads. Both readings are accepted everywhere, for every version that ships in ``schemas/``.
"""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any, Literal

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

Framing = Literal["single-object", "container"]

_SINGLE_OBJECT_MARK = b"\xc3\x01"  # Avro 1.11 specification, "Single object encoding"
_CONTAINER_MARK = b"Obj\x01"
_QUOTED = 200  # of an Avro library's message: some of them quote whole schemas


def schema_directory() -> Path:
    """Return the folder of the shipped schemas, in an installed package or in a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "schemas"
    return installed if installed.is_dir() else package.parent / "schemas"


@cache
def _load(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as stream:
        parsed: dict[str, Any] = fastavro.parse_schema(json.load(stream), named_schemas={})
    return parsed


@cache
def _versions(record: str) -> tuple[Path, ...]:
    paths = (schema_directory() / record).glob("v*.avsc")
    return tuple(sorted(paths, key=lambda path: int(path.stem[1:])))


@cache
def _fingerprint(path: Path) -> bytes:
    canonical = to_parsing_canonical_form(json.loads(path.read_text(encoding="utf-8")))
    return bytes.fromhex(fingerprint(canonical, "CRC-64-AVRO"))


@cache
def _by_fingerprint(record: str) -> dict[bytes, dict[str, Any]]:
    return {_fingerprint(path): _load(path) for path in _versions(record)}


@cache
def _container_head(record: str) -> tuple[bytes, bytes]:
    """Return the container's header and its sync marker, both fixed: equal records, equal bytes."""
    sync = (_fingerprint(_versions(record)[-1]) * 2)[:16]
    # Not by fastavro's writer: the order of the attributes in the schema that it writes differs from process
    # to process, and so would equal records.
    metadata = {"avro.codec": b"null", "avro.schema": json.dumps(schema_source(record)).encode()}
    stream = io.BytesIO()
    stream.write(_CONTAINER_MARK)
    fastavro.schemaless_writer(stream, {"type": "map", "values": "bytes"}, metadata)
    stream.write(sync)
    return stream.getvalue(), sync


def single_object_head(record: str, version: int) -> bytes:
    """Return what a record of one version of its schema starts with in the single-object encoding."""
    path = next(path for path in _versions(record) if path.stem == f"v{version}")
    return _SINGLE_OBJECT_MARK + _fingerprint(path)


def latest_schema(record: str) -> dict[str, Any]:
    """Return the newest parsed schema of a record kind, e.g. ``"photometry"``."""
    return _load(_versions(record)[-1])


def schema_source(record: str) -> dict[str, Any]:
    """Return the newest schema of a record kind as it is written down, for a schema registry."""
    source: dict[str, Any] = json.loads(_versions(record)[-1].read_text(encoding="utf-8"))
    return source


def encode(record: str, value: dict[str, Any], framing: Framing) -> bytes:
    """Encode a record with its newest schema; equal values give equal bytes."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, latest_schema(record), value)
    payload = body.getvalue()
    if framing == "single-object":
        return _SINGLE_OBJECT_MARK + _fingerprint(_versions(record)[-1]) + payload
    header, sync = _container_head(record)
    counts = io.BytesIO()
    for number in (1, len(payload)):
        fastavro.schemaless_writer(counts, "long", number)
    return b"".join((header, counts.getvalue(), payload, sync))


def decode(record: str, data: bytes) -> dict[str, Any]:
    """Decode a record in either framing, written with any shipped version of its schema.

    Raises
    ------
    ValueError
        If the bytes are in neither framing, of an unknown schema, or damaged.
    """
    reader_schema = latest_schema(record)
    try:
        if data[:2] == _SINGLE_OBJECT_MARK:
            writer_schema = _by_fingerprint(record).get(data[2:10])
            if writer_schema is None:
                known = ", ".join(path.name for path in _versions(record))
                msg = f"schema fingerprint {data[2:10].hex()} is not a shipped {record} schema ({known})"
                raise ValueError(msg)
            stream = io.BytesIO(data[10:])
            if writer_schema is reader_schema:
                value: Any = fastavro.schemaless_reader(stream, writer_schema, None)
            else:
                value = fastavro.schemaless_reader(stream, writer_schema, reader_schema)
        elif data[:4] == _CONTAINER_MARK:
            value = next(fastavro.reader(io.BytesIO(data), reader_schema=reader_schema))
        else:
            msg = f"bytes start with {data[:4].hex()!r}: neither an Avro single object (c301) nor a container"
            raise ValueError(msg)
    except ValueError:
        raise
    except Exception as error:  # fastavro raises many kinds, MemoryError among them, on damaged bytes
        msg = f"not a {record} record, or damaged: {type(error).__name__}: {str(error)[:_QUOTED]}"
        raise ValueError(msg) from error
    if not isinstance(value, dict):
        msg = f"{record} record decodes to {type(value).__name__}, expected a record"
        raise ValueError(msg)
    return value
