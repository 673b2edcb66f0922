"""A bundle gets thresholds and p-values of another survey, and says how far that survey is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from broker_plugin.model import default_bundle_path, load_bundle, open_scorer
from broker_plugin.records import schemas
from training.cli import main
from training.periods import SEARCH, periods_for
from training.sample_windows import read_sample
from training.scored import score_windows
from training.windows import read_windows

_DAYS = 25.0  # few, so that the search has a small grid


def stars(seed: int, n: int, noise: float) -> pd.DataFrame:
    """Return unlabelled pulsators with one window each, in a survey of its own noise."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        time = 59_000 + np.sort(rng.uniform(0, _DAYS, 200))
        period = rng.uniform(0.4, 0.8)
        mag = 17 + 0.4 * np.mod(time / period, 1.0) ** 0.6 + rng.normal(0, noise, 200)
        rows.append({"object_id": f"x{number}", "time_mjd": time, "mag": mag, "magerr": np.full(200, 0.05)})
    return pd.DataFrame(rows)


def run(*arguments: object) -> Any:
    """Invoke the command line in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """Return a new bundle, its folder of data, and what the command printed."""
    folder = tmp_path_factory.mktemp("calibrate")
    stars(1, 220, 0.06).to_parquet(folder / "windows.parquet")
    result = run(
        *("calibrate", "--bundle", default_bundle_path(), "--windows", folder / "windows.parquet"),
        *("--out", folder / "bundle", "--cache", folder / "cache", "--json", folder / "new" / "found.json"),
    )
    assert result.exit_code == 0, result.output
    return folder / "bundle", folder, result


def test_the_new_bundle_proves_itself_and_keeps_the_network(calibrated: tuple[Path, Path, Any]) -> None:
    """Golden vectors hold; network and mixture are the parent's; version, provenance and digest are new."""
    bundle = open_scorer(calibrated[0]).bundle
    parent = load_bundle(default_bundle_path())
    assert bundle.digest != parent.digest
    for name in ("network.onnx", "network.keras", "golden.npz"):
        assert bundle.manifest.sha256[name] == parent.manifest.sha256[name]
    np.testing.assert_array_equal(bundle.mixture.means, parent.mixture.means)
    assert bundle.manifest.version.startswith(f"{parent.manifest.version}+")
    assert bundle.manifest.provenance.parent_digest == parent.digest
    assert bundle.manifest.provenance.calibration_name == "windows.parquet"
    assert bundle.manifest.n_calibration == 220
    assert bundle.manifest.thresholds != parent.manifest.thresholds
    report = json.loads((calibrated[0] / "report.json").read_text())
    assert report["calibration"]["n_windows"] == 220
    assert "## Calibrated anew" in (calibrated[0] / "MODEL_CARD.md").read_text()


def test_fresh_stars_of_that_survey_have_honest_p_values(calibrated: tuple[Path, Path, Any]) -> None:
    """Other stars of the same survey: one in twenty at p <= 0.05, whatever the parent said of them."""
    bundle, folder, _ = calibrated
    stars(2, 120, 0.06).to_parquet(folder / "fresh.parquet")
    sample = read_sample(folder / "fresh.parquet")
    found = periods_for(sample.table, SEARCH, folder / "cache")
    index = np.arange(len(sample.table))
    scored = score_windows(open_scorer(bundle), sample.table, found.period_days, index)
    assert np.mean(scored.p_value <= 0.05) <= 0.15  # 6 of 120 expected; 18 would be a 5-sigma surprise
    assert 0.35 < np.mean(scored.p_value) < 0.65


def test_it_says_how_far_the_survey_is(calibrated: tuple[Path, Path, Any]) -> None:
    """One kind of star in another band is far from eight classes: shifted features are named."""
    found = json.loads((calibrated[1] / "new" / "found.json").read_text())
    verdicts = {shift["name"]: shift["verdict"] for shift in found["shifts"]}
    assert "shifted" in verdicts.values()
    assert "energy" in verdicts
    indices = [shift["stability_index"] for shift in found["shifts"]]
    assert indices == sorted(indices, reverse=True)
    assert "shifted" in calibrated[2].output


def test_a_sample_of_the_training_kind_is_not_shifted(calibrated: tuple[Path, Path, Any]) -> None:
    """The sample that a bundle was calibrated on has the energies that it expects, by definition."""
    bundle, folder, _ = calibrated
    result = run(
        *("calibrate", "--bundle", bundle, "--windows", folder / "windows.parquet"),
        *("--out", folder / "again", "--cache", folder / "cache", "--json", folder / "again.json"),
    )
    assert result.exit_code == 0, result.output
    found = json.loads((folder / "again.json").read_text())
    energy = next(shift for shift in found["shifts"] if shift["name"] == "energy")
    assert energy["verdict"] == "as trained"


def test_too_small_a_sample_and_a_foreign_directory(
    calibrated: tuple[Path, Path, Any], tmp_path: Path
) -> None:
    """Both are refused before anything is written."""
    stars(3, 20, 0.06).to_parquet(tmp_path / "few.parquet")
    options = ["--bundle", default_bundle_path(), "--windows", tmp_path / "few.parquet"]
    result = run("calibrate", *options, "--out", tmp_path / "bundle", "--cache", tmp_path / "cache")
    assert result.exit_code == 7
    assert "20 windows to calibrate on; expected at least 200" in result.output
    assert not (tmp_path / "bundle").exists()
    (tmp_path / "thesis.tex").write_text("")
    result = run("calibrate", *options, "--out", tmp_path, "--cache", tmp_path / "cache")
    assert "which is no part of a bundle" in result.output
    result = run("calibrate", *options, "--out", default_bundle_path(), "--cache", tmp_path / "cache")
    assert "is the bundle itself" in result.output


def test_windows_of_the_stream_in_avro_and_json(tmp_path: Path) -> None:
    """Records of the topic lightcurves, as a container or as lines, are the windows of the parquet."""
    frame = stars(4, 3, 0.05)
    frame.to_parquet(tmp_path / "windows.parquet")
    records = [
        {
            **{
                "window_id": "w",
                "survey": "ztf",
                "object_id": row.object_id,
                "band": "r",
                "ra": 1.0,
                "dec": 2.0,
            },
            **{"alert_id": "1", "alert_time_mjd": 59_025.0, "kind": "latest", "n_epochs_total": 200},
            **{name: list(map(float, getattr(row, name))) for name in ("time_mjd", "mag", "magerr")},
            "origin": bytes(200),
            "version": [0] * 200,
        }
        for row in frame.itertuples()
    ]
    with (tmp_path / "windows.avro").open("wb") as stream:
        fastavro.writer(stream, schemas.latest_schema("lightcurve"), records)
    lines = [json.dumps({k: v for k, v in record.items() if k != "origin"}) for record in records]
    (tmp_path / "windows.jsonl").write_text("\n".join(lines))
    expected = read_sample(tmp_path / "windows.parquet").table
    for suffix in ("avro", "jsonl"):
        sample = read_sample(tmp_path / f"windows.{suffix}")
        np.testing.assert_array_equal(sample.table.time_mjd, expected.time_mjd)
        np.testing.assert_allclose(sample.table.mag, expected.mag, rtol=0, atol=1e-6)
        assert sample.table.star_id[0] == "ztf/x0/r"
        assert not sample.labelled


def test_labels_keep_novel_stars_out(data: Path) -> None:
    """In a labelled sample windows of other kinds are not ordinary."""
    sample = read_sample(data)
    table = read_windows(data)
    assert sample.labelled
    np.testing.assert_array_equal(sample.ordinary, table.label >= 0)
    np.testing.assert_allclose(sample.table.time_mjd, table.time_mjd)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="magerr"), "column magerr is missing"),
        (lambda f: f.drop(columns="time_mjd"), "column hjd or time_mjd is missing"),
        (lambda f: f.assign(mag=[m[:-1] for m in f.mag]), "differ in length"),
        (lambda f: f.assign(superclass="QSO"), "superclass 'QSO'; expected one of CEPH"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, change: Any, message: str) -> None:
    """File and column or star."""
    change(stars(5, 2, 0.05)).to_parquet(tmp_path / "bad.parquet")
    options = ("--bundle", default_bundle_path(), "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    result = run("calibrate", "--windows", tmp_path / "bad.parquet", *options)
    assert result.exit_code == 7
    assert "bad.parquet" in result.output
    assert message in result.output
