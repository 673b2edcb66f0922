"""Figures of merit from labels, predictions and energies; plain values in and out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, roc_auc_score

from broker_plugin.records.epoch import FloatArray

IntArray = npt.NDArray[np.int64]

P_VALUE_LEVELS = (0.01, 0.05, 0.1, 0.2)


@dataclass(frozen=True, slots=True)
class ClassificationFigures:
    """How well known classes are told apart.

    Attributes
    ----------
    n_windows : int
    accuracy, balanced_accuracy : float
        The latter is the mean recall of the classes present.
    recall : dict of str to (float or None)
        None for a class without windows.
    support : dict of str to int
        Windows of each class.
    confusion : list of list of int
        Rows are true classes, columns predicted ones, in the order of the bundle.
    """

    n_windows: int
    accuracy: float
    balanced_accuracy: float
    recall: dict[str, float | None]
    support: dict[str, int]
    confusion: list[list[int]]


@dataclass(frozen=True, slots=True)
class CutFigures:
    """Novelty detection at one threshold; precision depends on how many novel windows there are among all."""

    threshold: float
    precision: float | None
    recall: float
    f1: float
    false_alarm_rate: float


@dataclass(frozen=True, slots=True)
class NoveltyFigures:
    """How well other kinds are told from known classes.

    Attributes
    ----------
    n_known, n_novel : int
        Windows.
    roc_auc : float
        Of the energy.
    roc_auc_reconstruction_error : float
        Of the relative Euclidean reconstruction error alone, for comparison.
    at_80, at_95 : CutFigures
        At the bundle's percentiles of the training energies.
    """

    n_known: int
    n_novel: int
    roc_auc: float
    roc_auc_reconstruction_error: float
    at_80: CutFigures
    at_95: CutFigures


def classification_figures(
    label: IntArray, predicted: IntArray, classes: tuple[str, ...]
) -> ClassificationFigures:
    """Compare true and predicted class indices."""
    matrix = confusion_matrix(label, predicted, labels=range(len(classes)))
    support = matrix.sum(axis=1)
    recalls = [float(matrix[k, k] / support[k]) if support[k] else None for k in range(len(classes))]
    return ClassificationFigures(
        n_windows=len(label),
        accuracy=float(np.mean(label == predicted)),
        balanced_accuracy=float(np.mean([recall for recall in recalls if recall is not None])),
        recall=dict(zip(classes, recalls, strict=True)),
        support={name: int(count) for name, count in zip(classes, support, strict=True)},
        confusion=matrix.tolist(),
    )


def cut_figures(known: FloatArray, novel: FloatArray, threshold: float) -> CutFigures:
    """Judge "novel when the energy is at or above the threshold"."""
    hits = int(np.sum(novel >= threshold))
    false_alarms = int(np.sum(known >= threshold))
    return CutFigures(
        threshold=threshold,
        precision=hits / (hits + false_alarms) if hits + false_alarms else None,
        recall=hits / len(novel),
        f1=2 * hits / (hits + false_alarms + len(novel)),
        false_alarm_rate=false_alarms / len(known),
    )


def roc_auc(known: FloatArray, novel: FloatArray) -> float:
    """Return the chance that a novel window has the larger value; ties count half."""
    truth = np.concatenate([np.zeros(len(known)), np.ones(len(novel))])
    return float(roc_auc_score(truth, np.concatenate([known, novel])))


def p_value_fractions(p_values: FloatArray) -> dict[str, float]:
    """Return the fraction of known windows with a p-value of at most each level: ideally the level itself."""
    return {f"{level:g}": float(np.mean(p_values <= level)) for level in P_VALUE_LEVELS}
