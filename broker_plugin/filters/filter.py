"""A filter at work: each clause says that an annotation passes, that it fails, or that it cannot tell."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum

from broker_plugin.catalogue.sphere import chord, unit_vectors
from broker_plugin.filters.spec import Cone, FilterSpec, Range
from broker_plugin.filters.watchlist import read_watchlist
from broker_plugin.records.annotation import Annotation


class Verdict(Enum):
    """What a clause says."""

    PASSES = "passes"
    FAILS = "fails"
    MISSING = "missing"
    """The annotation lacks what the clause is about; it does not pass."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition.

    Attributes
    ----------
    text : str
        As a person would write it, e.g. ``"mag <= 18"``.
    judge : callable
        Pure: annotation to verdict.
    """

    text: str
    judge: Callable[[Annotation], Verdict]


@dataclass(frozen=True, slots=True)
class Filter:
    """A conjunction of clauses.

    Attributes
    ----------
    name : str
    clauses : tuple of Clause
    new_or_changed : bool
        Whether, of what passes, only news counts; see :mod:`broker_plugin.filters.news`.
    """

    name: str
    clauses: tuple[Clause, ...]
    new_or_changed: bool = False

    def judge(self, annotation: Annotation) -> tuple[Verdict, ...]:
        """Return the verdict of each clause."""
        return tuple(clause.judge(annotation) for clause in self.clauses)

    def verdict(self, annotation: Annotation) -> Verdict:
        """Return that of the whole: it fails if any clause fails; the memory of news is the caller's.

        ``MISSING`` means that nothing but what the annotation lacks keeps it from passing.
        """
        missing = False
        for clause in self.clauses:
            verdict = clause.judge(annotation)
            if verdict is Verdict.FAILS:
                return verdict
            missing = missing or verdict is Verdict.MISSING
        return Verdict.MISSING if missing else Verdict.PASSES

    def passes(self, annotation: Annotation) -> bool:
        """Return whether every clause passes."""
        return self.verdict(annotation) is Verdict.PASSES


def build_filter(name: str, spec: FilterSpec) -> Filter:
    """Return the filter that a checked specification describes.

    Its watchlist file is read here, once; a file that went bad since the check contributes its good rows.
    """
    clauses = [
        *_membership("survey", spec.surveys, lambda a: a.survey),
        *_membership("band", spec.bands, lambda a: a.band),
        *_membership("class", spec.classes, lambda a: a.predicted_class),
        *_range("probability", spec.probability, _probability_of(spec.classes)),
        *_novelty(spec.novel),
        *_range("p_value", spec.p_value, lambda a: a.p_value),
        *_range("energy", spec.energy, lambda a: a.energy),
        *_range("energy_percentile", spec.energy_percentile, lambda a: a.energy_percentile),
        *_range("mag", spec.mag, lambda a: a.mean_mag),
        *_range("std_mag", spec.std_mag, lambda a: a.std_mag),
        *_range("period_days", spec.period_days, lambda a: a.period.value_days),
        *_range("n_epochs", spec.n_epochs, lambda a: a.n_epochs_total),
        *_cones(spec.cones),
        *_watchlist(spec),
        *_flags(spec),
    ]
    return Filter(name, tuple(clauses), spec.new_or_changed)


def unknown_classes(spec: FilterSpec, classes: Collection[str]) -> list[str]:
    """Return a line for each class that the model does not have, with the nearest that it has."""
    lines = []
    for name in spec.classes or ():
        if name not in classes:
            near = difflib.get_close_matches(name.upper(), classes, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            lines.append(f"the model has no class {name}, it has {', '.join(classes)}{hint}")
    return lines


def _verdict(passes: bool) -> Verdict:
    return Verdict.PASSES if passes else Verdict.FAILS


def _membership(
    what: str, allowed: tuple[str, ...] | None, value: Callable[[Annotation], str]
) -> list[Clause]:
    if allowed is None:
        return []
    wanted = frozenset(allowed)
    return [Clause(f"{what} = {','.join(allowed)}", lambda annotation: _verdict(value(annotation) in wanted))]


def _range(what: str, limits: Range | None, value: Callable[[Annotation], float | None]) -> list[Clause]:
    if limits is None:
        return []
    lowest = -math.inf if limits.min is None else limits.min
    highest = math.inf if limits.max is None else limits.max

    def judge(annotation: Annotation) -> Verdict:
        found = value(annotation)
        if found is None or math.isnan(found):
            return Verdict.MISSING
        return _verdict(lowest <= found <= highest)

    if limits.min is not None and limits.max is not None:
        text = f"{what} = {limits.min:g}..{limits.max:g}"
    else:
        text = f"{what} >= {limits.min:g}" if limits.min is not None else f"{what} <= {limits.max:g}"
    return [Clause(text, judge)]


def _probability_of(classes: tuple[str, ...] | None) -> Callable[[Annotation], float | None]:
    """Return the function that adds the named classes' probabilities, or takes that of the most probable."""

    def probability(annotation: Annotation) -> float | None:
        named = (annotation.predicted_class,) if classes is None else classes
        found = [annotation.probabilities.get(name) for name in dict.fromkeys(named)]
        # The sum of all eight may exceed 1 by a rounding.
        return None if None in found else min(1.0, math.fsum(p for p in found if p is not None))

    return probability


def _novelty(novel: bool | None) -> list[Clause]:
    if novel is None:
        return []
    return [Clause("novel" if novel else "not novel", lambda annotation: _verdict(annotation.novel is novel))]


def _has_position(annotation: Annotation) -> bool:
    return math.isfinite(annotation.ra) and math.isfinite(annotation.dec)


def _cones(cones: tuple[Cone, ...] | None) -> list[Clause]:
    if cones is None:
        return []
    circles = [(unit_vectors(c.ra, c.dec), chord(math.radians(c.radius_arcsec / 3600))) for c in cones]

    def judge(annotation: Annotation) -> Verdict:
        if not _has_position(annotation):
            return Verdict.MISSING
        point = unit_vectors(annotation.ra, annotation.dec)
        return _verdict(any(float(((point - c) ** 2).sum()) <= length**2 for c, length in circles))

    places = " or ".join(f"{cone.ra:g},{cone.dec:g},{cone.radius_arcsec:g}arcsec" for cone in cones)
    return [Clause(f"cone = {places}", judge)]


def _watchlist(spec: FilterSpec) -> list[Clause]:
    if spec.watchlist is None:
        return []
    watchlist, _ = read_watchlist(spec.watchlist.file, spec.watchlist.radius_arcsec)

    def judge(annotation: Annotation) -> Verdict:
        if watchlist.holds_object(annotation.survey, annotation.object_id):
            return Verdict.PASSES
        if not watchlist.has_positions:
            return Verdict.FAILS
        if not _has_position(annotation):
            return Verdict.MISSING
        return _verdict(watchlist.holds_position(annotation.ra, annotation.dec))

    return [Clause(f"watchlist = {spec.watchlist.file} ({watchlist.n_rows:,} rows)", judge)]


def _flags(spec: FilterSpec) -> list[Clause]:
    clauses = []
    if spec.with_flags is not None:
        needed = frozenset(spec.with_flags)
        clauses.append(
            Clause(f"flags = {','.join(spec.with_flags)}", lambda a: _verdict(needed <= set(a.quality_flags)))
        )
    if spec.without_flags is not None:
        refused = frozenset(spec.without_flags)
        clauses.append(
            Clause(
                f"flags != {','.join(spec.without_flags)}",
                lambda a: _verdict(refused.isdisjoint(a.quality_flags)),
            )
        )
    return clauses
