"""Packets written again under another version of their survey's schema: what a survey's upgrade night brings.

A ZTF packet becomes one of schema 3.3 (no forced photometry), of the oldest, which name no version, or a
deflated one. An LSST packet becomes one of another bundled version, as a container or with the registry's
frame, and says the same: a version that cannot hold it is passed over.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
import numpy as np

from broker_plugin.decode.alert import Alert, MalformedError
from broker_plugin.decode.decoder import Decoder
from broker_plugin.decode.framing import is_container, split_registry_frame
from broker_plugin.decode.schema_sources import BundledSchemas

_ZTF_FORMS = ("3.3", "unversioned", "deflate")
_LSST_IDS = (702, 704, 900, 1000, 1100, 1101)
_NOT_IN_3 = frozenset({"fp_hists"})
_NOT_IN_THE_OLDEST = _NOT_IN_3 | {"schemavsn"}
_SYNC = bytes(16)  # any marker will do; the same one gives the same bytes for the same packet
_ZERO = {"int": 0, "long": 0, "float": 0.0, "double": 0.0, "boolean": False, "string": "", "bytes": b""}


class SchemaMixer:
    """Rewrites packets; remembers the schemas that it has prepared."""

    def __init__(self) -> None:
        self._bundled = BundledSchemas()
        self._decoder = Decoder(self._bundled)
        self._known = tuple(i for i in _LSST_IDS if i in self._bundled.ids())
        self._parsed: dict[int, Any] = {}

    def rewrite(self, payload: bytes, rng: np.random.Generator) -> tuple[bytes, str] | None:
        """Return a packet under another version and that version's name; None if it cannot be read.

        Parameters
        ----------
        payload : bytes
        rng : numpy.random.Generator
            Chooses the version.
        """
        alerts = self._decoder.decode(payload)
        (alert,) = alerts if len(alerts) == 1 else (None,)
        if not isinstance(alert, Alert):
            return None
        record, schema = self._read(payload)
        if alert.survey == "ztf":
            form = _ZTF_FORMS[int(rng.integers(len(_ZTF_FORMS)))]
            return _ztf(record, schema, form), form
        return self._lsst(record, alert, rng)

    def _read(self, payload: bytes) -> tuple[Any, Any]:
        if is_container(payload):
            reader = fastavro.reader(io.BytesIO(payload))
            return next(reader), reader.writer_schema
        schema_id, body = split_registry_frame(payload)
        schema = self._schema(schema_id)
        return fastavro.schemaless_reader(io.BytesIO(body), schema, None), schema

    def _schema(self, schema_id: int) -> Any:
        if schema_id not in self._parsed:
            found = self._bundled.schema(schema_id)
            self._parsed[schema_id] = fastavro.parse_schema(found, named_schemas={})
        return self._parsed[schema_id]

    def _lsst(self, record: Any, alert: Alert, rng: np.random.Generator) -> tuple[bytes, str] | None:
        for index in rng.permutation(len(self._known)):
            schema_id = self._known[int(index)]
            framed = bool(rng.integers(2))
            schema = self._schema(schema_id)
            try:
                payload = _lsst_bytes(
                    _fit(record, schema, _named(schema)), schema, schema_id if framed else None
                )
            except (ValueError, TypeError, KeyError, MalformedError):
                continue
            if _same(self._decoder.decode(payload), alert):
                how = "registry" if framed else "container"
                return payload, f"{schema_id // 100}.{schema_id % 100} {how}"
        return None


def _same(alerts: Sequence[Any], other: Alert) -> bool:
    if len(alerts) != 1 or not isinstance(alerts[0], Alert):
        return False
    alert = alerts[0]
    return (
        (alert.object_id, alert.alert_id, alert.ra, alert.dec)
        == (other.object_id, other.alert_id, other.ra, other.dec)
        and np.allclose(alert.sources, other.sources, rtol=1e-6, equal_nan=True)
        and np.allclose(alert.forced, other.forced, rtol=1e-6, equal_nan=True)
    )


def _ztf(record: Mapping[str, Any], schema: Mapping[str, Any], form: str) -> bytes:
    dropped = {"3.3": _NOT_IN_3, "unversioned": _NOT_IN_THE_OLDEST}.get(form, frozenset())
    fields = [field for field in schema["fields"] if field["name"] not in dropped]
    written = {name: value for name, value in record.items() if name not in dropped}
    if form == "3.3" and "schemavsn" in written:
        written["schemavsn"] = form
    narrowed = {key: value for key, value in schema.items() if not key.startswith("__")} | {"fields": fields}
    codec = "deflate" if form == "deflate" else "null"
    return _container(written, narrowed, codec)


def _lsst_bytes(record: Any, schema: Any, schema_id: int | None) -> bytes:
    if schema_id is None:
        return _container(record, schema, "null")
    body = io.BytesIO()
    fastavro.schemaless_writer(body, schema, record)
    return b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue()


def _container(record: Any, schema: Any, codec: str) -> bytes:
    stream = io.BytesIO()
    fastavro.writer(stream, schema, [record], codec=codec, sync_marker=_SYNC)
    return stream.getvalue()


def _named(schema: Any, found: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the records of a schema by their names."""
    found = {} if found is None else found
    if isinstance(schema, list):
        for branch in schema:
            _named(branch, found)
    elif isinstance(schema, dict):
        if schema.get("type") == "record":
            found[schema["name"]] = schema
            for field in schema["fields"]:
                _named(field["type"], found)
        elif schema.get("type") == "array":
            _named(schema["items"], found)
    return found


def _fit(value: Any, schema: Any, named: Mapping[str, Any]) -> Any:
    """Return a value as a schema wants it: unknown fields left out, absent ones at their default or zero."""
    if isinstance(schema, str) and schema in named:
        schema = named[schema]
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        return None if value is None and "null" in schema else _fit(value, branches[0], named)
    if isinstance(schema, dict) and schema["type"] == "record":
        record = value if isinstance(value, dict) else {}
        return {
            field["name"]: _fit(record[field["name"]], field["type"], named)
            if field["name"] in record
            else field.get("default", _fit(None, field["type"], named))
            for field in schema["fields"]
        }
    if isinstance(schema, dict) and schema["type"] == "array":
        return [_fit(item, schema["items"], named) for item in value or ()]
    kind = schema["type"] if isinstance(schema, dict) else schema
    return _ZERO.get(kind) if value is None else value
