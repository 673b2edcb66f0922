"""The page of all configuration keys, from the tree itself."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from broker_plugin.config import Config, variable_name
from broker_plugin.config.tree import ANY_NAME, named_section_of, section_of

_HEAD = """# Configuration

One TOML file, given by `--config FILE` or `BROKER_PLUGIN_CONFIG`; every key is also an environment
variable, which wins. An unknown key is an error that names the nearest known one. With `_FILE` at its end,
a variable names a file that holds the value: the way for secrets. `broker-plugin check-config FILE` lists
all that is wrong and prints what is in force, passwords masked.

A list in the environment is written with commas. A librdkafka option takes one more part, with underscores
for its dots: `BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD`.
"""
_TABLE = "| key | type | default | meaning |\n|---|---|---|---|\n"
_NAMES = {str: "text", bool: "boolean", int: "integer", float: "number", Path: "path"}


def text() -> str:
    """Return the page as Markdown."""
    return "\n".join([_HEAD, *_section(Config, ())])


def _section(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    title = f"`[{'.'.join(path)}]`" if path else "At the top"
    summary = (model.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
    yield f"## {title}\n\n{_plain(summary)}\n\n{_TABLE}" + "".join(_rows(model, path))
    for name, field in model.model_fields.items():
        section, named = section_of(field.annotation), named_section_of(field.annotation)
        if section is not None:
            yield from _section(section, (*path, name))
        elif named is not None:
            yield from _section(named, (*path, name, ANY_NAME))


def _rows(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if section_of(field.annotation) is None and named_section_of(field.annotation) is None:
            key = f"`{name}`<br><small>`{variable_name((*path, name))}`</small>"
            kind = _kind(field.annotation) + _limits(field.metadata)
            cells = (key, kind, _default(field), field.description or "")
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _kind(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0]) + _limits(inner[1:])
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(part) for part in inner if part is not type(None))
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (tuple, frozenset, list):
        return f"list of {_kind(inner[0])}"
    if origin is dict:
        return "table"
    return _NAMES.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _limits(metadata: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    parts = []
    for item in metadata:
        grouped = isinstance(item, annotated_types.GroupedMetadata)
        for limit in item if grouped else (item,):
            parts += [f"{sign} {getattr(limit, n):,}" for n, sign in signs.items() if hasattr(limit, n)]
    return f", {', '.join(dict.fromkeys(parts))}" if parts else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    if field.default_factory is not None:
        value = field.default_factory()  # type: ignore[call-arg]
        if isinstance(value, str):  # the instance's name: the host's, not this machine's
            return "*this host's name*"
    else:
        value = field.default
    if value is None:
        return "*not set*"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, (frozenset, tuple, list)):
        return f"`[{', '.join(str(item) for item in sorted(value))}]`"
    return f'`"{value}"`' if isinstance(value, (str, Path)) else f"`{value if value != {} else '{}'}`"


def _plain(summary: str) -> str:
    return summary.replace("``", "`")
