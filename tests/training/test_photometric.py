"""The model with photometric features, from columns of the data to the stream; the values are simulated.

No survey of ours has these columns, so the colours here are drawn to tell two classes apart that the light
curves do not: what is tested is that the network gets them, that missing ones are missing, and nothing else.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from broker_plugin.annotate.compose import Provenance
from broker_plugin.catalogue.build import build_catalogue
from broker_plugin.catalogue.catalogue import open_catalogue
from broker_plugin.catalogue.known import KnownStars
from broker_plugin.errors import InputError
from broker_plugin.model import Scorer, open_scorer
from broker_plugin.period import PeriodSettings
from broker_plugin.records.codec import encode_window
from broker_plugin.stages.score import ScoreStage
from tests.stages.test_score import annotations, step, window
from tests.training.conftest import make_stars
from training.cli import main
from training.external import borrowed, chosen_names, with_hidden
from training.windows import read_windows

NAMES = ("gaia_abs_g_mag", "gaia_bp_rp", "wise_w_rp")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return stars whose classes DSCT and RRCD have one shape and two colours; every fifth star has none."""
    stars = make_stars(3, 16, 4)
    rng = np.random.default_rng(0)
    twins = stars["superclass"].isin(["DSCT", "RRCD"])
    stars.loc[twins, ["hjd", "mag", "magerr", "period"]] = (
        stars.loc[stars["superclass"].eq("DSCT"), ["hjd", "mag", "magerr", "period"]]
        .sample(int(twins.sum()), replace=True, random_state=1)
        .to_numpy()
    )
    colour = np.where(stars["superclass"].eq("RRCD"), 1.5, 0.25) + rng.normal(0, 0.02, len(stars))
    for name in NAMES:
        stars[name] = np.where(np.arange(len(stars)) % 5 == 0, np.nan, colour)
    path = tmp_path_factory.mktemp("photometric") / "stars.parquet"
    stars.to_parquet(path)
    return path


def run(*arguments: object) -> Any:
    """Invoke the command line in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module", params=["paper", "structure"])
def bundle(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that was trained with the three features."""
    out = tmp_path_factory.mktemp("run")
    recipe = ["--recipe", "paper"] if request.param == "paper" else ["--outliers", "0.2"]
    options = ["--periods", "period", "--sequences-per-epoch", "256", "--batch-size", "32"]
    options += ["--hidden-size", "12", "--epochs", "8", "--photometric", ",".join(NAMES), *recipe]
    fitted = run("fit", "--data", data, "--out", out / "run", *options)
    assert fitted.exit_code == 0, fitted.output
    exported = run(
        "export", "--run", out / "run", "--data", data, "--out", out / "bundle", "--periods", "period"
    )
    assert exported.exit_code == 0, exported.output
    return out / "bundle"


def test_the_bundle_proves_itself_with_them(bundle: Path) -> None:
    """Golden windows hold the features, missing ones too; with others the proof fails: they matter."""
    scorer = open_scorer(bundle)
    golden = scorer.bundle.golden
    assert golden.external.shape == (len(golden.energy), 3)
    assert np.isnan(golden.external[0]).all()
    assert np.isfinite(golden.external[1:]).any()
    inputs = scorer.bundle.manifest.conventions.input
    assert set(NAMES) | {f"has_{name}" for name in NAMES} <= set(inputs.auxiliary)
    shifted = replace(scorer.bundle, golden=replace(golden, external=golden.external + 0.5))
    with pytest.raises(Exception, match="golden window"):
        Scorer(shifted, scorer._runtime).check_golden()


def test_what_the_light_curve_cannot_tell_the_colour_does(bundle: Path, data: Path) -> None:
    """Two classes of one shape: their colours tell them apart; without them the score is still one."""
    scorer, table = open_scorer(bundle), read_windows(data)
    classes = scorer.bundle.manifest.classes
    twins = np.flatnonzero(np.isin(table.label, [classes.index("DSCT"), classes.index("RRCD")]))
    twins = twins[np.isfinite(table.external["gaia_bp_rp"][twins])]

    def shares(colour: float | None) -> np.ndarray:
        known = {} if colour is None else dict.fromkeys(NAMES, colour)
        windows = [
            (table.time_mjd[i], table.mag[i], table.magerr[i], table.columns_period_days["period"][i], known)
            for i in twins
        ]
        scores = scorer.score(windows)
        assert all(np.isfinite(score.energy) for score in scores)
        assert all(score.probabilities.sum() == pytest.approx(1) for score in scores)
        return np.array([score.probabilities[classes.index("RRCD")] for score in scores])

    blue, red, unknown = shares(0.25), shares(1.5), shares(None)
    assert red.mean() > blue.mean() + 0.1
    assert blue.mean() <= unknown.mean() <= red.mean()


def test_in_the_stream(bundle: Path, tmp_path: Path) -> None:
    """From the catalogue into the network; what the catalogue does not know, or without one, is missing."""
    scorer = open_scorer(bundle)
    pd.DataFrame(
        {"ra": [1.0], "dec": [2.0], "gaia_abs_g_mag": [1.5], "gaia_bp_rp": [1.5], "wise_w_rp": [np.nan]}
    ).to_parquet(tmp_path / "stars.parquet")
    build_catalogue(tmp_path / "stars.parquet", tmp_path / "stars.arrow")
    known = KnownStars(open_catalogue(tmp_path / "stars.arrow"), 1.5)

    def probabilities(stars: KnownStars | None) -> dict[str, float]:
        stage = ScoreStage(
            "t",
            scorer,
            Provenance("m", "1", "ab" * 32, "0", tuple(scorer.bundle.manifest.classes)),
            clock=lambda: 0.0,
            period_settings=PeriodSettings(),
            catalogue={("ztf", "ZTF18aaaaaaa"): 0.6137},
            known_stars=stars,
        )
        (annotation,) = annotations(step(stage, encode_window(window())))
        return annotation.probabilities

    sent = window()
    direct = {
        name: scorer.score(
            [(sent.epochs["time_mjd"], sent.epochs["mag"], sent.epochs["magerr"], 0.6137, features)]
        )[0].probabilities
        for name, features in {"known": {"gaia_abs_g_mag": 1.5, "gaia_bp_rp": 1.5}, "unknown": {}}.items()
    }
    with_stars, without = probabilities(known), probabilities(None)
    np.testing.assert_allclose(list(with_stars.values()), direct["known"], atol=1e-6)
    np.testing.assert_allclose(list(without.values()), direct["unknown"], atol=1e-6)
    assert with_stars != without


def test_a_setting_that_cannot_work_is_told(data: Path, tmp_path: Path) -> None:
    """A name that is no feature, a column that the data lack."""
    wrong = run(
        "fit", "--data", data, "--out", tmp_path / "a", "--periods", "period", "--photometric", "bp_rp"
    )
    lacking = run(
        *("fit", "--data", data, "--out", tmp_path / "b", "--periods", "period"),
        *("--photometric", "colour_g_r"),
    )
    assert (wrong.exit_code, lacking.exit_code) != (0, 0)
    assert "expected some of gaia_abs_g_mag" in str(wrong.output) + str(wrong.exception)
    assert "no column 'colour_g_r'" in str(lacking.output) + str(lacking.exception)
    with pytest.raises(InputError, match="each once"):
        chosen_names("gaia_bp_rp, gaia_bp_rp")


def test_a_stand_in_is_refused(data: Path, tmp_path: Path) -> None:
    """99 is how the paper wrote "not known": here it is an error that says where."""
    stars = pd.read_parquet(data)
    stars.loc[7, "gaia_bp_rp"] = 99.0
    stars.to_parquet(tmp_path / "stars.parquet")
    with pytest.raises(InputError, match=r"row 7, column gaia_bp_rp: 99.0 is no magnitude"):
        read_windows(tmp_path / "stars.parquet")


def test_hidden_and_borrowed_values() -> None:
    """A fifth of the stars loses all, others some; the same seed hides the same; outliers borrow."""
    columns = {name: np.arange(4000.0) for name in NAMES}
    hidden = with_hidden(columns, 0.2, seed=1)
    gone = np.array([np.isnan(hidden[name]) for name in NAMES])
    assert gone.all(axis=0).mean() == pytest.approx(0.2, abs=0.03)
    assert gone[0].mean() == pytest.approx(0.2 + 0.8 * 0.1, abs=0.03)
    for name in NAMES:
        np.testing.assert_array_equal(hidden[name], with_hidden(columns, 0.2, seed=1)[name])
        np.testing.assert_array_equal(
            hidden[name][~np.isnan(hidden[name])], np.arange(4000.0)[~np.isnan(hidden[name])]
        )
    drawn = borrowed(hidden, 50, seed=1)
    assert {name: len(column) for name, column in drawn.items()} == dict.fromkeys(NAMES, 50)
    assert borrowed({}, 50, seed=1) == {}


def test_the_manifest_names_them(bundle: Path) -> None:
    """Mean and deviation of each, so that whoever reads the bundle knows what the network takes."""
    inputs = json.loads((bundle / "manifest.json").read_text())["conventions"]["input"]
    at = inputs["auxiliary"].index("gaia_bp_rp")
    assert 0.25 < inputs["auxiliary_mean"][at] < 1.5
    assert 0.1 < inputs["auxiliary_scale"][at] < 1
