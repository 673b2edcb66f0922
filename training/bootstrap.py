"""How far the main figures depend on which stars were drawn: bootstrap over groups of stars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.records.epoch import FloatArray
from training.scored import ScoredWindows

_DRAWS = 400
_SEED = 0


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap_intervals(scored: ScoredWindows) -> dict[str, Interval]:
    """Return intervals of accuracy, balanced accuracy and the ROC AUC of the energy, whichever exist.

    Groups are drawn with replacement: the windows of one star are not independent. Every draw keeps the
    classes that it hits; a draw that hits none of the novel stars is left out of the AUC.
    """
    groups, member = np.unique(scored.group, return_inverse=True)
    known = scored.known
    right = scored.predicted == scored.label
    order = np.argsort(scored.energy, kind="stable")
    rng = np.random.default_rng(_SEED)
    draws: dict[str, list[float]] = {"accuracy": [], "balanced_accuracy": [], "roc_auc": []}
    for number in range(_DRAWS + 1):
        # The first is no draw but the figure itself.
        times = np.bincount(rng.integers(0, len(groups), len(groups)), minlength=len(groups))
        weight = np.ones(len(scored)) if number == 0 else times[member].astype(np.float64)
        for name, value in _figures(scored, weight, known, right, order).items():
            draws[name].append(value)
    intervals = {}
    for name, values in draws.items():
        found = np.array(values)
        if len(found) == 0 or not np.isfinite(found[0]):
            continue
        low, high = np.nanpercentile(found[1:], [2.5, 97.5])
        intervals[name] = Interval(float(found[0]), float(low), float(high))
    return intervals


def _figures(
    scored: ScoredWindows,
    weight: FloatArray,
    known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    right: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    order: np.ndarray[tuple[int, ...], np.dtype[np.intp]],
) -> dict[str, float]:
    label = scored.label[known]
    n_classes = len(scored.classes)
    total = np.bincount(label, weights=weight[known], minlength=n_classes)
    hits = np.bincount(label, weights=weight[known] * right[known], minlength=n_classes)
    seen = total > 0
    figures = {
        "accuracy": float(hits.sum() / total.sum()) if seen.any() else np.nan,
        "balanced_accuracy": float(np.mean(hits[seen] / total[seen])) if seen.any() else np.nan,
        "roc_auc": np.nan,
    }
    of_known, of_novel = weight * known, weight * ~known
    if of_known.sum() > 0 and of_novel.sum() > 0:
        figures["roc_auc"] = _weighted_auc(scored.energy[order], of_known[order], of_novel[order])
    return figures


def _weighted_auc(energy: FloatArray, known: FloatArray, novel: FloatArray) -> float:
    """Return the chance that a novel window is above a known one, ties half; energies increasing."""
    _, tie = np.unique(energy, return_inverse=True)
    known_at = np.bincount(tie, weights=known)
    novel_at = np.bincount(tie, weights=novel)
    below = np.cumsum(known_at) - known_at
    return float(np.sum(novel_at * (below + 0.5 * known_at)) / (known.sum() * novel.sum()))
