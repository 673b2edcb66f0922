"""Ways through the configuration's types: sections, and tables of sections that the user names."""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

ANY_NAME = "<name>"
"""Stands for the user's own name in a path."""


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section that an annotation means, one that may be left out included; None for a value."""
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next((part for part in get_args(annotation) if part is not type(None)), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def named_section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section of a table whose keys the user chooses (``[outputs.<name>]``); None for all else."""
    return section_of(get_args(annotation)[1]) if get_origin(annotation) is dict else None


def below(annotation: Any, name: str) -> Any:
    """Return the annotation under a name; None if there is none."""
    named = named_section_of(annotation)
    if named is not None:
        return named
    section = section_of(annotation)
    field = None if section is None else section.model_fields.get(name)
    return None if field is None else field.annotation
