"""The effective configuration as TOML that can be loaded again, secrets masked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from broker_plugin.config.ingest import OFF
from broker_plugin.config.root import Config
from broker_plugin.config.secrets import masked
from broker_plugin.config.tree import named_section_of

_NAMED_TABLES = {
    (name,) for name, field in Config.model_fields.items() if named_section_of(field.annotation) is not None
}


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


def digest(config: Config) -> str:
    """Return a short digest of what is in force: equal for all workers of an installation.

    Secrets are left out, and so is the worker's own name.
    """
    runner = config.runner.model_copy(update={"instance_id": "-"})
    text = render_toml(config.model_copy(update={"runner": runner}))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _render(section: BaseModel, path: tuple[str, ...], *, explain: bool) -> Iterator[str]:
    tables: list[tuple[tuple[str, ...], BaseModel]] = []
    if path:
        yield ""
        if explain:
            yield f"# {(type(section).__doc__ or '').strip().splitlines()[0]}"
        yield f"[{'.'.join(path)}]"
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            tables.append(((name,), value))
            continue
        if named_section_of(field.annotation) is not None and value:
            tables += [((name, key), inner) for key, inner in value.items()]
            continue
        if explain and field.description:
            yield f"# {field.description}"
        if value is None and field.default is not None:
            value = OFF
        if value is None and path[:1] in _NAMED_TABLES and not explain:
            continue  # of the many clauses of a filter, those that are none would hide those that are
        yield f"# {name} is not set" if value is None else f"{name} = {_toml(masked(name, value))}"
    for names, value in tables:
        yield from _render(value, (*path, *names), explain=explain)


def _toml(value: Any) -> str:
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, dict):
        inner = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, frozenset):
        value = sorted(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # JSON's spelling of booleans, numbers and strings is TOML's, too.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
