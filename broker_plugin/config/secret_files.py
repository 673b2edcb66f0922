"""Secrets never stand in the configuration file: it names the file that holds one, or the environment does.

``token_file = "/run/secrets/token"`` in a table, ``"sasl.password_file" = "..."`` among librdkafka's options:
any key that holds a secret may be written so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from broker_plugin.config.secrets import holds_secret, user_info

FILE_SUFFIX = "_file"


def read_secret(path: Path) -> str:
    """Return what a file holds, less its last line end.

    Raises
    ------
    ValueError
        It cannot be read, or holds nothing; one line for a person.
    """
    try:
        text = path.read_text().removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the file {str(path)!r} cannot be read ({type(error).__name__})"
        raise ValueError(msg) from error
    if not text:
        msg = f"the file {str(path)!r} is empty"
        raise ValueError(msg)
    return text


def take_secrets(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Put the contents of the files that a tree names where their keys are, in place.

    Parameters
    ----------
    values : dict
        The file's tree, or a table of it.
    path : tuple of str
        Where the table is.

    Yields
    ------
    key, problem
        A file that cannot be used, or a secret that stands in the tree itself; it is taken out.
    """
    for name in list(values):
        value, here = values[name], (*path, name)
        if isinstance(value, dict):
            yield from take_secrets(value, here)
            continue
        key = name.removesuffix(FILE_SUFFIX)
        if key != name and holds_secret(key):
            del values[name]
            if not isinstance(value, str):
                yield here, "expected the path of a file that holds the secret"
                continue
            if key in values:
                yield here, f"{'.'.join((*path, key))} is set, too"
                continue
            try:
                values[key] = read_secret(Path(value))
            except ValueError as error:
                yield here, str(error)
        elif holds_secret(name) or (isinstance(value, str) and user_info(value)):
            del values[name]
            yield here, f"holds a secret: not in this file, but {_instead(here)}"


def _instead(key: tuple[str, ...]) -> str:
    variable = "BROKER_PLUGIN_" + "__".join(key).replace(".", "_").upper()
    if holds_secret(key[-1]):
        return f"in a file named by {key[-1]}{FILE_SUFFIX}, or in {variable}"
    return f"in {variable} or in a file that {variable}_FILE names"
