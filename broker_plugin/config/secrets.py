"""Which values must not be shown, and how they look when shown."""

from __future__ import annotations

import re
from typing import Any

MASK = "********"

# Names of librdkafka options that hold secrets; `sasl.username` is no secret and helps to find mistakes.
_SECRET = re.compile(r"password|secret|token|credential|\.pem$|^ssl_key$|oauthbearer\.config|jaas", re.I)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def is_secret(name: str) -> bool:
    """Return whether a key of this name holds a secret."""
    return _SECRET.search(name) is not None


def masked(name: str, value: Any) -> Any:
    """Return the value as it may be printed.

    Parameters
    ----------
    name : str
        The key; names such as ``sasl.password`` hide the whole value.
    value : object
        Strings lose ``user:password@`` in an address; tables are masked key by key.
    """
    if isinstance(value, dict):
        return {key: masked(key, inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(name, inner) for inner in value]
    if is_secret(name) and value is not None:
        return MASK
    if isinstance(value, str):
        return _USER_INFO.sub(f"{MASK}@", value)
    return value
