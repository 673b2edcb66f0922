"""The evaluation runs on any parquet of the layout, whatever optional columns it has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from broker_plugin.model import default_bundle_path
from training.cli import main
from training.windows import read_windows

_BARE = ("star_id", "superclass", "hjd", "mag", "magerr")


def frame() -> pd.DataFrame:
    """Return 24 stars of two classes and of none, with every optional column; few days, a small grid."""
    rng = np.random.default_rng(3)
    rows = []
    for number in range(24):
        superclass = ("RRAB", "ECL", "NOVEL")[number % 3]
        time = 2_455_000 + np.sort(rng.uniform(0, 25, 230))
        shape = (
            np.mod(time / 0.57, 1.0) if superclass == "RRAB" else np.abs(np.sin(np.pi * time / 1.3)) ** 0.3
        )
        mag = 11 + (rng.normal(size=230) if superclass == "NOVEL" else shape) + rng.normal(0, 0.03, 230)
        rows.append(
            {
                "star_id": f"s{number}",
                "superclass": superclass,
                "orig_class": superclass.lower(),
                "group": -1 if number % 2 else None,
                "period": np.nan if superclass == "NOVEL" else 0.57,
                "split": ("blind", None)[number % 2],
                "hjd": time,
                "mag": mag.astype(np.float32),
                "magerr": np.full(230, 0.03, np.float32),
            }
        )
    return pd.DataFrame(rows)


def evaluate(data: Path, *more: object) -> Any:
    """Invoke the verb on the default bundle."""
    options = ("--bundle", default_bundle_path(), "--data", data, "--cache", data.parent / "cache")
    return CliRunner().invoke(main, ["evaluate", *(str(one) for one in (*options, *more))])


def test_bare_columns_are_enough(tmp_path: Path) -> None:
    """Five columns: figures on the terminal, as JSON, as Markdown, and every score as parquet."""
    frame()[list(_BARE)].to_parquet(tmp_path / "bare.parquet")
    outputs = {name: tmp_path / "out" / name for name in ("e.json", "e.md", "e.parquet")}
    result = evaluate(
        *(tmp_path / "bare.parquet", "--json", outputs["e.json"], "--markdown", outputs["e.md"]),
        *("--scores", outputs["e.parquet"], "--details"),
    )
    assert result.exit_code == 0, result.output
    found = json.loads(outputs["e.json"].read_text())
    assert found["n_stars"] == 24
    assert found["classification"]["n_windows"] == 16
    assert (found["novelty"]["n_novel"], found["novelty"]["n_known"]) == (8, 16)
    assert found["strata"]["period of the window"][0]["name"] == "no reference"
    assert found["energy_spread"] > 0
    assert "## By signal to noise" in outputs["e.md"].read_text()
    assert "Reliability" in result.output
    scores = pd.read_parquet(outputs["e.parquet"])
    accuracy = np.mean((scores.predicted == scores.superclass)[scores.superclass != "NOVEL"])
    assert accuracy == pytest.approx(found["classification"]["accuracy"])
    np.testing.assert_allclose(scores.filter(like="p_").drop(columns="p_value").sum(axis=1), 1)


def test_stars_without_a_group_are_alone(tmp_path: Path) -> None:
    """A null or negative group is no group that they share."""
    frame().to_parquet(tmp_path / "all.parquet")
    assert len(set(read_windows(tmp_path / "all.parquet").group.tolist())) == 24


def test_a_split_and_stars_that_have_none(tmp_path: Path) -> None:
    """--split takes those with that value; without it all stars count, whatever the column holds."""
    frame().to_parquet(tmp_path / "all.parquet")
    result = evaluate(tmp_path / "all.parquet", "--split", "blind")
    assert result.exit_code == 0, result.output
    assert "12 stars of all.parquet (all, split blind)" in result.output
    result = evaluate(tmp_path / "all.parquet", "--split", "holdout")
    assert result.exit_code == 7
    assert "no star has split 'holdout'; found None, blind" in result.output
    frame()[list(_BARE)].to_parquet(tmp_path / "bare.parquet")
    result = evaluate(tmp_path / "bare.parquet", "--split", "blind")
    assert result.exit_code == 7
    assert "column 'split' is missing" in result.output


@pytest.mark.parametrize("keep", ["NOVEL", "known"])
def test_only_one_side(tmp_path: Path, keep: str) -> None:
    """Only novel stars, or none: what can be said is said."""
    stars = frame()
    stars[(stars.superclass == "NOVEL") == (keep == "NOVEL")].to_parquet(tmp_path / "some.parquet")
    result = evaluate(tmp_path / "some.parquet", "--json", tmp_path / "e.json")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "e.json").read_text())
    assert found["novelty"] is None
    assert (found["classification"] is None) == (keep == "NOVEL")


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default cache is not asked for, so a temporary one serves; a cache that is named must work."""
    frame().to_parquet(tmp_path / "all.parquet")
    (tmp_path / ".cache").write_text("a file where the folder would be")
    monkeypatch.chdir(tmp_path)
    options = ["evaluate", "--bundle", str(default_bundle_path()), "--data", "all.parquet"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, [*options, "--cache", ".cache"])
    assert result.exit_code == 2
    assert "--cache" in result.output
