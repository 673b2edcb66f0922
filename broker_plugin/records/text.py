"""Records as JSON: one line each, 64-bit ids as the strings that they are."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any


def to_json(record: dict[str, Any]) -> str:
    """Return a decoded record as one line of JSON; bytes in base64, times in ISO 8601."""
    return json.dumps(record, default=_plain, ensure_ascii=False, allow_nan=False)


def from_json(line: str | bytes) -> dict[str, Any]:
    """Return the record of a line as :func:`to_json` wrote it; times stay text.

    Raises
    ------
    ValueError
        The line is no JSON object.
    """
    record = json.loads(line)
    if not isinstance(record, dict):
        msg = f"a line holds {type(record).__name__}, expected a JSON object"
        raise ValueError(msg)
    return record


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.isoformat()
    msg = f"{type(value).__name__} in a record has no JSON form"
    raise TypeError(msg)
