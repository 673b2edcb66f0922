"""What is new, and what was said before."""

from __future__ import annotations

from hypothesis import given, settings

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


def test_trial_remembers_objects_and_bands_apart() -> None:
    """The same verdict of another band or object is news."""
    trial = Trial(build_filter("all", FilterSpec(new_or_changed=True)))
    stars = [annotation(), annotation(band="g"), annotation(object_id="other"), annotation()]
    assert [trial.add(star) for star in stars] == [True, True, True, False]
