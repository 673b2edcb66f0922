"""Settings from environment variables: ``BROKER_PLUGIN_<SECTION>__<KEY>``, for every key.

``BROKER_PLUGIN_KAFKA__BOOTSTRAP=kafka:9092`` sets ``[kafka] bootstrap``. A librdkafka option takes one more
part, with underscores for its dots: ``BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD``. With ``_FILE`` at the
end, the value is read from the file named: the way of Docker and Kubernetes to hand over secrets.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from broker_plugin.config.secret_files import FILE_SUFFIX, read_secret
from broker_plugin.config.tree import below, named_section_of

PREFIX = "BROKER_PLUGIN_"
# Ours, but not configuration: where the file is, and what tests need.
_NOT_SETTINGS = re.compile(rf"{PREFIX}(CONFIG|CRASH_POINT|REQUIRE_KAFKA|TEST_[A-Z_]+)$")
_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?$")
_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True} | dict.fromkeys(
    ("false", "no", "off", "0"), False
)
_UNDERSCORED_OPTIONS = frozenset({"ssl_key", "ssl_certificate", "ssl_ca"})  # librdkafka's only three


@dataclass(frozen=True, slots=True)
class EnvironmentSetting:
    """One variable, understood.

    Attributes
    ----------
    variable : str
        Its name.
    path : tuple of str
        Where its value goes in the tree.
    value : object
        Converted as far as the key's type says; the model's validation has the last word.
    problem : str or None
        Why it cannot be used.
    """

    variable: str
    path: tuple[str, ...]
    value: Any = None
    problem: str | None = None


def read_environment(root: type[BaseModel], environment: Mapping[str, str]) -> Iterator[EnvironmentSetting]:
    """Yield a setting for each variable that begins with the prefix, in alphabetical order.

    Parameters
    ----------
    root : type of pydantic model
        The tree, for the keys' types.
    environment : mapping of str to str
        Usually ``os.environ``.
    """
    for variable in sorted(environment):
        text = environment[variable]
        if (
            not variable.startswith(PREFIX)
            or _NOT_SETTINGS.match(variable)
            or _is_service_link(variable, text)
        ):
            continue
        path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
        if path[-1].endswith(FILE_SUFFIX):  # no key of the tree ends so
            path = (*path[:-1], path[-1].removesuffix(FILE_SUFFIX))
            try:
                text = read_secret(Path(text))
            except ValueError as error:
                yield EnvironmentSetting(variable, path, problem=str(error))
                continue
        path, annotation = _resolve(root, path)
        yield EnvironmentSetting(variable, path, _convert(annotation, text))


def _is_service_link(variable: str, text: str) -> bool:
    """Return whether Kubernetes set the variable, because a Service is called ``broker-plugin...``, too."""
    return "__" not in variable and (
        _SERVICE_LINK.search(variable) is not None or text.startswith(("tcp://", "udp://", "sctp://"))
    )


def _resolve(root: type[BaseModel], path: tuple[str, ...]) -> tuple[tuple[str, ...], Any]:
    """Return the key's path, with dots restored in an option's name, and its type (None if unknown)."""
    annotation: Any = root
    for depth, name in enumerate(path):
        if named_section_of(annotation) is not None:
            annotation = below(annotation, name)
            continue
        if get_origin(annotation) is dict:
            option = "__".join(path[depth:])
            if option not in _UNDERSCORED_OPTIONS:
                option = option.replace("_", ".")
            return (*path[:depth], option), get_args(annotation)[1]
        annotation = below(annotation, name)
        if annotation is None:
            return path, None
    return path, annotation


def _convert(annotation: Any, text: str) -> Any:
    """Return the text as the key's type has it; the validation refuses what does not fit."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    alternatives = get_args(annotation) if is_union else (annotation,)
    alternatives = tuple(get_args(a)[0] if get_origin(a) is Annotated else a for a in alternatives)
    if text == "" and type(None) in alternatives:
        return None
    collection = next((a for a in alternatives if get_origin(a) in (tuple, frozenset)), None)
    if collection is not None and not text.lstrip().startswith("["):
        return [_convert(get_args(collection)[0], part.strip()) for part in text.split(",") if part.strip()]
    if any(a is str or a is Path or get_origin(a) is Literal for a in alternatives):
        return text
    if any(a is bool for a in alternatives) and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text
