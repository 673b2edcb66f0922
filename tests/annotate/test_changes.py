"""What is news: clear changes, not noise about a border."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.annotate.changes import Margins, Said, what_changed
from broker_plugin.records.annotation import Annotation, PeriodReport
from tests.records.examples import ANNOTATION

MARGINS = Margins(probability=0.1, energy=1.0, period=0.01)
THRESHOLD = 10.0


def said(
    class_: str = "ECL",
    lead: float = 0.5,
    energy: float = 5.0,
    period: float | None = 2.0,
    fold: float | None = None,
) -> Annotation:
    """Return an annotation of a window of 1000 days with two classes."""
    other = "CEPH" if class_ == "ECL" else "ECL"
    return replace(
        ANNOTATION,
        predicted_class=class_,
        probabilities={class_: 0.5 + lead / 2, other: 0.5 - lead / 2},
        energy=energy,
        novel=energy >= THRESHOLD,
        period=PeriodReport(period, fold or period or 2.0, "search", -9.0, ()),
        first_epoch_mjd=58000.0,
        last_epoch_mjd=59000.0,
    )


@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        (said(), said(), ()),
        (said("CEPH", 0.15), said(), ("class",)),
        (said("CEPH", 0.05), said(), ()),
        (said(energy=11.5), said(energy=5), ("novelty",)),
        (said(energy=10.5), said(energy=5), ()),
        (said(energy=9.5), said(energy=11), ()),
        (said(energy=8.5), said(energy=11), ("novelty",)),
        (said(period=2.015), said(period=2.0), ()),
        (said(period=2.03), said(period=2.0), ("period",)),
        (said(period=4.0), said(period=2.0), ("period_multiple",)),
        (said(period=2.0 / 3), said(period=2.0), ("period_multiple",)),
        (said(period=None, fold=2.0), said(period=2.0), ()),
        (said(period=None, fold=0.7), said(period=2.0), ("period",)),
        (said(period=2.0), said(period=None), ("period",)),
        (said(period=None), said(period=None), ()),
        (said(period=307.0), said(period=300.0), ()),
        (said("CEPH", 0.5, 20, 1.3), said(), ("class", "novelty", "period")),
    ],
)
def test_what_counts_as_a_change(now, then, expected) -> None:
    """Margins of class and energy; a period that a window cannot resolve has room; multiples."""
    margins = replace(MARGINS, period=0.01)
    assert what_changed(now, Said.of(then), margins, threshold=THRESHOLD) == expected


def test_without_the_threshold_the_energy_must_have_moved() -> None:
    """A filter does not know the model: half a unit is no news, whole ones are."""
    assert what_changed(said(energy=10.2), Said.of(said(energy=9.8)), MARGINS) == ()
    assert what_changed(said(energy=10.2), Said.of(said(energy=8.8)), MARGINS) == ("novelty",)


@given(st.lists(st.floats(THRESHOLD - 0.99, THRESHOLD + 0.99), max_size=30), st.floats(0, 20))
def test_noise_within_the_margin_is_never_news(energies, first) -> None:
    """Whatever was said, an energy that stays within a margin of the threshold does not change it."""
    then = Said.of(said(energy=first))
    assert all(
        what_changed(said(energy=energy), then, MARGINS, threshold=THRESHOLD) == () for energy in energies
    )
