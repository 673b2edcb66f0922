"""Which rows the list shows and in what order: parsed from a query string, turned into SQL.

The filter line is the language of :mod:`broker_plugin.filters`, the same that outputs and ``subscribe`` take;
what a list can ask beyond that (labels, times, names) has parameters of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from broker_plugin.errors import ConfigurationError
from broker_plugin.filters import FilterSpec, parse_filter
from broker_plugin.records.label import VERDICTS

Novel = Literal["now", "ever", "all"]
LABEL_CHOICES = ("any", "none", *VERDICTS)

SORTS = {
    "energy": "o.energy",
    "p_value": "o.p_value",
    "class": "o.class",
    "probability": "o.class_probability",
    "mag": "o.mean_mag",
    "std_mag": "o.std_mag",
    "period": "o.period_days",
    "time": "o.alert_time_mjd",
    "n_epochs": "o.n_epochs_total",
    "object": "o.key",
    "changed": "o.changed",
    "label": "l.verdict",
}
"""Columns that the list can be ordered by."""

_NUMBERS = {
    "probability": "o.class_probability",
    "p_value": "o.p_value",
    "energy": "o.energy",
    "energy_percentile": "o.energy_percentile",
    "mag": "o.mean_mag",
    "std_mag": "o.std_mag",
    "period_days": "o.period_days",
    "n_epochs": "o.n_epochs_total",
}
_NAMES = {"surveys": "o.survey", "bands": "o.band", "classes": "o.class"}
_SHARE_OF = "(SELECT coalesce(sum(c.value), 0) FROM json_each(o.probabilities) c WHERE c.key IN (NAMES))"
"""Of some classes together; json_each instead of a path, which cannot hold every name."""

_REFUSED = {
    "watchlist": "a watchlist is a file; the page reads none (use it in `subscribe` or in an output)",
    "new_or_changed": "the list has one row for each light curve anyway; order it by 'changed'",
}
_MJD_OF_1970 = 40587.0

Condition = tuple[str, list[Any]]


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter and an order.

    Attributes
    ----------
    line : str
        The filter line as it was written.
    spec : FilterSpec or None
    novel : {"now", "ever", "all"}
        The latest annotation is novel, any of them was, whatever it is.
    label : str
        One of :data:`LABEL_CHOICES`.
    name : str
        Part of the object's id.
    since, until : str
        As written: a date (UTC) or an MJD.
    since_mjd, until_mjd : float or None
        Of the newest exposure.
    sort : str
        A key of :data:`SORTS`.
    descending : bool
    """

    line: str = ""
    spec: FilterSpec | None = None
    novel: Novel = "now"
    label: str = "any"
    name: str = ""
    since: str = ""
    until: str = ""
    since_mjd: float | None = None
    until_mjd: float | None = None
    sort: str = "energy"
    descending: bool = True

    def query(self, **changes: str) -> dict[str, str]:
        """Return the parameters that say this, without those at their defaults."""
        standard = _DEFAULT
        names = {
            "q": "line",
            "novel": "novel",
            "label": "label",
            "name": "name",
            "since": "since",
            "until": "until",
        }
        said = {
            parameter: getattr(self, attribute)
            for parameter, attribute in names.items()
            if getattr(self, attribute) != getattr(standard, attribute)
        }
        if (self.sort, self.descending) != (standard.sort, standard.descending):
            said |= {"sort": self.sort, "order": "desc" if self.descending else "asc"}
        return said | changes

    def order(self) -> str:
        """Return the ORDER BY clause; what has no value comes last, and ties are never left to chance."""
        return f"{SORTS[self.sort]} {'DESC' if self.descending else 'ASC'} NULLS LAST, o.key"

    def where(self) -> Condition:
        """Return the WHERE clause over ``objects o`` and ``current_labels l``, with its values."""
        conditions = list(self._conditions())
        text = " AND ".join(f"({sql})" for sql, _ in conditions) or "1"
        return text, [value for _, values in conditions for value in values]

    def _conditions(self) -> Iterator[Condition]:
        if self.novel != "all":
            yield ("o.novel" if self.novel == "now" else "o.ever_novel"), []
        if self.label == "none":
            yield "l.key IS NULL", []
        elif self.label != "any":
            yield "l.verdict = ?", [self.label]
        if self.name:
            yield "instr(lower(o.object_id), lower(?)) > 0", [self.name]
        if self.since_mjd is not None:
            yield "o.alert_time_mjd >= ?", [self.since_mjd]
        if self.until_mjd is not None:
            yield "o.alert_time_mjd <= ?", [self.until_mjd]
        if self.spec is not None:
            yield from _spec_conditions(self.spec)


_DEFAULT = Selection()


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a query string asks for.

    Attributes
    ----------
    selection : Selection
        Without the parts that are wrong: never to be shown while there are problems.
    problems : dict of str to str
        What is wrong, by parameter.
    """

    selection: Selection
    problems: dict[str, str] = field(default_factory=dict)


def parse_selection(parameters: Mapping[str, str]) -> Parsed:
    """Parse the parameters of a list's address; those of other things are passed over."""
    problems: dict[str, str] = {}
    sort = parameters.get("sort", "") or _DEFAULT.sort
    selection = Selection(
        novel=_choice("novel", parameters, get_args(Novel), problems),
        label=_choice("label", parameters, LABEL_CHOICES, problems),
        name=parameters.get("name", "").strip(),
        since=parameters.get("since", "").strip(),
        until=parameters.get("until", "").strip(),
        sort=_choice("sort", {"sort": sort}, tuple(SORTS), problems),
        descending=parameters.get("order", "desc") != "asc",
    )
    selection = replace(
        selection,
        since_mjd=_moment("since", selection.since, problems),
        until_mjd=_moment("until", selection.until, problems),
    )
    line = parameters.get("q", "").strip()
    selection = replace(selection, line=line)
    if line:
        try:
            selection = replace(selection, spec=_spec(line))
        except ConfigurationError as error:
            problems["q"] = str(error)
    return Parsed(selection, problems)


def _choice(
    name: str, parameters: Mapping[str, str], allowed: tuple[str, ...], problems: dict[str, str]
) -> Any:
    default = getattr(_DEFAULT, name)
    value = parameters.get(name, "") or default
    if value not in allowed:
        problems[name] = f"{value!r} is none of {', '.join(allowed)}"
        return default
    return value


def _moment(name: str, text: str, problems: dict[str, str]) -> float | None:
    if not text:
        return None
    try:
        return _mjd(text, last=name == "until")
    except ValueError:
        problems[name] = f"{text!r} is no time; expected 2026-11-23, 2026-11-23T06:02 (UTC) or an MJD"
        return None


def _mjd(text: str, *, last: bool) -> float:
    """Return an MJD; a day without time means its beginning, or its end where it is the ``last``."""
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    whole_day = len(text) <= len("2026-11-23")
    return moment.timestamp() / 86400 + _MJD_OF_1970 + (1.0 if last and whole_day else 0.0)


def _spec(line: str) -> FilterSpec:
    for name, reason in _REFUSED.items():
        # Before parsing: checking a watchlist opens the file.
        if any(
            token.lstrip("!").startswith(name) for token in line.replace("'", " ").replace('"', " ").split()
        ):
            msg = f"{name}: {reason}"
            raise ConfigurationError(msg)
    spec = parse_filter(line)
    unknown = sorted(spec.model_fields_set - _HANDLED.keys() - _REFUSED.keys())
    if unknown:
        msg = f"the page cannot filter by {', '.join(unknown)}; it can by {', '.join(_HANDLED)}"
        raise ConfigurationError(msg)
    return spec


def _spec_conditions(spec: FilterSpec) -> Iterator[Condition]:
    for name, build in _HANDLED.items():
        if getattr(spec, name) is not None:
            yield from build(spec, name)


def _one_of(spec: FilterSpec, name: str) -> Iterator[Condition]:
    values = list(getattr(spec, name))
    yield f"{_NAMES[name]} IN ({', '.join('?' * len(values))})", values


def _within(spec: FilterSpec, name: str) -> Iterator[Condition]:
    limits, column, values = getattr(spec, name), _NUMBERS[name], list[Any]()
    if name == "probability" and spec.classes is not None:
        column = _SHARE_OF.replace("NAMES", ", ".join("?" * len(spec.classes)))
        values = list(spec.classes)
    if limits.min is not None:
        yield f"{column} >= ?", [*values, limits.min]
    if limits.max is not None:
        yield f"{column} <= ?", [*values, limits.max]


def _cones(spec: FilterSpec, name: str) -> Iterator[Condition]:
    parts, values = [], list[Any]()
    for cone in getattr(spec, name):
        # The strip of declinations first: it is cheap, and few stars lie in it.
        parts.append("(o.dec BETWEEN ? AND ? AND separation_arcsec(o.ra, o.dec, ?, ?) <= ?)")
        reach = cone.radius_arcsec / 3600 + 1e-9
        values += [cone.dec - reach, cone.dec + reach, cone.ra, cone.dec, cone.radius_arcsec]
    yield " OR ".join(parts), values


def _novel(spec: FilterSpec, _name: str) -> Iterator[Condition]:
    yield ("o.novel" if spec.novel else "NOT o.novel"), []


def _flags(spec: FilterSpec, name: str) -> Iterator[Condition]:
    for flag in getattr(spec, name):
        yield f"instr(o.flags, ?) {'>' if name == 'with_flags' else '='} 0", [f" {flag} "]


_HANDLED: dict[str, Callable[[FilterSpec, str], Iterator[Condition]]] = {
    **dict.fromkeys(_NAMES, _one_of),
    **dict.fromkeys(_NUMBERS, _within),
    "novel": _novel,
    "cones": _cones,
    "with_flags": _flags,
    "without_flags": _flags,
}
