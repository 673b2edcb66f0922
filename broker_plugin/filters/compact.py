"""A filter in one line, for the command line: ``classes=RRAB,RRCD probability>=0.8 mag<=18 novel``.

Clauses are separated by blanks and all of them must pass; names are those of the configuration, short forms
included. Values with blanks are quoted as in a shell.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from broker_plugin.errors import ConfigurationError
from broker_plugin.filters.spec import FilterSpec

_SHORT = {
    **{"survey": "surveys", "band": "bands", "class": "classes"},
    **{"p": "p_value", "period": "period_days", "cone": "cones"},
    **{"prob": "probability", "epochs": "n_epochs"},
}
_LISTS = ("surveys", "bands", "classes")
_RANGES = (
    *("probability", "p_value", "energy", "energy_percentile"),
    *("mag", "std_mag", "period_days", "n_epochs"),
)
_SWITCHES = ("novel", "new_or_changed")
_YES_NO = {"yes": True, "true": True, "no": False, "false": False}
_NAMES = (*_LISTS, *_RANGES, *_SWITCHES, "cones", "watchlist", "flags")
_CLAUSE = re.compile(r"(?P<name>!?[A-Za-z_]+)(?:(?P<sign>!=|>=|<=|=|>|<)(?P<value>.*))?", re.DOTALL)
_ANGLE = re.compile(r"(?P<number>[0-9.eE+-]+)(?P<unit>arcsec|arcmin|deg|)")
_ARCSEC = {"": 1.0, "arcsec": 1.0, "arcmin": 60.0, "deg": 3600.0}


class _ClauseError(ValueError):
    """A clause that cannot be understood; the text says what was expected."""


def parse_filter(text: str) -> FilterSpec:
    """Parse the compact form.

    Parameters
    ----------
    text : str
        For instance ``"class=ECL period=0.2..1 cone=229.66,-3.57,30arcsec watchlist=mine.csv,2arcsec novel
        flags!=phase_gap new_or_changed"``. ``<`` and ``>`` mean the same as ``<=`` and ``>=``.

    Raises
    ------
    ConfigurationError
        Names everything that is wrong.
    """
    table: dict[str, Any] = {}
    problems: list[str] = []
    try:
        tokens = shlex.split(text)
    except ValueError as error:
        msg = f"filter {text!r}: {error}"
        raise ConfigurationError(msg) from error
    for token in tokens:
        try:
            _add(token, table)
        except _ClauseError as error:
            problems.append(f"{token}: {error}")
    spec = None
    try:
        spec = FilterSpec.model_validate(table)
    except ValidationError as error:
        if table or not problems:
            problems += [_line(detail) for detail in error.errors(include_url=False)]
    if problems or spec is None:
        msg = "\n  ".join([f"filter {text!r} cannot be used:", *problems])
        raise ConfigurationError(msg)
    return spec


def _add(token: str, table: dict[str, Any]) -> None:
    """Put one clause into the table."""
    match = _CLAUSE.fullmatch(token)
    if match is None:
        msg = "expected name=value, name>=number, name<=number, name=low..high or a name alone"
        raise _ClauseError(msg)
    given, sign, value = match["name"], match["sign"], match["value"]
    negated, given = given.startswith("!"), given.lstrip("!")
    name = _SHORT.get(given, given)
    if name not in _NAMES:
        near = difflib.get_close_matches(given, [*_NAMES, *_SHORT], n=1)
        hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(_NAMES)}"
        msg = f"there is no clause {given}; {hint}"
        raise _ClauseError(msg)
    if negated and not (name in _SWITCHES and sign is None):
        msg = f"only {' and '.join(_SWITCHES)} can be negated so"
        raise _ClauseError(msg)
    _kind_of(name)(name, sign, value, table, negated)


def _kind_of(name: str) -> Callable[[str, str | None, str, dict[str, Any], bool], None]:
    if name in _RANGES:
        return _add_range
    if name in _SWITCHES:
        return _add_switch
    return {"cones": _add_cone, "watchlist": _add_watchlist, "flags": _add_flags}.get(name, _add_list)


def _need(condition: bool, expected: str) -> None:
    if not condition:
        msg = f"expected {expected}"
        raise _ClauseError(msg)


def _once(name: str, value: Any, table: dict[str, Any]) -> None:
    _need(name not in table, f"{name} once")
    table[name] = value


def _add_list(name: str, sign: str | None, value: str, table: dict[str, Any], _negated: bool) -> None:
    _need(sign == "=" and bool(value), f"{name}=one,another")
    _once(name, tuple(part.strip() for part in value.split(",")), table)


def _add_range(name: str, sign: str | None, value: str, table: dict[str, Any], _negated: bool) -> None:
    limits = dict(table.get(name, {}))
    ends: dict[str, str] = {}
    if sign == "=":
        low, dots, high = value.partition("..")
        _need(bool(dots), f"{name}=low..high, {name}>=low or {name}<=high")
        ends = {"min": low, "max": high}
    elif sign is not None and sign in (">=", ">"):
        ends = {"min": value}
    elif sign is not None and sign in ("<=", "<"):
        ends = {"max": value}
    _need(any(ends.values()), f"{name}=low..high, {name}>=low or {name}<=high")
    for end, text in ends.items():
        if text:
            _need(end not in limits, f"one {end} of {name}")
            limits[end] = _number(text)
    table[name] = limits


def _add_switch(name: str, sign: str | None, value: str, table: dict[str, Any], negated: bool) -> None:
    if sign is None:
        _once(name, not negated, table)
        return
    _need(sign == "=" and value.lower() in _YES_NO, f"{name}, {name}=yes or {name}=no")
    _once(name, _YES_NO[value.lower()], table)


def _add_cone(name: str, sign: str | None, value: str, table: dict[str, Any], _negated: bool) -> None:
    parts = value.split(",") if value else []
    _need(sign == "=" and len(parts) == 3, "cone=ra,dec,radius in degrees, radius in arcsec or with a unit")
    cone = {"ra": _number(parts[0]), "dec": _number(parts[1]), "radius_arcsec": _angle(parts[2])}
    table[name] = (*table.get(name, ()), cone)


def _add_watchlist(name: str, sign: str | None, value: str, table: dict[str, Any], _negated: bool) -> None:
    _need(sign == "=" and bool(value), "watchlist=FILE or watchlist=FILE,radius")
    file, comma, radius = value.rpartition(",")
    if comma and _ANGLE.fullmatch(radius):
        _once(name, {"file": file, "radius_arcsec": _angle(radius)}, table)
    else:
        _once(name, {"file": value}, table)


def _add_flags(_name: str, sign: str | None, value: str, table: dict[str, Any], _negated: bool) -> None:
    _need(sign in ("=", "!=") and bool(value), "flags=all,of,these or flags!=none,of,these")
    key = "with_flags" if sign == "=" else "without_flags"
    _once(key, tuple(part.strip() for part in value.split(",")), table)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        msg = f"{text!r} is no number"
        raise _ClauseError(msg) from None


def _angle(text: str) -> float:
    """Return arcseconds."""
    match = _ANGLE.fullmatch(text)
    if match is None:
        msg = f"{text!r} is no angle: expected 30, 30arcsec, 1.5arcmin or 2deg"
        raise _ClauseError(msg)
    return _number(match["number"]) * _ARCSEC[match["unit"]]


def _line(detail: Any) -> str:
    """Return one of pydantic's findings as a line: where, what, and what was expected."""
    location = ".".join(str(part) for part in detail["loc"])
    expected = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return f"{location}: {expected}" if location else expected
    return f"{location} = {detail['input']!r}: {expected[0].lower()}{expected[1:]}"
