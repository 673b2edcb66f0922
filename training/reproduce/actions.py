"""What the steps do: prepare, fit, score, baselines; each reads files of earlier steps and writes its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from pydantic import TypeAdapter

from broker_plugin.model import Conventions, Scorer
from broker_plugin.model.manifest import Provenance
from broker_plugin.records.epoch import FloatArray
from training.assemble import assemble
from training.baselines.features import (
    FeatureTable,
    folded_features,
    light_curve_features,
    structure_table,
)
from training.baselines.grids import GridName
from training.baselines.judge import judge_baselines
from training.evaluate import Evaluation, evaluate, judge
from training.fit import FittedNetwork, fit, versions
from training.metrics import IntArray
from training.novelty_scores import NoveltyScore, score_figures
from training.periods import SEARCH, FoldPeriods, periods_for
from training.reproduce.scored_parts import ScoredParts, joined
from training.reproduce.settings import ExperimentSettings
from training.reproduce.splits import choose_stars
from training.reproduce.variants import CATALOGUE, Variant, split_of
from training.run import MIXTURE, read_mixture
from training.scored import ScoredWindows, score_windows
from training.split import Split
from training.windows import WindowTable, read_windows

Progress = Callable[[str], None]

NETWORK, HISTORY, CONVENTIONS = "network.keras", "history.json", "conventions.json"
SCORED, EVALUATION, BASELINES = "scored.npz", "evaluation.json", "baselines.json"
CATALOGUE_EVALUATION = "evaluation-catalogue.json"
ELSEWHERE = "evaluations-elsewhere.json"
Z_FEATURES = "network's z"
"""Name of the feature set that is all of z."""


class Workbench:
    """The data of an experiment, read when first needed.

    Parameters
    ----------
    data, cache : Path
        Parquet of stars; where found periods are kept.
    settings : ExperimentSettings
    processes : int
        Workers of the period search; threads of forests.
    """

    def __init__(self, data: Path, cache: Path, settings: ExperimentSettings, processes: int) -> None:
        self.data = data
        self.settings = settings
        self.processes = processes
        self.cache = cache

    @cached_property
    def table(self) -> WindowTable:
        """All windows of the file."""
        return read_windows(self.data)

    @cached_property
    def rows(self) -> IntArray:
        """The windows that the experiment uses."""
        return np.flatnonzero(choose_stars(self.table, self.settings.stars_per_class, self.settings.seeds[0]))

    def periods(self, source: str, progress: Progress = lambda _: None) -> FoldPeriods:
        """Return the periods of those windows by one source."""
        return periods_for(
            self.table, source, self.cache, index=self.rows, processes=self.processes, progress=progress
        )

    @property
    def has_catalogue(self) -> bool:
        """Whether every window has a catalogue period."""
        column = self.table.columns_period_days.get(CATALOGUE)
        return column is not None and bool(np.isfinite(column[self.rows]).all())

    @cached_property
    def elsewhere(self) -> dict[str, WindowTable]:
        """The windows of other surveys, by file name."""
        return {Path(path).name: read_windows(Path(path)) for path in self.settings.elsewhere}

    @cached_property
    def outside_features(self) -> dict[str, FeatureTable]:
        """Features of the baselines, of all windows in the order of the table; unused windows are 0."""
        sets = {}
        found = self.periods(SEARCH).period_days
        sets["folded, found periods"] = self._spread(folded_features(self.table, self.rows, found))
        if self.has_catalogue:
            column = self.periods(CATALOGUE).period_days
            sets["folded, catalogue periods"] = self._spread(folded_features(self.table, self.rows, column))
        sets["network's input, found periods"] = self._spread(structure_table(self.table, self.rows, found))
        try:
            features = light_curve_features(self.table, self.rows, found)
            sets["light-curve package, found periods"] = self._spread(features)
        except ModuleNotFoundError:  # the extra "baselines" is not installed; the report lacks these rows
            pass
        return sets

    def _spread(self, features: FeatureTable) -> FeatureTable:
        values: FloatArray = np.zeros((len(self.table), len(features.names)))
        values[self.rows] = features.values
        return replace(features, values=values)


def run_prepare(bench: Workbench, folder: Path, progress: Progress) -> None:
    """Find all periods, and say what the data are."""
    found = bench.periods(SEARCH, progress)
    table = bench.table
    names, counts = np.unique(table.label[bench.rows], return_counts=True)
    summary = {
        "data_name": bench.data.name,
        "data_digest": table.data_digest,
        "search_digest": found.search_digest,
        "windows": len(bench.rows),
        "stars": len(set(table.star_id[bench.rows].tolist())),
        "windows_by_label": dict(zip(names.tolist(), counts.tolist(), strict=True)),
        "has_catalogue_periods": bench.has_catalogue,
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")


def run_fit(bench: Workbench, variant: Variant, folder: Path, progress: Progress) -> None:
    """Train one model; resumes from its checkpoint."""
    split = split_of(variant, bench.table, bench.settings)
    periods = bench.periods(variant.training.periods)
    fitted = fit(
        bench.table,
        split,
        periods.period_days,
        variant.training,
        out_dir=folder,
        cache_dir=bench.cache,
        processes=bench.processes,
        progress=progress,
    )
    fitted.network.save(folder / NETWORK)
    if fitted.mixture is not None:
        mixture = fitted.mixture
        np.savez(
            folder / MIXTURE,
            weights=mixture.weights,
            means=mixture.means,
            covariances=mixture.covariances,
            z_mean=mixture.z_mean,
            z_scale=mixture.z_scale,
        )
    (folder / HISTORY).write_text(json.dumps(fitted.history, indent=1) + "\n")
    (folder / CONVENTIONS).write_text(json.dumps(asdict(fitted.conventions), indent=1) + "\n")
    (folder / "checkpoint.npz").unlink(missing_ok=True)


def run_score(bench: Workbench, variant: Variant, fit_folder: Path, folder: Path, progress: Progress) -> None:
    """Score all parts of the split, judge validation and novel windows; a main model by both periods."""
    conventions = TypeAdapter(Conventions).validate_json((fit_folder / CONVENTIONS).read_bytes())
    fitted = FittedNetwork(
        keras.saving.load_model(fit_folder / NETWORK, compile=False),
        conventions,
        json.loads((fit_folder / HISTORY).read_text()),
        read_mixture(fit_folder, conventions),
    )
    split = split_of(variant, bench.table, bench.settings)
    periods = bench.periods(variant.training.periods)
    provenance = Provenance(
        created_by="python -m training reproduce",
        data_name=bench.data.name,
        data_digest=bench.table.data_digest,
        period_source=periods.source,
        search_digest=periods.search_digest,
        seed=variant.training.seed,
        versions=versions(),
        settings=asdict(variant.training),
    )
    bundle, runtime = assemble(
        fitted,
        bench.table,
        split,
        periods,
        name=variant.words,
        version="in memory",
        provenance=provenance,
        threads=0,
    )
    # Where the nearest stars are no part of the energy they are wanted in the stream, not here.
    if not bundle.manifest.neighbour_weight:
        bundle = replace(bundle, reference_stars=None)
    scorer = Scorer(bundle, runtime)
    train, calibrate, validate = (
        _scored(scorer, bench, periods, index) for index in (split.train, split.calibrate, split.validate)
    )
    novel = _scored(scorer, bench, periods, split.novel) if len(split.novel) else validate.take(split.novel)
    parts = ScoredParts(train, calibrate, validate, novel)
    parts.save(folder / SCORED)
    progress("scored")
    judged = joined(parts.validate, parts.novel)
    # The windows of a class that was left out carry its label; to the judge they are novel.
    if variant.kind == "without":
        label = np.where(judged.label == variant.number, -1, judged.label)
        judged = replace(judged, label=label)
    words = {"stars": variant.words, "data_name": bench.data.name}
    evaluation = judge(scorer, judged, periods, bench.table.data_digest, **words)
    _write(folder / EVALUATION, evaluation)
    if variant.judged_by_both and bench.has_catalogue:
        column = bench.periods(CATALOGUE)
        index = np.concatenate([split.validate, split.novel])
        with_catalogue = _scored(scorer, bench, column, index)
        _write(
            folder / CATALOGUE_EVALUATION,
            judge(scorer, with_catalogue, column, bench.table.data_digest, **words),
        )

    if variant.judged_elsewhere and bench.elsewhere:
        abroad = {}
        for name, table in bench.elsewhere.items():
            found = periods_for(table, SEARCH, bench.cache, processes=bench.processes)
            everything = np.arange(len(table))
            abroad[name] = asdict(
                evaluate(scorer, table, found, everything, data_name=name, stars=variant.words)
            )
        (folder / ELSEWHERE).write_text(json.dumps(abroad, indent=1) + "\n")


def _scored(scorer: Any, bench: Workbench, periods: FoldPeriods, index: IntArray) -> ScoredWindows:
    return score_windows(scorer, bench.table, periods.period_days, index)


def grid_of(variant: Variant, settings: ExperimentSettings) -> GridName:
    """Return which forests are grown beside a model."""
    first = variant.kind in {"main", "paper"} and variant.training.seed == settings.seeds[0]
    return settings.forest_grid if first else "one"


def run_baselines(
    bench: Workbench, variant: Variant, score_folder: Path, folder: Path, progress: Progress
) -> None:
    """Judge forests and detectors on the outside features and on what the network makes of the windows.

    The whole grid beside the first seed; elsewhere one forest.
    """
    split = split_of(variant, bench.table, bench.settings)
    parts = ScoredParts.load(score_folder / SCORED)
    embedding = _latent_tables(bench.table, split, parts, variant.training.embedding_size)
    figures = judge_baselines(
        bench.table,
        split,
        {**bench.outside_features, **embedding},
        grid_of(variant, bench.settings),
        seed=variant.training.seed,
        threads=bench.processes,
        progress=progress,
    )
    error: NoveltyScore | None = None
    if len(parts.novel):
        error = score_figures(parts.validate.euclidean, parts.novel.euclidean)
    document = {
        "sets": {name: asdict(one) for name, one in figures.items()},
        "reconstruction_error": None if error is None else asdict(error),
    }
    (folder / BASELINES).write_text(json.dumps(document, indent=1) + "\n")


def _latent_tables(
    table: WindowTable, split: Split, parts: ScoredParts, embedding_size: int
) -> dict[str, FeatureTable]:
    """Return the embedding alone and all of z, of the windows of the split."""
    size = parts.train.z.shape[1]
    values: FloatArray = np.zeros((len(table), size))
    for part in ("train", "calibrate", "validate", "novel"):
        scored = getattr(parts, part)
        if len(scored):
            values[getattr(split, part)] = scored.z
    names = tuple(f"z_{k:02d}" for k in range(size))
    return {
        "network's embedding": FeatureTable(names[:embedding_size], values[:, :embedding_size]),
        Z_FEATURES: FeatureTable(names, values),
    }


def _write(path: Path, evaluation: Evaluation) -> None:
    path.write_text(json.dumps(asdict(evaluation), indent=1) + "\n")
