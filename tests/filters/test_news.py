"""What is new, and what was said before."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.annotate.changes import Said
from broker_plugin.filters import FilterSpec, Seen, Trial, build_filter, is_news
from broker_plugin.filters.spec import Range
from tests.filters.examples import annotation, annotations


@settings(max_examples=40)
@given(annotations())
def test_first_is_news_and_its_repetition_is_not(a) -> None:
    """The memory survives its bytes."""
    assert is_news(a, None)
    assert not is_news(a, Seen.unpack(Seen.of(a).pack()))


def test_changes_that_matter() -> None:
    """Class, novelty, a period that comes, goes, or moves by more than 1 %."""
    before = annotation()
    seen = Seen.of(before)
    assert not is_news(annotation(energy=99.0, period_days=0.5049, mean_mag=12.0), seen)
    assert not is_news(annotation(novel=True, energy=before.energy + 0.5), seen)  # noise about a threshold
    assert not is_news(annotation(probabilities={"ECL": 0.52, "RRAB": 0.48}), seen)
    assert is_news(annotation(period_days=0.5051), seen)
    assert is_news(annotation(period_days=1.0), seen)
    assert is_news(annotation(period_days=None), seen)
    assert is_news(annotation(novel=True, energy=before.energy + 2), seen)
    assert is_news(annotation(probabilities={"ECL": 1.0}), seen)
    assert is_news(before, Seen.of(annotation(period_days=None)))


def test_a_withdrawal_is_news_to_whoever_was_told() -> None:
    """Once, and not to others; what comes after it is news, whatever it says."""
    before, gone = annotation(), annotation(withdrawn=True)
    assert is_news(gone, Seen.of(before))
    assert not is_news(gone, None)
    assert not is_news(gone, Seen.of(gone))
    assert is_news(before, Seen.of(gone))


@pytest.mark.parametrize("standing", ["no_longer_passes", "put_aside"])
def test_after_anything_but_a_match_whatever_passes_is_news(standing) -> None:
    """Its reader has learnt that it does not pass, or may never have had it."""
    assert is_news(annotation(), Seen.of(annotation(), standing))


def test_what_came_late_is_never_news() -> None:
    """The annotation in force stays, whatever an older window says."""
    late = annotation(probabilities={"ECL": 1.0}, changes=("late",))
    assert not is_news(late, None)
    assert not is_news(late, Seen.of(annotation()))


@given(
    st.builds(Said, st.text(), st.booleans(), st.none() | st.floats(0.01, 1e4), st.none() | st.floats(-9, 9)),
    st.sampled_from(["passes", "no_longer_passes", "put_aside"]),
)
def test_memory_survives_its_bytes(said, standing) -> None:
    """Also those of versions that did not remember the energy, or anything but matches."""
    assert Seen.unpack(Seen(said, standing).pack()) == Seen(said, standing)
    old = b'{"novel":true,"period_days":null,"predicted_class":"M"}'
    assert Seen.unpack(old) == Seen(Said("M", True, None))
    before = b'{"energy":1.5,"novel":true,"period_days":2.0,"predicted_class":"M","withdrawn":false}'
    assert Seen(Said("M", True, 2.0, 1.5)).pack() == before


def test_trial_counts_each_clause_and_what_is_left() -> None:
    """Ten of a star in g and r; three without a period; the class changes once."""
    spec = FilterSpec(bands=("r",), period_days=Range(min=0.2, max=1), new_or_changed=True)
    trial = Trial(build_filter("rr", spec))
    for i in range(10):
        band = "r" if i % 2 else "g"
        probabilities = {"ECL": 1.0} if i == 9 else None
        trial.add(annotation(band=band, period_days=None if i < 3 else 0.5, probabilities=probabilities))

    band, period, news = trial.clauses
    assert (band.passed, band.missing, band.left) == (5, 0, 5)
    assert (period.passed, period.missing, period.left) == (7, 3, 4)  # i = 3, 5, 7, 9
    assert (news.passed, news.left) == (2, 2)  # the first, and the change at 9
    assert (trial.passed, trial.annotations, len(trial.objects)) == (2, 10, 1)


def test_trial_counts_a_match_again_after_it_did_not_pass() -> None:
    """As an output would be sent it: told of the end, then of the new beginning."""
    trial = Trial(build_filter("rr", FilterSpec(classes=("RRAB",), new_or_changed=True)))
    stars = [annotation(), annotation(), annotation(probabilities={"ECL": 1.0}), annotation()]
    assert [trial.add(star) for star in stars] == [True, False, False, True]
    assert [(count.passed, count.left) for count in trial.clauses] == [(3, 3), (2, 2)]


def test_trial_remembers_objects_and_bands_apart() -> None:
    """The same verdict of another band or object is news."""
    trial = Trial(build_filter("all", FilterSpec(new_or_changed=True)))
    stars = [annotation(), annotation(band="g"), annotation(object_id="other"), annotation()]
    assert [trial.add(star) for star in stars] == [True, True, True, False]
