"""JSON on a page, held to the schema of the record that it shows."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import fastavro.validation

from broker_plugin.records import schemas


def check_json(text: str, record: str) -> None:
    """Raise where the text is not a record of that schema, every field there and none more."""
    schema = schemas.latest_schema(record)
    value = json.loads(text)
    _same_fields(value, schema, record)
    fastavro.validation.validate(_from_json(value, schema), schema, raise_errors=True, strict=True)


def _same_fields(value: Any, schema: Any, where: str) -> None:
    if isinstance(schema, list):
        schema = next((s for s in schema if s != "null"), "null") if value is not None else "null"
    if isinstance(schema, dict) and schema["type"] == "record":
        wanted = {field["name"]: field["type"] for field in schema["fields"]}
        assert value.keys() == wanted.keys(), (
            f"{where}: {value.keys() ^ wanted.keys()} differ from the schema"
        )
        for name, kind in wanted.items():
            _same_fields(value[name], kind, f"{where}.{name}")
    elif isinstance(schema, dict) and schema["type"] == "array":
        for item in value:
            _same_fields(item, schema["items"], where)


def _from_json(value: Any, schema: Any) -> Any:
    """Undo :func:`broker_plugin.records.text.to_json`."""
    if isinstance(schema, list):
        return None if value is None else _from_json(value, next(s for s in schema if s != "null"))
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind == "bytes":
        return base64.b64decode(value, validate=True)
    if isinstance(schema, dict) and schema.get("logicalType") == "timestamp-millis":
        return datetime.fromisoformat(value)
    if kind == "record":
        return {f["name"]: _from_json(value[f["name"]], f["type"]) for f in schema["fields"]}
    if kind == "array":
        return [_from_json(item, schema["items"]) for item in value]
    return value
