"""What several bands come to together."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.annotate.combine import OBJECT_FLAGS, combine, combined_p_value
from broker_plugin.annotate.object_view import as_annotation
from broker_plugin.filters import FilterSpec, build_filter
from broker_plugin.filters.spec import Range
from broker_plugin.records.annotation import PeriodReport
from broker_plugin.records.color import BandMean
from broker_plugin.records.match import CatalogueMatch
from broker_plugin.records.object_annotation import (
    PERIOD_AGREEMENTS,
    decode_object,
    encode_object,
)
from tests.annotate.objects import RULE, combined, of_band, shares, withdrawn
from tests.filters.examples import annotations


def test_one_band_is_what_it_says() -> None:
    """The first annotation of an object: its class, period and p-value, and that nobody confirms them."""
    found = combined(of_band("r", p_value=0.25))
    assert (found.predicted_class, found.p_value) == ("RRAB", 0.25)
    assert found.probabilities["RRAB"] == pytest.approx(0.73, abs=1e-3)
    assert (found.period_days, found.period_agreement) == (0.5, "single")
    assert (found.revision, found.supersedes, found.withdrawn) == (1, None, False)
    assert found.quality_flags == ("one_band",)


def test_two_sure_bands_outvote_an_unsure_one() -> None:
    """A mean of logarithms: who is sure has more to say; agreement does not multiply to certainty."""
    found = combined(
        of_band("g", probabilities=shares("ECL", 0.9)),
        of_band("r", probabilities=shares("ECL", 0.8)),
        of_band("i", probabilities=shares("ROT", 0.5)),
    )
    assert found.predicted_class == "ECL"
    assert 0.5 < found.probabilities["ECL"] < 0.9
    assert math.fsum(found.probabilities.values()) == pytest.approx(1)
    assert "bands_disagree" in found.quality_flags
    assert [band.band for band in found.bands] == ["g", "i", "r"]


def test_a_strange_window_is_believed_less() -> None:
    """Two bands, equally sure of different classes: the one that looks like its class decides."""
    strange = of_band("g", probabilities=shares("ECL", 0.8), p_value=0.01)
    ordinary = of_band("r", probabilities=shares("RRCD", 0.8), p_value=0.6)
    assert combined(strange, ordinary).predicted_class == "RRCD"
    assert combined(replace(strange, p_value=0.6), replace(ordinary, p_value=0.01)).predicted_class == "ECL"


@given(st.lists(annotations(), min_size=1, max_size=6))
def test_the_order_of_bands_does_not_matter(drawn) -> None:
    """Bands are annotated in any order; probabilities are a distribution, and nothing is certain or lost."""
    each = [replace(one, band="ugrizy"[n], revision=1, object_id="O") for n, one in enumerate(drawn)]
    # Exactly nothing is no p-value: a conformal one is at least 1 / (1 + n).
    each = [
        replace(one, p_value=max(one.p_value or 0, 1e-4) if one.p_value is not None else None) for one in each
    ]
    there, back = combined(*each), combined(*reversed(each))
    assert there.bands == back.bands
    assert there.probabilities == pytest.approx(back.probabilities)
    assert (there.p_value, there.period_agreement) == (back.p_value, back.period_agreement)
    assert math.fsum(there.probabilities.values()) == pytest.approx(1)
    assert there.predicted_class == max(there.probabilities, key=there.probabilities.get)
    assert there.period_agreement in PERIOD_AGREEMENTS
    assert set(there.quality_flags) <= set(OBJECT_FLAGS)
    packed = encode_object(there, 0)
    assert encode_object(decode_object(packed), 0) == packed


@given(st.lists(st.floats(1e-4, 1), min_size=1, max_size=6))
def test_a_combined_p_value_is_one(p_values) -> None:
    """Within (0, 1]; never below the least of them; equal ones come to no less than themselves."""
    found = combined_p_value(p_values)
    assert min(p_values) * (1 - 1e-9) <= found <= 1
    same = combined_p_value([p_values[0]] * len(p_values))
    assert same >= min(p_values[0], 0.999) * (1 - 1e-9)


@pytest.mark.parametrize("n_bands", [2, 6])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.6, 0.9])
def test_ordinary_stars_are_called_novel_no_more_often_than_said(n_bands, correlation) -> None:
    """Normal variables with any correlation behind the bands' p-values: the rate is at most the level.

    20 000 draws; the test fails at three standard deviations of the rate, 0.005 at 0.05.
    """
    rng = np.random.default_rng([n_bands, int(100 * correlation)])
    n = 20_000
    common = rng.normal(size=(n, 1))
    z = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * rng.normal(size=(n, n_bands))
    p = 0.5 * np.vectorize(math.erfc)(z / math.sqrt(2))
    found = np.array([combined_p_value(row) for row in p.tolist()])
    for level in (0.01, 0.05):
        assert (found <= level).mean() <= level + 3 * math.sqrt(level * (1 - level) / n)


def test_several_strange_bands_are_stranger_than_one() -> None:
    """Power: two bands at 0.04 are novel at 0.05, one among ordinary ones is not."""
    assert combined_p_value([0.04, 0.04]) < 0.05
    assert combined_p_value([0.04, 0.9, 0.9]) > 0.05
    assert combined_p_value([]) is None


def test_novel_without_p_values() -> None:
    """A model that is not calibrated: novel is what every band calls so."""
    g, r = of_band("g", p_value=None, novel=True), of_band("r", p_value=None, novel=False)
    assert (combined(g).novel, combined(g).p_value) == (True, None)
    assert not combined(g, r).novel


def period(days: float | None, fap: float = -8.0, method: str = "search") -> PeriodReport:
    return PeriodReport(days, days or 0.4, method, fap, ())


@pytest.mark.parametrize(
    ("days", "expected", "agreement"),
    [
        ((None, None), None, "none"),
        ((None, 0.5), 0.5, "single"),
        ((0.5, 0.5001), 0.5, "agree"),
        ((0.25, 0.5, 0.5), 0.5, "harmonic"),
        ((0.5, 1.5), 0.5, "harmonic"),
        ((0.5, 0.5, 0.7), 0.5, "majority"),
        ((0.5, 0.7), 0.5, "disagree"),
    ],
)
def test_periods(days, expected, agreement) -> None:
    """Half, double, third and triple periods are one opinion; the first band is the most significant."""
    bands = [
        replace(of_band("ugrizy"[n]), period=period(value, fap=-20.0 + n)) for n, value in enumerate(days)
    ]
    found = combined(*bands)
    assert found.period_agreement == agreement
    assert found.period_days == (None if expected is None else pytest.approx(expected, rel=1e-3))
    assert ("periods_disagree" in found.quality_flags) == (agreement in ("majority", "disagree"))


def test_a_catalogues_period_comes_first() -> None:
    """Of equal or multiple periods that of the catalogue stands, though it has no false-alarm probability."""
    searched = replace(of_band("g"), period=period(0.25, fap=-40.0))
    known = replace(of_band("r"), period=period(0.5, fap=0.0, method="catalogue"))
    assert combined(searched, known).period_days == 0.5


def test_the_newest_annotation_of_a_band_replaces_the_former() -> None:
    """Revisions: the object's own count, and what it supersedes."""
    first = combined(of_band("g"), of_band("r", probabilities=shares("ECL", 0.9)))
    second = combined(of_band("r", 2, probabilities=shares("RRAB", 0.95)), held=first)
    assert (first.revision, second.revision) == (2, 3)
    assert second.supersedes == first.combined_id
    assert second.predicted_class == "RRAB"
    assert len(second.bands) == 2
    assert second.combined_id != first.combined_id


def test_what_says_nothing_new_is_not_combined_again() -> None:
    """A repeat, a late window, an older revision, a withdrawal of what was never there."""
    g, r = of_band("g", 3), of_band("r")
    held = combined(g, r)
    for refused, why in (
        (r, "repeated"),
        (replace(of_band("g", 0), changes=("late",)), "late"),
        (of_band("g", 2), "late"),
        (withdrawn(of_band("i")), "unknown"),
    ):
        assert combine(refused, held, RULE, "0") == why


def test_a_withdrawn_band_leaves() -> None:
    """Of two bands one is left; of one none: the object is withdrawn, and may come back."""
    g, r = of_band("g"), of_band("r", probabilities=shares("ECL", 0.9))
    one = combined(withdrawn(g), held=combined(g, r))
    assert ([band.band for band in one.bands], one.predicted_class) == (["r"], "ECL")
    none = combined(withdrawn(r), held=one)
    assert (none.withdrawn, none.bands, none.predicted_class, none.novel) == (True, (), "", False)
    assert (none.p_value, none.period_days, dict(none.probabilities)) == (None, None, {})
    assert decode_object(encode_object(none, 0)) == none
    again = combined(of_band("g", 3), held=none)
    assert (again.withdrawn, again.revision, again.supersedes) == (False, 5, none.combined_id)


def test_an_upgrade_on_its_way() -> None:
    """A new model with other classes has judged one band: it alone says the class, and the doubt is told."""
    old = of_band("g", probabilities=shares("ECL", 0.99))
    new = of_band("r", probabilities={"EA": 0.6, "RR": 0.4}, model_digest="cd" * 32)
    found = combined(old, new)
    assert dict(found.probabilities) == pytest.approx({"EA": 0.6, "RR": 0.4})
    assert "mixed_models" in found.quality_flags
    assert len(found.bands) == 2


def test_what_is_known_of_the_star_travels() -> None:
    """Colours of the stream, and the catalogue's star."""
    means = {"g": BandMean(15.75, 0.01, 50), "r": BandMean(15.25, 0.01, 200)}
    match = CatalogueMatch("V1", 0.25, False, known_class="RRab")
    found = combined(of_band("r", band_means=means, catalogue_match=match))
    assert dict(found.colours) == {"colour_g_r": 0.5}
    assert decode_object(encode_object(found, 0)).catalogue_match == match


def test_filters_judge_an_object() -> None:
    """Class, p-value and period as for a band; a clause about a magnitude cannot tell, and does not pass."""
    view = as_annotation(combined(of_band("g"), of_band("r", quality_flags=("phase_gap",))))
    assert view.band == "g+r"
    assert view.quality_flags == ("phase_gap",)
    assert build_filter("x", FilterSpec(classes=("RRAB",), period_days=Range(max=1))).passes(view)
    assert not build_filter("x", FilterSpec(classes=("ECL",))).passes(view)
    assert not build_filter("x", FilterSpec(mag=Range(max=99))).passes(view)
    assert not build_filter("x", FilterSpec(energy=Range(min=-1e9))).passes(view)
    alone = as_annotation(combined(of_band("g")))
    assert build_filter("x", FilterSpec(with_flags=("one_band",))).passes(alone)
    gone = as_annotation(combined(withdrawn(of_band("g")), held=combined(of_band("g"))))
    assert not build_filter("x", FilterSpec(probability=Range(min=0.01))).passes(gone)
