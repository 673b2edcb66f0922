"""All baselines on one split: a forest and detectors on each feature set, single features as detectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from broker_plugin.model.conventions import CLASSES
from broker_plugin.records.epoch import FloatArray
from training.baselines.detectors import fit_detectors
from training.baselines.features import FeatureTable
from training.baselines.forest import fit_forest
from training.baselines.grids import GridName
from training.metrics import ClassificationFigures, CutFigures, classification_figures, cut_figures
from training.novelty_scores import NoveltyScore, best_side, score_figures
from training.split import Split
from training.windows import WindowTable

Progress = Callable[[str], None]

_SINGLE_FEATURES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class DetectorFigures:
    """A novelty detector on the validation and NOVEL windows.

    Attributes
    ----------
    score : NoveltyScore
    at_80, at_95 : CutFigures
        At these percentiles of the calibration windows, which no detector was fitted on.
    """

    score: NoveltyScore
    at_80: CutFigures
    at_95: CutFigures


@dataclass(frozen=True, slots=True)
class BaselineFigures:
    """What one feature set can do.

    Attributes
    ----------
    features : tuple of str
    forest_parameters : dict of str to str
    inner_accuracy : float or None
    classification : ClassificationFigures
        Of the random forest on the validation windows.
    detectors : dict of str to DetectorFigures
        Empty without NOVEL windows.
    single_features : dict of str to NoveltyScore
        The best few, each turned to the side that fits: an upper bound.
    """

    features: tuple[str, ...]
    forest_parameters: dict[str, str]
    inner_accuracy: float | None
    classification: ClassificationFigures
    detectors: dict[str, DetectorFigures]
    single_features: dict[str, NoveltyScore]


def judge_baselines(
    table: WindowTable,
    split: Split,
    feature_sets: Mapping[str, FeatureTable],
    grid: GridName,
    *,
    seed: int,
    threads: int = 1,
    progress: Progress = lambda _: None,
) -> dict[str, BaselineFigures]:
    """Fit on ``split.train``, judge on ``split.validate`` and ``split.novel``.

    Parameters
    ----------
    table : WindowTable
    split : Split
    feature_sets : mapping of str to FeatureTable
        Of *all* windows of the table, in its order.
    grid : {"paper", "small", "one"}
    seed, threads : int
    progress : callable
    """
    figures = {}
    for name, features in feature_sets.items():
        progress(f"baselines on {name}: {len(features.names)} features, grid {grid!r}")
        figures[name] = _judge(table, split, features, grid, seed=seed, threads=threads)
    return figures


def _judge(
    table: WindowTable, split: Split, features: FeatureTable, grid: GridName, *, seed: int, threads: int
) -> BaselineFigures:
    values, label = features.values, table.label
    forest = fit_forest(
        values[split.train], label[split.train], table.group[split.train], grid, seed=seed, threads=threads
    )

    def unlikely(points: FloatArray) -> FloatArray:
        return np.asarray(1.0 - forest.probabilities(points, len(CLASSES)).max(axis=1))

    predicted = forest.probabilities(values[split.validate], len(CLASSES)).argmax(axis=1)
    detectors: dict[str, DetectorFigures] = {}
    singles: dict[str, NoveltyScore] = {}
    if len(split.novel):
        fitted = fit_detectors(values[split.train], label[split.train], seed=seed, threads=threads)
        for name, detector in {**fitted, "forest, 1 - highest probability": unlikely}.items():
            known, novel, held_out = (
                detector(values[index]) for index in (split.validate, split.novel, split.calibrate)
            )
            at_80, at_95 = (
                cut_figures(known, novel, float(value)) for value in np.percentile(held_out, [80, 95])
            )
            detectors[name] = DetectorFigures(score_figures(known, novel), at_80, at_95)
        single = {
            name: best_side(values[split.validate, column], values[split.novel, column])
            for column, name in enumerate(features.names)
        }
        best = sorted(single, key=lambda name: -single[name].roc_auc)[:_SINGLE_FEATURES_SHOWN]
        singles = {name: single[name] for name in best}
    return BaselineFigures(
        features=features.names,
        forest_parameters={name: str(value) for name, value in forest.parameters.items()},
        inner_accuracy=None if np.isnan(forest.inner_accuracy) else forest.inner_accuracy,
        classification=classification_figures(label[split.validate], predicted, CLASSES),
        detectors=detectors,
        single_features=singles,
    )
