"""Which values must not be shown, and how they look when shown."""

from __future__ import annotations

import re
from typing import Any

MASK = "********"

# What is hidden: rather too much than too little. `sasl.username` is no secret and helps to find mistakes.
_SECRET = re.compile(
    r"password|passphrase|secret|token|credential|\.pem$|^ssl_key$|oauthbearer\.config|jaas", re.I
)
# What must not stand in the configuration file: only what is a secret for sure.
_SURELY = re.compile(
    r"(password|passphrase|secret|token|key\.pem|jaas\.config|oauthbearer\.config)$|^ssl_key$", re.I
)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


def is_secret(name: str) -> bool:
    """Return whether a key of this name holds a secret."""
    return _SECRET.search(name) is not None


def holds_secret(name: str) -> bool:
    """Return whether a key of this name can hold nothing but a secret."""
    return _SURELY.search(name) is not None


def user_info(text: str) -> bool:
    """Return whether an address holds a password: ``https://user:password@host``."""
    return any(":" in found for found in _USER_INFO.findall(text))


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
