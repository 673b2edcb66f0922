"""Each clause lets through what it says, and nothing that lacks what it is about."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.annotate.quality import QUALITY_FLAGS
from broker_plugin.filters import FilterSpec, Verdict, build_filter, unknown_classes
from broker_plugin.filters.spec import Cone, Range
from broker_plugin.records.annotation import Annotation
from tests.filters.examples import CLASSES, annotation, annotations

RANGES: dict[str, Callable[[Annotation], float | None]] = {
    "p_value": lambda a: a.p_value,
    "energy": lambda a: a.energy,
    "energy_percentile": lambda a: a.energy_percentile,
    "mag": lambda a: a.mean_mag,
    "std_mag": lambda a: a.std_mag,
    "period_days": lambda a: a.period.value_days,
    "n_epochs": lambda a: a.n_epochs_total,
}


def verdict(spec: FilterSpec, a: Annotation) -> Verdict:
    return build_filter("test", spec).verdict(a)


@pytest.mark.parametrize("name", RANGES)
@settings(max_examples=40)
@given(a=annotations(), limits=st.tuples(st.floats(0, 30), st.floats(0, 30)))
def test_range_is_inclusive_and_passes_nothing_that_is_missing(name, a, limits) -> None:
    """Against the definition: present, not NaN, and between the limits."""
    scale = 1 / 30 if name == "p_value" else 1
    low, high = (limit * scale for limit in sorted(limits))
    value = RANGES[name](a)
    found = verdict(FilterSpec(**{name: Range(min=low, max=high)}), a)
    if value is None or math.isnan(value):
        assert found is Verdict.MISSING
    else:
        assert (found is Verdict.PASSES) == (low <= value <= high)


@pytest.mark.parametrize("name", RANGES)
@settings(max_examples=40)
@given(a=annotations())
def test_limit_that_is_the_value_passes(name, a) -> None:
    """Both ends belong to the range."""
    value = RANGES[name](a)
    if value is None or math.isnan(value) or value < 0:
        return
    for limits in (Range(min=value), Range(max=value), Range(min=value, max=value)):
        assert verdict(FilterSpec(**{name: limits}), a) is Verdict.PASSES


def test_classes_and_their_probability_together() -> None:
    """RRAB 0.73 and RRCD 0.2 are an RR Lyrae star with 0.93, whichever of the two it is."""
    both = FilterSpec(classes=("RRAB", "RRCD"), probability=Range(min=0.92))
    assert verdict(both, annotation()) is Verdict.PASSES
    assert verdict(FilterSpec(classes=("RRAB",), probability=Range(min=0.92)), annotation()) is Verdict.FAILS
    assert verdict(FilterSpec(probability=Range(min=0.72, max=0.74)), annotation()) is Verdict.PASSES
    # The probability alone is not enough: the most probable class must be one of them.
    eclipsing = annotation(probabilities={"RRAB": 0.3, "RRCD": 0.3, "ECL": 0.4})
    assert (
        verdict(FilterSpec(classes=("RRAB", "RRCD"), probability=Range(min=0.5)), eclipsing) is Verdict.FAILS
    )


def test_probability_of_a_class_that_another_model_has() -> None:
    """An annotation of an older model without the class: nothing is known, nothing passes."""
    spec = FilterSpec(classes=("RRAB", "BLAZHKO"), probability=Range(min=0.1))
    assert verdict(spec, annotation()) is Verdict.MISSING


@settings(max_examples=40)
@given(annotations(), st.sets(st.sampled_from(list(QUALITY_FLAGS)), min_size=1))
def test_flags(a, flags) -> None:
    """All of these, none of these."""
    named = tuple(sorted(flags))
    assert (verdict(FilterSpec(with_flags=named), a) is Verdict.PASSES) == (flags <= set(a.quality_flags))
    assert (verdict(FilterSpec(without_flags=named), a) is Verdict.PASSES) == flags.isdisjoint(
        a.quality_flags
    )


@settings(max_examples=40)
@given(annotations(), st.sampled_from(["surveys", "bands", "classes"]), st.booleans())
def test_memberships(a, clause, wanted) -> None:
    """In the list or not."""
    value = {"surveys": a.survey, "bands": a.band, "classes": a.predicted_class}[clause]
    others = {"surveys": ("ztf", "lsst"), "bands": ("g", "r", "i"), "classes": CLASSES}[clause]
    items = (value,) if wanted else tuple(item for item in others if item != value)
    assert (verdict(FilterSpec(**{clause: items}), a) is Verdict.PASSES) == wanted


@settings(max_examples=40)
@given(annotations(), st.booleans())
def test_novel(a, wanted) -> None:
    """Novel ones only, or known kinds only."""
    assert (verdict(FilterSpec(novel=wanted), a) is Verdict.PASSES) == (a.novel is wanted)


def separation_arcsec(ra1: float, dec1: float, ra2: float, dec2: float) -> float:
    """Vincenty's formula: accurate at every distance."""
    a1, d1, a2, d2 = map(math.radians, (ra1, dec1, ra2, dec2))
    across = math.hypot(
        math.cos(d2) * math.sin(a2 - a1),
        math.cos(d1) * math.sin(d2) - math.sin(d1) * math.cos(d2) * math.cos(a2 - a1),
    )
    along = math.sin(d1) * math.sin(d2) + math.cos(d1) * math.cos(d2) * math.cos(a2 - a1)
    return math.degrees(math.atan2(across, along)) * 3600


@settings(max_examples=40)
@given(
    ra=st.floats(0, 360, exclude_max=True),
    dec=st.floats(-90, 90),
    bearing=st.floats(0, 360),
    radius=st.floats(0.5, 300_000),
    inside=st.booleans(),
)
def test_cone_at_every_place(ra, dec, bearing, radius, inside) -> None:
    """A position 1e-4 (or 0.1 mas) inside or outside of the circle, also at the poles and across RA 0."""
    margin = max(radius * 1e-4, 1e-4)
    distance = math.radians((radius - margin if inside else radius + margin) / 3600)
    b, d = math.radians(bearing), math.radians(dec)
    dec2 = math.asin(
        max(-1.0, min(1.0, math.sin(d) * math.cos(distance) + math.cos(d) * math.sin(distance) * math.cos(b)))
    )
    ra2 = math.radians(ra) + math.atan2(
        math.sin(b) * math.sin(distance) * math.cos(d), math.cos(distance) - math.sin(d) * math.sin(dec2)
    )
    place = (math.degrees(ra2) % 360, math.degrees(dec2))
    if abs(separation_arcsec(ra, dec, *place) - radius) < margin / 2:
        return  # asin at a pole has lost the margin: the place is not where it was meant to be
    spec = FilterSpec(cones=(Cone(ra=ra, dec=dec, radius_arcsec=radius),))
    expected = separation_arcsec(ra, dec, *place) <= radius
    assert (verdict(spec, annotation(ra=place[0], dec=place[1])) is Verdict.PASSES) == expected


def test_position_that_is_missing() -> None:
    """NaN lies in no circle, and that is not the circle's fault."""
    spec = FilterSpec(cones=(Cone(ra=0, dec=0, radius_arcsec=648_000),))
    assert verdict(spec, annotation(ra=math.nan)) is Verdict.MISSING
    assert verdict(spec, annotation()) is Verdict.PASSES


@settings(max_examples=40)
@given(
    annotations(),
    st.lists(st.sampled_from(["novel", "period_days", "mag", "bands"]), unique=True, min_size=1),
)
def test_whole_is_the_conjunction_of_its_clauses(a, names) -> None:
    """Passes if each does; fails if any does; else something is missing."""
    parts = {"novel": True, "period_days": Range(max=1), "mag": Range(max=18), "bands": ("r",)}
    alone = [verdict(FilterSpec(**{name: parts[name]}), a) for name in names]
    together = build_filter("all", FilterSpec(**{name: parts[name] for name in names}))
    assert sorted(map(str, together.judge(a))) == sorted(map(str, alone))
    if Verdict.FAILS in alone:
        assert together.verdict(a) is Verdict.FAILS
    elif Verdict.MISSING in alone:
        assert together.verdict(a) is Verdict.MISSING
    else:
        assert together.passes(a)


def test_unknown_class_is_named_with_the_nearest() -> None:
    """A slip in a class's name would let nothing through, for ever."""
    (line,) = unknown_classes(FilterSpec(classes=("RRAB", "rrd")), CLASSES)
    assert "no class rrd" in line
    assert "did you mean RR" in line
