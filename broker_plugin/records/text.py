"""Records as JSON: one line each, 64-bit ids as the strings that they are."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any


def to_json(record: dict[str, Any]) -> str:
    """Return a decoded record as one line of JSON; bytes in base64, times in ISO 8601."""
    return json.dumps(record, default=_plain, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime):
        return value.isoformat()
    msg = f"{type(value).__name__} in a record has no JSON form"
    raise TypeError(msg)
