"""The whole experiment on a few stars: interrupted, resumed, reported."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from broker_plugin.errors import InputError
from training.cli import main  # noqa: F401  # sets the log level before TensorFlow is loaded
from training.reproduce.run import reproduce
from training.reproduce.settings import ExperimentSettings

pytestmark = pytest.mark.slow

_SETTINGS = ExperimentSettings(
    seeds=(1,),
    paper_recipe=False,
    embeddings=(),
    sequential=False,
    mean_magnitude=False,
    catalogue_periods=False,
    leaky_split=False,
    ablations=("no-augmentation",),
    folds=0,
    leave_out=("ECL",),
    epochs=2,
    short_epochs=1,
    sequences_per_epoch=64,
    batch_size=32,
    hidden_size=8,
    forest_grid="one",
    period_windows=2,
    astropy_windows=0,
)


class Interrupt:
    """Progress that is told lines, and stops at the first that contains some words, as Ctrl-C would."""

    def __init__(self, words: str = "") -> None:
        self.lines: list[str] = []
        self._words = words

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if self._words and self._words in line:
            raise KeyboardInterrupt


def stars() -> pd.DataFrame:
    """Return stars of four classes and of none with known periods; 25 days, so that the search is quick."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(100):
        k = number % 4 if number < 88 else None
        period = 0.2 * 1.9 ** (k or 0) * rng.uniform(0.97, 1.03)
        time = 2_455_000 + np.sort(rng.uniform(0, 25, 410))
        noise = rng.normal(size=410)
        curve = np.sin(2 * np.pi * time / period) * (0.2 + 0.1 * (k or 0)) if k is not None else 0.4 * noise
        rows.append(
            {
                "star_id": f"s{number}",
                "superclass": "NOVEL" if k is None else ("DSCT", "ECL", "RRAB", "SR")[k],
                "period": period,
                "hjd": time,
                "mag": (12 + curve + 0.02 * rng.normal(size=410)).astype(np.float32),
                "magerr": np.full(410, 0.02, np.float32),
            }
        )
    return pd.DataFrame(rows)


class _Images(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.sources += [values[name] or "" for name in ("src", "href") if name in values]


def test_an_experiment_survives_an_interruption(tmp_path: Path) -> None:
    """Stopped inside the first training, the same call goes on at the epoch; a third does nothing anew."""
    stars().to_parquet(tmp_path / "stars.parquet")
    stars().iloc[::3].to_parquet(tmp_path / "abroad.parquet")
    settings = replace(_SETTINGS, elsewhere=(str(tmp_path / "abroad.parquet"),))
    paths = (tmp_path / "stars.parquet", tmp_path / "out", tmp_path / "cache")
    stopped = Interrupt("fit/joint-seed1: epoch 1")
    with pytest.raises(KeyboardInterrupt):
        reproduce(*paths, settings, progress=stopped)
    assert not (tmp_path / "out" / "report.html").exists()

    second = Interrupt()
    reproduce(*paths, settings, progress=second)
    assert any("prepare: done before" in line for line in second.lines)
    assert any("resuming after epoch 1 of 2" in line for line in second.lines)

    third = Interrupt()
    reproduce(*paths, settings, progress=third)
    assert not any("starts" in line for line in third.lines)

    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["data"]["stars"] == 100
    models = {model["variant"]["name"]: model for model in report["models"]}
    assert set(models) == {"joint-seed1", "short", "without-ECL", "no-augmentation"}
    abroad = {name for name, model in models.items() if model["elsewhere"]}
    assert abroad == {"joint-seed1", "short", "no-augmentation"}
    assert len(models["joint-seed1"]["history"]) == 2
    left_out = models["without-ECL"]["evaluation"]
    assert left_out["novelty"]["n_novel"] == 44
    assert left_out["classification"]["support"]["ECL"] == 0
    forest = models["joint-seed1"]["baselines"]["folded, found periods"]
    assert forest["classification"]["accuracy"] > 0.9
    assert models["joint-seed1"]["evaluation"]["energy_spread"] > 0

    page = (tmp_path / "out" / "report.html").read_text()
    images = _Images()
    images.feed(page)
    assert len(images.sources) >= 6
    assert all(source.startswith("data:image/svg+xml;base64,") for source in images.sources)
    for heading in (
        "Table 2 of Tsang",
        "Baselines",
        "one class left out",
        "On other surveys",
        "Found periods",
    ):
        assert heading in page
        assert heading in (tmp_path / "out" / "report.md").read_text()


def test_an_unknown_ablation_is_told(tmp_path: Path) -> None:
    """The message has the name that was given, and those that there are."""
    stars().to_parquet(tmp_path / "stars.parquet")
    settings = replace(_SETTINGS, ablations=("no-sense",))
    with pytest.raises(InputError, match=r"'no-sense': there is none of that name; choose from no-augment"):
        reproduce(
            *(tmp_path / "stars.parquet", tmp_path / "out", tmp_path / "cache"),
            settings,
            progress=Interrupt(),
        )
