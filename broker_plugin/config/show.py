"""The effective configuration as TOML that can be loaded again, secrets masked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from broker_plugin.config.ingest import OFF
from broker_plugin.config.root import Config
from broker_plugin.config.secrets import masked
from broker_plugin.config.sections import Section


def render_toml(config: Config, *, explain: bool = False) -> str:
    """Return the configuration as TOML.

    Parameters
    ----------
    config : Config
    explain : bool
        Put each key's meaning above it.

    Returns
    -------
    str
        Keys that are not set are commented out. Secrets are replaced by asterisks.
    """
    return "\n".join(_render(config, (), explain=explain)).strip() + "\n"


def _render(section: Section, path: tuple[str, ...], *, explain: bool) -> Iterator[str]:
    tables = []
    if path:
        yield ""
        if explain:
            yield f"# {(type(section).__doc__ or '').strip().splitlines()[0]}"
        yield f"[{'.'.join(path)}]"
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, Section):
            tables.append((name, value))
            continue
        if explain and field.description:
            yield f"# {field.description}"
        if value is None and field.default is not None:
            value = OFF
        yield f"# {name} is not set" if value is None else f"{name} = {_toml(masked(name, value))}"
    for name, value in tables:
        yield from _render(value, (*path, name), explain=explain)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, frozenset):
        value = sorted(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # JSON's spelling of booleans, numbers and strings is TOML's, too.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
