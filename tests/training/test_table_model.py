"""The estimation network on anybody's features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from training.cli import main


def features(n: int = 240, n_novel: int = 20) -> pd.DataFrame:
    """Return three clouds with a colour that is missing for every third source, and strangers."""
    rng = np.random.default_rng(0)
    label = np.arange(n + n_novel) % 3
    frame = pd.DataFrame(
        {
            "kind": np.array(["A", "B", "C"])[label],
            "source": np.arange(n + n_novel) // 2,
            "x": label * 3.0 + rng.normal(0, 0.6, n + n_novel),
            "y": -label * 2.0 + rng.normal(0, 0.6, n + n_novel),
            "colour": rng.normal(size=n + n_novel),
        }
    )
    frame.loc[frame.index % 3 == 0, "colour"] = np.nan
    frame.loc[n:, "kind"] = "NOVEL"
    frame.loc[n:, ["x", "y"]] = [9.0, 9.0]
    return frame


def run(*arguments: object) -> Any:
    """Invoke the verb with a small network."""
    options = ("--label", "kind", "--forest-grid", "one", "--epochs", "40", "--batch-size", "32")
    return CliRunner().invoke(main, ["fit-features", *(str(one) for one in (*arguments, *options))])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_classes_and_strangers(tmp_path: Path, suffix: str) -> None:
    """Clouds are told apart, strangers found; what was missing is said and seen as such."""
    table = tmp_path / f"features.{suffix}"
    getattr(features(), f"to_{suffix}")(table, index=False)
    result = run("--table", table, "--out", tmp_path / "out", "--group", "source")
    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["features"] == ["x", "y", "colour"]
    assert report["missing"] == {"colour": pytest.approx(1 / 3, abs=0.01)}
    assert report["estimation"]["accuracy"] > 0.9
    assert report["forest"]["accuracy"] > 0.9
    assert report["novelty"]["energy"]["roc_auc"] > 0.95
    assert report["history"][-1] < report["history"][0]
    with np.load(tmp_path / "out" / "mixture.npz") as stored:
        assert stored["means"].shape == (3, 4)  # three features and the flag of the missing colour
        np.testing.assert_array_equal(stored["feature_flagged"], [0, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="kind"), "column 'kind' is missing; found source, x, y, colour"),
        (
            lambda f: f.assign(x=["1.0"] * 3 + ["bright"] * 257),
            "row 4, column 'x': 'bright'; expected a number",
        ),
        (lambda f: f.assign(kind="A"), "expected at least two classes"),
        (lambda f: f.assign(kind=["", *f.kind[1:]]), "row 1, column 'kind': empty"),
    ],
)
def test_errors_name_the_cell(tmp_path: Path, change: Any, message: str) -> None:
    """File, row, column, value."""
    change(features()).to_csv(tmp_path / "bad.csv", index=False)
    result = run("--table", tmp_path / "bad.csv", "--out", tmp_path / "out", "--features", "x,y,colour")
    assert result.exit_code == 7
    assert "bad.csv" in result.output
    assert message in result.output
