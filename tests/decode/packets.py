"""Packets for the tests: real ones, and ones that fastavro writes with the surveys' own schemas."""

from __future__ import annotations

import copy
import io
import json
import struct
import tarfile
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import fastavro
import numpy as np

from broker_plugin.decode import Alert, BundledSchemas, Decoder
from tests.shared import shared_path

LSST_IDS = BundledSchemas().ids()
"""Every bundled LSST schema."""


@lru_cache(maxsize=1)
def ztf_files() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(shared_path("alerts/ztf").glob("*.avro"))}


@lru_cache(maxsize=1)
def ztf_archive() -> tuple[bytes, ...]:
    with tarfile.open(shared_path("alerts/ztf/ztf_public_20180819_mod1000.tar.gz")) as archive:
        files = (archive.extractfile(member) for member in archive)
        return tuple(file.read() for file in files if file is not None)


@lru_cache(maxsize=1)
def lsst_files() -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(shared_path("alerts/lsst").glob("*.avro"))}


def real_packets() -> list[bytes]:
    return [*ztf_files().values(), *ztf_archive(), *lsst_files().values()]


def records_of(packet: bytes) -> tuple[Any, list[dict[str, Any]]]:
    """Return schema and records by fastavro's own reader, the oracle."""
    reader = fastavro.reader(io.BytesIO(packet))
    schema = json.loads(reader.metadata["avro.schema"])
    return schema, list(reader)


def container(schema: Any, records: Iterable[dict[str, Any]], **options: Any) -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, fastavro.parse_schema(copy.deepcopy(schema), {}), records, **options)
    return stream.getvalue()


def ztf_record(version: str = "v4_2475433850215010008") -> tuple[Any, dict[str, Any]]:
    """Return schema and record of a real ZTF packet, to be altered."""
    schema, records = records_of(ztf_files()[version])
    return schema, copy.deepcopy(records[0])


def lsst_record(schema_id: int, **source: Any) -> tuple[Any, dict[str, Any]]:
    """Return a schema and a blank record of it: nulls, zeros and empty strings, object 12 and detection 11.

    The detection's fields can be given by their present names.
    """
    schema = BundledSchemas().schema(schema_id)
    record = blank(schema, schema["__named_schemas"])
    record["diaObject"] = blank(_branch(schema, "diaObject"), schema["__named_schemas"])
    old = schema_id < 500  # 3.0 and 4.0 name these fields otherwise
    names = {"midpointMjdTai": "midPointTai", "band": "filterName", "dec": "decl"} if old else {}
    names |= {"scienceFlux": "totFlux", "scienceFluxErr": "totFluxErr"} if old else {}
    values = {"diaSourceId": 11, "midpointMjdTai": 60900.25, "band": "r", "ra": 10.5, "dec": -20.25, **source}
    for name, value in values.items():
        record["diaSource"][names.get(name, name)] = value
    record["diaObject"]["diaObjectId"] = 12
    for name in ("ra", "dec"):
        record["diaObject"][names.get(name, name)] = values[name]
    return schema, record


def framed(schema: Any, schema_id: int, record: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    stream.write(struct.pack(">bI", 0, schema_id))
    fastavro.schemaless_writer(stream, fastavro.parse_schema(copy.deepcopy(schema), {}), record)
    return stream.getvalue()


def blank(schema: Any, named: dict[str, Any]) -> Any:
    """Return the emptiest value of a type."""
    if isinstance(schema, list):
        return None if "null" in schema else blank(schema[0], named)
    if isinstance(schema, str):
        return _BLANKS[schema]() if schema in _BLANKS else blank(named[schema], named)
    if schema["type"] == "record":
        return {field["name"]: blank(field["type"], named) for field in schema["fields"]}
    return [] if schema["type"] == "array" else blank(schema["type"], named)


_BLANKS = {
    "null": lambda: None,
    "boolean": bool,
    "int": int,
    "long": int,
    "float": float,
    "double": float,
    "string": str,
    "bytes": bytes,
}


def _branch(schema: Any, name: str) -> Any:
    """Return the type of a nullable field that is not null."""
    kind = next(field["type"] for field in schema["fields"] if field["name"] == name)
    return next(branch for branch in kind if branch != "null")


def only_alert(packet: bytes, decoder: Decoder | None = None) -> Alert:
    """Decode a packet that holds one sound alert."""
    (found,) = (decoder or Decoder()).decode(packet)
    assert isinstance(found, Alert), found
    return found


def assert_same(one: object, other: object) -> None:
    """Assert that two results of decoding are equal, NaN equal to NaN."""
    assert type(one) is type(other), (one, other)
    if not isinstance(one, Alert):
        assert one == other
        return
    for name in Alert.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
