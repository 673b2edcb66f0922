"""The page of our records, from the schemas and the samples that the tests decode."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro

from broker_plugin.records.text import to_json

_HEAD = """# Records

Avro, one record a message. `photometry` and `lightcurve` are framed as Avro single objects (two bytes `C3
01`, the schema's fingerprint, the value); `classification`, `novelty`, `dead_letter` and `label` are object
containers of one record, which any Avro library reads. A field is only ever added, with a default; every
version of a schema stays in `schemas/` and a sample of each is decoded by a test. As JSON (`subscribe
--json`), bytes are in base64 and ids are strings.
"""
_TOPICS = {
    "photometry": "photometry",
    "lightcurve": "lightcurves",
    "classification": "classifications",
    "novelty": "novelties",
    "object": "objects",
    "dead_letter": "dead-letters",
    "label": "labels",
}
_LONGEST = 6  # of an array, shown


def text(root: Path) -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *(part for record in _records(root) for part in _record(root, record))])


def _records(root: Path) -> list[str]:
    """Return the names of our records: those of topics first, in the order of the flow."""
    found = {path.parent.name for path in (root / "schemas").glob("*/v1.avsc")}
    return [*(name for name in _TOPICS if name in found), *sorted(found - _TOPICS.keys())]


def _record(root: Path, record: str) -> Iterator[str]:
    paths = sorted((root / "schemas" / record).glob("v*.avsc"), key=lambda p: int(p.stem[1:]))
    schema = json.loads(paths[-1].read_text())
    topic = f"Topic `<prefix>.{_TOPICS[record]}`, schema" if record in _TOPICS else "Schema"
    where = f"{topic} `schemas/{record}/{paths[-1].name}`."
    yield f"## {record}\n\n{schema['doc']} {where}"
    yield "\n| field | type | meaning |\n|---|---|---|\n" + "".join(_rows(schema, ""))
    sample = root / "tests" / "records" / "samples" / f"{record}.{paths[-1].stem}.avro"
    if sample.exists():
        shown = json.dumps(_shortened(_read(sample.read_bytes(), schema)), indent=1, ensure_ascii=False)
        yield f'!!! example "A {record} as JSON, long lists cut"\n'
        yield "    ```json\n" + "".join(f"    {line}\n" for line in shown.splitlines()) + "    ```\n"


def _read(data: bytes, schema: dict[str, Any]) -> Any:
    if data[:2] == b"\xc3\x01":
        decoded = fastavro.schemaless_reader(io.BytesIO(data[10:]), schema, None)
    else:
        decoded = next(iter(fastavro.reader(io.BytesIO(data))))
    return json.loads(to_json(decoded))


def _shortened(value: Any) -> Any:
    if isinstance(value, list):
        rest = [f"... {len(value) - 3} more"] if len(value) > _LONGEST else []
        return [_shortened(item) for item in (value[:3] if rest else value)] + rest
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return value


def _rows(schema: dict[str, Any], prefix: str) -> Iterator[str]:
    for field in schema["fields"]:
        name = f"{prefix}{field['name']}"
        yield f"| `{name}` | {_type(field['type'])} | {field.get('doc', '')} |\n"
        inner = _inner_record(field["type"])
        if inner is not None:
            yield from _rows(inner, f"{name}.")


def _inner_record(kind: Any) -> dict[str, Any] | None:
    if isinstance(kind, dict):
        return kind if kind["type"] == "record" else _inner_record(kind.get("items"))
    return None


def _type(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_type(part) for part in kind)
    if isinstance(kind, str):
        return kind
    if kind["type"] == "array":
        return f"array of {_type(kind['items'])}"
    if kind["type"] == "map":
        return f"map of {_type(kind['values'])}"
    return str(kind.get("logicalType") or kind.get("name") or kind["type"])
