"""What a catalogue knows of a window's position, in the annotation and in the fold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from broker_plugin.annotate.compose import Provenance
from broker_plugin.catalogue.build import build_catalogue
from broker_plugin.catalogue.catalogue import open_catalogue
from broker_plugin.catalogue.known import KnownStars
from broker_plugin.model import default_bundle_path, open_scorer
from broker_plugin.period import PeriodSettings
from broker_plugin.records.codec import encode_window
from broker_plugin.records.color import BandMean
from broker_plugin.stages.score import ScoreStage
from tests.stages.test_accumulate import totals
from tests.stages.test_score import PERIOD_DAYS, annotations, step, window

ARCSEC = 1 / 3600
MEANS = {"g": BandMean(15.5, 0.01, 180), "r": BandMean(15.0, 0.02, 200)}


@pytest.fixture(scope="module")
def scorer():
    return open_scorer(default_bundle_path())


def known_stars(folder: Path, *, use_periods: bool = True, **columns) -> KnownStars:
    table = {"ra": [1.0], "dec": [2.0], "star_id": ["V1"], **columns}
    pd.DataFrame(table).to_parquet(folder / "stars.parquet")
    build_catalogue(folder / "stars.parquet", folder / "stars.arrow")
    return KnownStars(open_catalogue(folder / "stars.arrow"), 1.5, use_periods)


def stage(scorer, known: KnownStars | None, periods=None) -> ScoreStage:
    return ScoreStage(
        "t",
        scorer,
        Provenance(
            *("m", "1", "ab" * 32, "0", tuple(scorer.bundle.manifest.classes)),
            catalogue_name=None if known is None else known.catalogue.name,
            catalogue_digest=None if known is None else known.catalogue.digest,
        ),
        clock=lambda: 0.0,
        period_settings=PeriodSettings(),
        catalogue=periods or {},
        known_stars=known,
    )


def test_a_known_star(scorer, tmp_path) -> None:
    """Its period folds, its class and place travel; a star of the batch that is not known is searched."""
    known = known_stars(tmp_path, period=[2 * PERIOD_DAYS], **{"class": ["EW"]}, gaia_bp_rp=[0.75])
    here, elsewhere = window(), replace(window(1, "ZTF18aaaaaab"), ra=77.0)
    result = step(
        stage(scorer, known), encode_window(replace(here, band_means=MEANS)), encode_window(elsewhere)
    )
    first, second = annotations(result)

    assert (first.catalogue_name, first.catalogue_digest) == ("stars", known.catalogue.digest)
    assert first.catalogue_match.star_id == "V1"
    assert first.catalogue_match.known_class == "EW"
    assert (first.catalogue_match.gaia_bp_rp, first.catalogue_match.wise_w_rp) == (0.75, None)
    assert (first.period.method, first.period.value_days) == ("catalogue", 2 * PERIOD_DAYS)
    assert first.band_means == MEANS
    assert second.catalogue_match is None
    assert second.period.value_days == pytest.approx(PERIOD_DAYS, rel=1e-4)
    assert "ambiguous_catalogue_match" not in first.quality_flags
    counted = totals([result])
    assert counted["catalogue_matches_total", (("outcome", "matched"),)] == 1
    assert counted["catalogue_matches_total", (("outcome", "none"),)] == 1


def test_two_stars_within_the_radius(scorer, tmp_path) -> None:
    """Whose period it would be is not known: it is searched, and the doubt is told."""
    known = known_stars(
        tmp_path,
        ra=[1.0, 1.0],
        dec=[2.0 + 0.3 * ARCSEC, 2.0 - 0.9 * ARCSEC],
        star_id=["near", "far"],
        period=[5.0, 7.0],
    )
    result = step(stage(scorer, known), encode_window(window()))
    (found,) = annotations(result)
    assert (found.catalogue_match.star_id, found.catalogue_match.ambiguous) == ("near", True)
    assert found.period.value_days == pytest.approx(PERIOD_DAYS, rel=1e-4)
    assert "ambiguous_catalogue_match" in found.quality_flags
    assert totals([result])["catalogue_matches_total", (("outcome", "ambiguous"),)] == 1


def test_which_period_is_used(scorer, tmp_path) -> None:
    """One by object id comes before one by position; with use_periods off only the former counts."""
    known = known_stars(tmp_path, period=[5.0])
    by_id = {("ztf", "ZTF18aaaaaaa"): 7.0}
    searched = KnownStars(known.catalogue, 1.5, use_periods=False)
    (both,) = annotations(step(stage(scorer, known, by_id), encode_window(window())))
    (neither,) = annotations(step(stage(scorer, searched), encode_window(window())))
    assert both.period.value_days == 7.0
    assert neither.period.value_days == pytest.approx(PERIOD_DAYS, rel=1e-4)
    assert neither.catalogue_match.period_days == 5.0


def test_a_catalogue_does_not_change_the_shipped_models_verdict(scorer, tmp_path) -> None:
    """The shipped model has no photometric feature: what is known of the star leaves its score alone."""
    known = known_stars(tmp_path, gaia_bp_rp=[0.75])
    (without,) = annotations(step(stage(scorer, None), encode_window(window())))
    (with_it,) = annotations(step(stage(scorer, known), encode_window(replace(window(), band_means=MEANS))))
    assert (with_it.energy, with_it.probabilities) == (without.energy, without.probabilities)
    assert (without.catalogue_name, without.catalogue_match) == (None, None)
