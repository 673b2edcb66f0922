"""What a filter would have let through, counted clause by clause."""

from __future__ import annotations

from dataclasses import dataclass, field

from broker_plugin.filters.filter import Filter, Verdict
from broker_plugin.filters.news import Seen
from broker_plugin.filters.outcome import Outcome, outcome_of, seen_after
from broker_plugin.records.annotation import Annotation


@dataclass(slots=True)
class ClauseCount:
    """What one clause said.

    Attributes
    ----------
    text : str
    passed, missing : int
        Annotations that it passes, and that lack what it is about; on its own.
    left : int
        Annotations that this clause and all before it pass.
    """

    text: str
    passed: int = 0
    missing: int = 0
    left: int = 0


@dataclass(slots=True)
class Trial:
    """A filter's dry run; give it annotations in the order of the stream.

    Attributes
    ----------
    filter : Filter
    annotations : int
        How many it has judged.
    clauses : list of ClauseCount
        In the filter's order, ``new_or_changed`` last.
    passed : int
    objects : set of (str, str)
        Survey and id of the objects with an annotation that passed.
    """

    filter: Filter
    annotations: int = 0
    clauses: list[ClauseCount] = field(default_factory=list)
    passed: int = 0
    objects: set[tuple[str, str]] = field(default_factory=set)
    _seen: dict[tuple[str, str, str], Seen] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clauses = [ClauseCount(clause.text) for clause in self.filter.clauses]
        if self.filter.new_or_changed:
            self.clauses.append(ClauseCount("new or changed"))

    def add(self, annotation: Annotation) -> bool:
        """Judge an annotation; return whether it passes."""
        self.annotations += 1
        so_far = True
        for count, verdict in zip(self.clauses, self.filter.judge(annotation), strict=False):
            count.passed += verdict is Verdict.PASSES
            count.missing += verdict is Verdict.MISSING
            so_far = so_far and verdict is Verdict.PASSES
            count.left += so_far
        if self.filter.new_or_changed:
            so_far = self._is_news(annotation) and so_far
            self.clauses[-1].passed += so_far
            self.clauses[-1].left += so_far
        if so_far:
            self.passed += 1
            self.objects.add((annotation.survey, annotation.object_id))
        return so_far

    def _is_news(self, annotation: Annotation) -> bool:
        """Return whether a reader would be sent it as a match, if it passes, and remember what was sent."""
        key = (annotation.survey, annotation.object_id, annotation.band)
        seen = self._seen.get(key)
        outcome = outcome_of((self.filter,), annotation, () if seen is None else (seen,))
        after = seen_after(annotation, outcome)
        if after is not None:
            self._seen[key] = after
        return outcome is Outcome.SENT
