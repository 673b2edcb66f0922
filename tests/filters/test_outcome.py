"""What becomes of an annotation, given what its reader had before."""

from __future__ import annotations

import pytest

from broker_plugin.filters import FilterSpec, Outcome, Seen, build_filter, outcome_of
from broker_plugin.filters.spec import Range
from tests.filters.examples import annotation

RR = build_filter("rr", FilterSpec(classes=("RRAB",)))
NEWS = build_filter("news", FilterSpec(classes=("RRAB",), new_or_changed=True))
SHORT = build_filter("short", FilterSpec(period_days=Range(max=1)))

STAR = annotation()
OTHER = annotation(probabilities={"ECL": 1.0})
VAGUE = annotation(period_days=None)
GONE = annotation(withdrawn=True)
OTHER_GONE = annotation(probabilities={"ECL": 1.0}, withdrawn=True)

MATCH = (Seen.of(STAR),)
TOLD = (Seen.of(OTHER, "no_longer_passes"),)
ASIDE = (Seen.of(STAR, "put_aside"),)
TAKEN_BACK = (Seen.of(GONE),)

SENT, REVISED, FILTERED, MISSING = (
    Outcome.SENT,
    Outcome.NO_LONGER_PASSES,
    Outcome.FILTERED,
    Outcome.MISSING,
)


@pytest.mark.parametrize(
    ("filters", "now", "seen", "expected"),
    [
        ((), OTHER, (), SENT),
        ((RR,), STAR, (), SENT),
        ((RR,), STAR, MATCH, SENT),
        ((NEWS,), STAR, MATCH, FILTERED),  # what the reader has is right
        ((RR,), OTHER, (), FILTERED),
        ((RR,), OTHER, MATCH, REVISED),
        ((NEWS,), OTHER, MATCH, REVISED),
        ((SHORT,), VAGUE, (), MISSING),
        ((SHORT,), VAGUE, MATCH, REVISED),
        ((RR, SHORT), OTHER, MATCH, SENT),  # another alternative lets it through
        ((RR,), OTHER, TOLD, FILTERED),
        ((RR,), OTHER, ASIDE, REVISED),
        ((RR,), OTHER, TAKEN_BACK, FILTERED),
        ((NEWS,), STAR, TOLD, SENT),
        ((NEWS,), STAR, ASIDE, SENT),
        ((NEWS,), STAR, TAKEN_BACK, SENT),
    ],
)
def test_revisions(filters, now, seen, expected) -> None:
    """A match goes out, what revises one is told once, the rest is held back."""
    assert outcome_of(filters, now, seen) is expected
    silent = MISSING if now is VAGUE else FILTERED
    matches_only = silent if expected is REVISED else expected
    assert outcome_of(filters, now, seen, follow_up=False) is matches_only


@pytest.mark.parametrize(
    ("now", "seen", "expected"),
    [
        (GONE, MATCH, SENT),
        (OTHER_GONE, MATCH, SENT),
        (OTHER_GONE, TOLD, SENT),
        (GONE, ASIDE, SENT),
        (GONE, TAKEN_BACK, FILTERED),
        (OTHER_GONE, (), FILTERED),
    ],
)
@pytest.mark.parametrize("wanted", [RR, NEWS])
@pytest.mark.parametrize("follow_up", [True, False])
def test_a_withdrawal_goes_once_to_whoever_was_given_something(
    wanted, now, seen, expected, follow_up
) -> None:
    """Whatever the annotation says that it repeats."""
    assert outcome_of((wanted,), now, seen, follow_up=follow_up) is expected


def test_a_withdrawal_without_a_memory_passes_as_what_it_withdraws() -> None:
    """Versions before remembered nothing for filters without new_or_changed, and had sent what passed."""
    assert outcome_of((RR,), GONE, ()) is SENT
    assert outcome_of((NEWS,), GONE, ()) is FILTERED


def test_what_came_late_revises_nothing() -> None:
    """It is older than what the reader has; it goes through as a match, where matches do."""
    late = annotation(probabilities={"ECL": 1.0}, changes=("late",))
    assert outcome_of((RR,), late, MATCH) is FILTERED
    assert outcome_of((RR,), annotation(changes=("late",)), TOLD) is SENT
    assert outcome_of((NEWS,), annotation(changes=("late",)), TOLD) is FILTERED


def test_several_memories_of_filters() -> None:
    """As earlier versions kept them: any may have been the last."""
    mixed = (Seen.of(STAR), Seen.of(GONE))
    assert outcome_of((NEWS,), STAR, mixed) is SENT
    assert outcome_of((NEWS,), OTHER, mixed) is REVISED
    assert outcome_of((NEWS,), GONE, mixed) is SENT
