"""What becomes of an annotation for one reader: the filters' verdict beside what the reader was given last.

A reader of matches alone would believe in a star for ever that the broker itself has revised, or taken back.
So whoever was given something is told once when it does not pass any more, and once when it is withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from broker_plugin.filters.filter import Filter, Verdict
from broker_plugin.filters.news import Seen, is_news
from broker_plugin.records.annotation import Annotation


class Outcome(Enum):
    """What is done with an annotation; the values are those of the metrics."""

    SENT = "sent"
    """It passes, or withdraws what the reader was given."""
    NO_LONGER_PASSES = "no_longer_passes"
    """It is sent, marked: the reader was given a match, which this one revises."""
    FILTERED = "filtered"
    MISSING = "missing"
    """Held back, and for a filter nothing but what the annotation lacks keeps it from passing."""

    @property
    def is_sent(self) -> bool:
        """Return whether the reader gets the annotation."""
        return self in (Outcome.SENT, Outcome.NO_LONGER_PASSES)


def outcome_of(
    filters: Sequence[Filter], annotation: Annotation, seen: Sequence[Seen], *, follow_up: bool = True
) -> Outcome:
    """Decide about the next annotation of an object and band.

    Parameters
    ----------
    filters : sequence of Filter
        One of them must let it through; none let through everything.
    annotation : Annotation
        In the order of the stream, so that it supersedes what was given; but for one that came late, which
        supersedes nothing.
    seen : sequence of Seen
        What the reader was given last; nothing if nothing was. Several where it is only known what each
        filter let through last, as earlier versions remembered it.
    follow_up : bool
        Whether the reader wants to know what does not pass any more.
    """
    if not filters:
        return Outcome.SENT
    if annotation.withdrawn and seen:
        return Outcome.FILTERED if all(one.taken_back for one in seen) else Outcome.SENT
    verdicts = [wanted.verdict(annotation) for wanted in filters]
    passing = [wanted for wanted, said in zip(filters, verdicts, strict=True) if said is Verdict.PASSES]
    if passing:
        news = any(is_news(annotation, one) for one in (seen or (None,)))
        wanted_anyway = any(not wanted.new_or_changed for wanted in passing)
        return Outcome.SENT if wanted_anyway or news else Outcome.FILTERED
    if follow_up and not _is_late(annotation) and any(one.may_be_believed for one in seen):
        return Outcome.NO_LONGER_PASSES
    return Outcome.MISSING if Verdict.MISSING in verdicts else Outcome.FILTERED


def seen_after(annotation: Annotation, outcome: Outcome) -> Seen | None:
    """Return what a reader with filters was given last when that is done; None where that is as before."""
    if not outcome.is_sent or _is_late(annotation):
        return None
    return Seen.of(annotation, "no_longer_passes" if outcome is Outcome.NO_LONGER_PASSES else "passes")


def _is_late(annotation: Annotation) -> bool:
    """Return whether a newer one is in force, which is what a reader believes."""
    return "late" in annotation.changes
