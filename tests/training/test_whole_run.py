"""The verbs end to end on a small data set: fit, interrupt, resume, export, evaluate."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from broker_plugin.model import open_scorer
from broker_plugin.model.reference_stars import NeighbourSearch
from training.assemble import NEIGHBOUR_WEIGHT
from training.cli import main

FIT = ["--periods", "period", "--sequences-per-epoch", "64", "--batch-size", "32", "--hidden-size", "12"]
FIT += ["--outliers", "0.1", "--average-momentum", "0.5", "--head-epochs", "0"]
# Three epochs of three steps; catalogue periods, since the search has its own tests.


def run(*arguments: str) -> Any:
    """Invoke the command line in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a finished run of three epochs."""
    out = tmp_path_factory.mktemp("run") / "run"
    result = run("fit", "--data", data, "--out", out, "--epochs", "3", *FIT)
    assert result.exit_code == 0, result.output
    return out


def test_the_losses_fall(finished: Path) -> None:
    """Six steps are few, but the joint loss must go down, and every part must be a number."""
    history = json.loads((finished / "record.json").read_text())["history"]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert history[-1]["loss"] < history[0]["loss"]
    assert all(np.isfinite(value) for epoch in history for value in epoch.values())


def test_training_goes_on_from_the_weights_not_from_their_mean(finished: Path) -> None:
    """The network that a run leaves is the running mean; the checkpoint holds the weights themselves."""
    import keras

    network = keras.saving.load_model(finished / "network.keras", compile=False)
    mean = keras.ops.convert_to_numpy(network.variables[0])
    with np.load(finished / "checkpoint.npz") as stored:
        weights = stored["variable_0"]
    assert weights.shape == mean.shape
    assert np.abs(weights - mean).max() > 1e-6


def test_a_head_start(data: Path, finished: Path, tmp_path: Path) -> None:
    """What stands on the encoder has learned something before the first epoch; a resumed run has it once."""
    options = [*FIT, "--head-epochs", "20"]
    result = run("fit", "--data", data, "--out", tmp_path, "--epochs", "1", *options)
    assert result.exit_code == 0, result.output
    assert "head start: " in result.output
    with_it, without = (
        json.loads((folder / "record.json").read_text())["history"][0] for folder in (tmp_path, finished)
    )
    assert with_it["cross_entropy"] < 0.8 * without["cross_entropy"]
    (tmp_path / "record.json").unlink()
    again = run("fit", "--data", data, "--out", tmp_path, "--epochs", "1", *options)
    assert "head start" not in again.output


PAPER = ["--features", "paper", "--mixture", "memberships", "--average-momentum", "0", "--outliers", "0"]


@pytest.mark.parametrize("mode", ["joint", "sequential"])
def test_the_paper_s_recipe(data: Path, tmp_path: Path, mode: str) -> None:
    """Its features and its mixture give a bundle; sequential training leaves z as its first phase made it."""
    run_dir, bundle = tmp_path / "run", tmp_path / "bundle"
    fitted = run("fit", "--data", data, "--out", run_dir, "--epochs", "2", *FIT, *PAPER, "--mode", mode)
    assert fitted.exit_code == 0, fitted.output
    history = json.loads((run_dir / "record.json").read_text())["history"]
    errors = [epoch["val_squared_error"] for epoch in history]
    assert (errors[0] == errors[1]) == (mode == "sequential")
    exported = run("export", "--run", run_dir, "--data", data, "--out", bundle, "--periods", "period")
    assert exported.exit_code == 0, exported.output
    conventions = open_scorer(bundle).bundle.manifest.conventions
    assert conventions.input.auxiliary == ("std", "log10_period")
    assert conventions.mixture.estimator == "memberships"


def test_an_interrupted_run_resumes(data: Path, finished: Path, tmp_path: Path) -> None:
    """With the record lost after the last checkpoint, fit ends at once with the same network."""
    copy = tmp_path / "run"
    shutil.copytree(finished, copy)
    (copy / "record.json").unlink()
    result = run("fit", "--data", data, "--out", copy, "--epochs", "3", *FIT)
    assert result.exit_code == 0, result.output
    assert "resuming after epoch 3 of 3" in result.output
    one, other = (json.loads((folder / "record.json").read_text()) for folder in (finished, copy))
    assert one["history"] == other["history"]


def test_a_run_that_starts_from_another(data: Path, finished: Path, tmp_path: Path) -> None:
    """Its first loss is below that of random weights, and its record holds both histories."""
    out = tmp_path / "second"
    result = run("fit", "--data", data, "--out", out, "--initial", finished, "--epochs", "1", *FIT)
    assert result.exit_code == 0, result.output
    record = json.loads((out / "record.json").read_text())
    assert [epoch["epoch"] for epoch in record["history"]] == [1, 2, 3, 4]
    assert record["history"][3]["loss"] < record["history"][0]["loss"]
    assert len(record["initial_network_digest"]) == 64


def test_a_start_from_another_split_is_refused(data: Path, finished: Path, tmp_path: Path) -> None:
    """Stars that the first run trained on would validate the second."""
    result = run("fit", "--data", data, "--out", tmp_path, "--initial", finished, "--seed", "9", *FIT)
    assert result.exit_code == 7
    assert "give the same data and --seed" in result.output


def test_a_checkpoint_of_other_settings_is_refused(data: Path, finished: Path) -> None:
    """Another learning rate must not continue somebody's run."""
    result = run("fit", "--data", data, "--out", finished, "--epochs", "3", *FIT, "--peak-rate", "0.1")
    assert result.exit_code == 7
    assert "other settings" in result.output


def test_export_and_evaluate(data: Path, finished: Path, tmp_path: Path) -> None:
    """The bundle opens, its report is what evaluate says of it, and nothing in it names a path."""
    bundle = tmp_path / "bundle"
    exported = run("export", "--run", finished, "--data", data, "--out", bundle, "--periods", "period")
    assert exported.exit_code == 0, exported.output
    scorer = open_scorer(bundle)
    assert scorer.bundle.manifest.provenance.period_source == "period"
    assert 0 < scorer.bundle.manifest.n_calibration < 100
    assert scorer.bundle.manifest.conventions.mixture.estimator == "learned"
    assert scorer.bundle.reference_stars is not None
    assert scorer.bundle.manifest.neighbour_weight == NEIGHBOUR_WEIGHT
    assert {"energy", "fold_residual", "euclidean"} <= set(scorer.bundle.reference)
    for name in ("manifest.json", "report.json", "MODEL_CARD.md"):
        assert str(tmp_path) not in (bundle / name).read_text()
        assert str(data.parent) not in (bundle / name).read_text()

    figures = tmp_path / "figures.json"
    judged = run("evaluate", "--bundle", bundle, "--data", data, "--periods", "period", "--json", figures)
    assert judged.exit_code == 0, judged.output
    found = json.loads(figures.read_text())
    report = json.loads((bundle / "report.json").read_text())["evaluation"]
    assert found["classification"] == report["classification"]
    assert found["novelty"] == report["novelty"]
    assert found["stars"] == "validation split and NOVEL"
    assert found["energy_spread"] > 0
    assert found["model_digest"] == scorer.bundle.digest
    everything = run("evaluate", "--bundle", bundle, "--data", data, "--periods", "period", "--stars", "all")
    assert "(all)" in everything.output


def test_export_refuses_other_data(finished: Path, data: Path, tmp_path: Path) -> None:
    """A run's split means nothing on another file."""
    import pandas as pd

    other = tmp_path / "other.parquet"
    pd.read_parquet(data).iloc[:-1].to_parquet(other)
    result = run("export", "--run", finished, "--data", other, "--out", tmp_path / "bundle")
    assert result.exit_code == 7
    assert "give the training data" in result.output


def test_export_never_writes_over_something_else(data: Path, finished: Path, tmp_path: Path) -> None:
    """A directory with somebody's thesis in it is no place for a bundle."""
    (tmp_path / "thesis.tex").write_text("")
    result = run("export", "--run", finished, "--data", data, "--out", tmp_path, "--periods", "period")
    assert result.exit_code == 7
    assert "thesis.tex" in result.output


def test_export_of_an_unfinished_run(data: Path, tmp_path: Path) -> None:
    """Export before fit says what to run."""
    result = run("export", "--run", tmp_path, "--data", data, "--out", tmp_path / "bundle")
    assert result.exit_code == 7
    assert "python -m training fit" in result.output


def test_the_card_tells_spread_and_other_surveys(data: Path, finished: Path, tmp_path: Path) -> None:
    """Runs beside the first give a spread, files of other surveys a table; nearest stars can be left out."""
    few = pd.read_parquet(data).groupby("superclass").head(2)
    few.to_parquet(tmp_path / "abroad.parquet")
    bundle, cache = tmp_path / "bundle", tmp_path / "cache"
    done = run(
        *("export", "--run", finished, "--data", data, "--out", bundle, "--periods", "period"),
        *("--also", finished, "--elsewhere", tmp_path / "abroad.parquet", "--cache", cache),
        "--no-reference-stars",
    )
    assert done.exit_code == 0, done.output
    card = (bundle / "MODEL_CARD.md").read_text()
    assert "Over 2 seeds" in card
    assert "± 0.000" in card  # the same run twice
    assert "| abroad.parquet |" in card
    report = json.loads((bundle / "report.json").read_text())
    assert report["elsewhere"][0]["n_stars"] == len(few)
    without = open_scorer(bundle).bundle
    assert without.reference_stars is None
    assert without.manifest.neighbour_weight == 0.0


def test_neighbours_that_are_left_out_cannot_count(data: Path, finished: Path, tmp_path: Path) -> None:
    """Two options that contradict each other are refused before anything is scored."""
    result = run(
        *("export", "--run", finished, "--data", data, "--out", tmp_path / "bundle"),
        *("--no-reference-stars", "--neighbour-weight", "1"),
    )
    assert result.exit_code == 7
    assert "needs the reference stars" in result.output


def test_the_energy_of_training_windows_leaves_their_own_star_out(
    data: Path, finished: Path, tmp_path: Path
) -> None:
    """The cuts are percentiles of what a window would have if its star were new."""
    bundle = tmp_path / "bundle"
    done = run("export", "--run", finished, "--data", data, "--out", bundle, "--periods", "period")
    assert done.exit_code == 0, done.output
    written = open_scorer(bundle).bundle
    stars = written.reference_stars
    assert stars is not None
    near = NeighbourSearch(stars, written.manifest.classes).distance(stars.z, own=stars.star_id)
    energy = written.mixture.energy(stars.z) + NEIGHBOUR_WEIGHT * np.log(near)
    np.testing.assert_allclose(written.manifest.thresholds.percentile_95, np.percentile(energy, 95))
