"""One TOML file and the environment become a :class:`Config`, or one error that names every problem."""

from __future__ import annotations

import copy
import difflib
import json
import os
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from broker_plugin.config.checks import Key, contradictions
from broker_plugin.config.environment import PREFIX, read_environment
from broker_plugin.config.root import Config
from broker_plugin.config.secret_files import take_secrets
from broker_plugin.config.secrets import MASK, is_secret, masked
from broker_plugin.config.tree import ANY_NAME, below, named_section_of, section_of
from broker_plugin.errors import ConfigurationError

# pydantic ends a location with the alternative of a union that it tried.
_ALTERNATIVES = frozenset({("str",), ("bool",), ("int",), ("float",)})


def load_config(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Read the configuration: defaults, then the file, then the environment; the later wins.

    Parameters
    ----------
    path : Path or None
        A TOML file; None means defaults and environment only.
    environment : mapping of str to str, optional
        ``os.environ`` if not given.

    Returns
    -------
    Config

    Raises
    ------
    ConfigurationError
        The file cannot be read, or keys are unknown or values not allowed. The message lists all problems.
    """
    values = {} if path is None else _read_toml(path)
    origin = {} if path is None else dict.fromkeys(_leaves(values), str(path))
    wrong: set[Key] = set()
    problems = []
    for key, problem in take_secrets(values):
        problems.append(f"{path}: {'.'.join(key)}: {problem}")
        wrong.add(key[:2])
    origin |= {} if path is None else dict.fromkeys(_leaves(values), str(path))
    for setting in read_environment(Config, os.environ if environment is None else environment):
        where = f"environment variable {setting.variable}"
        trouble = setting.problem or _insert(values, setting.path, setting.value)
        if trouble is not None:
            problems.append(f"{where}: {trouble}")
            wrong.add(setting.path[:2])
        origin[setting.path] = where
    config, found = _validate(values, origin, path, wrong)
    problems += found
    for keys, problem in contradictions(config):
        if not any(key[:n] in wrong for key in keys for n in range(1, len(key) + 1)):
            problems.append(f"{_where(keys, origin, path)}: {problem}")
    if problems:
        head = f"the configuration has {len(problems)} problem{'s' if len(problems) > 1 else ''}:"
        raise ConfigurationError("\n  ".join([head, *problems]))
    return config


def _validate(
    values: dict[str, Any], origin: Mapping[Key, str], path: Path | None, wrong: set[Key]
) -> tuple[Config, list[str]]:
    """Validate the tree; where it is wrong, take the wrong part out and validate again.

    A section is only looked at as a whole when each of its keys is right, so one round would not find all.
    What was taken out joins ``wrong``: nothing that rests on its default is worth telling.
    """
    problems: list[str] = []
    while True:
        try:
            # Through JSON, because in pydantic's strict mode only JSON lets text be a path and a list a
            # tuple; and strict, because "8" for 8 or true for 1 is a slip, not a wish.
            return Config.model_validate_json(json.dumps(values, default=str), strict=True), problems
        except ValidationError as error:
            details = error.errors(include_url=False)
        told = [detail for detail in details if not _rests_on(detail, wrong)]
        problems += _describe(told, origin, path)
        before = copy.deepcopy(values)
        for detail in details:
            taken = _take_out(values, _location(detail))
            if detail["type"] != "extra_forbidden":
                wrong.add(taken)
        if values == before:
            values.clear()  # an error that no key of ours explains must not be found for ever


def _location(detail: ErrorDetails) -> Key:
    """Return the key that has to go for the error to go: what lacks a key, what has a wrong name."""
    location = tuple(str(part) for part in detail["loc"])
    return location[:-1] if detail["type"] == "missing" or location[-1:] == ("[key]",) else location


def _rests_on(detail: ErrorDetails, wrong: Collection[Key]) -> bool:
    """Return whether an error of a whole section may come from a key that was taken out of it."""
    location = tuple(str(part) for part in detail["loc"])
    if detail["type"] == "missing" and location in wrong:
        return True
    return (
        detail["type"] == "value_error"
        and _is_section(location)
        and any(key[: len(location)] == location for key in wrong)
    )


def _is_section(location: Key) -> bool:
    model: Any = Config
    for name in location:
        model = below(model, name)
    return section_of(model) is not None


def _take_out(values: dict[str, Any], location: Key) -> Key:
    """Remove what an error is about from the tree; return its key."""
    table: Any = values
    for depth, name in enumerate(location):
        inner = table.get(name) if isinstance(table, dict) else None
        if depth == len(location) - 1 or not isinstance(inner, dict):
            if isinstance(table, dict):
                table.pop(name, None)
            return location[: depth + 1]
        table = inner
    values.clear()  # an error of the whole tree
    return ()


def _where(keys: Sequence[Key], origin: Mapping[Key, str], path: Path | None) -> str:
    """Return where the first of some keys that was set at all was set."""
    for key in keys:
        below = next((place for at, place in origin.items() if at[: len(key)] == key), None)
        if below is not None:
            return below
    return "the defaults" if path is None else str(path)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        msg = f"the configuration file {path} cannot be read: {error.strerror}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"the configuration file {path} is not valid TOML: {error}"
    raise ConfigurationError(msg)


def _leaves(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, value in values.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from _leaves(value, (*path, name))


def _insert(values: dict[str, Any], path: tuple[str, ...], value: Any) -> str | None:
    """Set one value in the tree; return what is in the way, if anything is."""
    table: Any = values
    for depth, name in enumerate(path[:-1]):
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            return f"{'.'.join(path[: depth + 1])} is a value in the file, expected a table"
    table[path[-1]] = value
    return None


def _describe(
    details: list[ErrorDetails], origin: Mapping[tuple[str, ...], str], path: Path | None
) -> list[str]:
    """Return a line for each wrong key: where, which key, what was found, what is expected."""
    lines = []
    expectations: dict[tuple[str, str], list[str]] = {}
    for detail in details:
        location = tuple(str(part) for part in detail["loc"])
        if location[-1:] in _ALTERNATIVES:
            location = location[:-1]
        # An error inside a list or a table is located below the key that the user wrote.
        key = next((location[:n] for n in range(len(location), 0, -1) if location[:n] in origin), location)
        where, name = origin.get(key, "the defaults" if path is None else str(path)), ".".join(location)
        expected = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if detail["type"] == "extra_forbidden":
            lines.append(f"{where}: unknown key {name}{_suggestion(location)}")
        elif detail["type"] == "missing":
            lines.append(f"{where}: {name} is missing{_meaning(location)}")
        elif location[-1:] == ("[key]",):
            expected = "expected a name of small letters, digits and _, that begins with a letter"
            lines.append(f"{where}: {'.'.join(location[:-1])}: {expected}")
        elif detail["type"] == "value_error":
            lines.append(f"{where}: {name}: {expected}")
        else:
            found = MASK if any(map(is_secret, location)) else masked(location[-1], detail["input"])
            begin = f"{where}: {name} = {json.dumps(found, default=str)}: expected "
            expectations.setdefault((begin, _meaning(key)), []).append(expected)
    lines += [f"{begin}{' or '.join(all_of)}{meaning}" for (begin, meaning), all_of in expectations.items()]
    return lines


def _suggestion(location: tuple[str, ...]) -> str:
    """Return the nearest known name, in the same table or else anywhere in the tree."""
    siblings = _known(location[:-1])
    near = difflib.get_close_matches(location[-1], siblings, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {'.'.join((*location[:-1], near[0]))}?"
    everywhere = {path[-1]: path for path in _paths(Config)}
    near = difflib.get_close_matches(location[-1], everywhere, n=1, cutoff=0.75)
    if near:
        return f"; did you mean {'.'.join(everywhere[near[0]])}?"
    return f"; known here: {', '.join(siblings)}"


def _known(path: tuple[str, ...]) -> list[str]:
    model: Any = Config
    for name in path:
        model = below(model, name)
    section = section_of(model)
    return [] if section is None else list(section.model_fields)


def _paths(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        section, named = section_of(field.annotation), named_section_of(field.annotation)
        if section is not None:
            yield from _paths(section, (*path, name))
        elif named is not None:
            yield from _paths(named, (*path, name, ANY_NAME))
        else:
            yield (*path, name)


def _meaning(key: tuple[str, ...]) -> str:
    """Return the key's description in brackets, if the key is known."""
    model: Any = Config
    for name in key[:-1]:
        model = below(model, name)
    section = section_of(model)
    field = section.model_fields.get(key[-1]) if key and section is not None else None
    return f" ({field.description})" if field is not None and field.description else ""


def variable_name(key: tuple[str, ...]) -> str:
    """Return the environment variable that sets a key."""
    return PREFIX + "__".join(key).upper()
