"""The estimation network and its mixture on features that somebody computed: the paper's second stage alone.

Any table will do: one row a source, a column of classes, columns of numbers; missing values are allowed and
stay visible to the network as a flag. Beside it the same forests and detectors as in the experiment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from broker_plugin.model.conventions import OURS
from broker_plugin.model.mixture import Mixture, fit_mixture
from broker_plugin.records.epoch import FloatArray
from training.baselines.detectors import fit_detectors
from training.baselines.forest import fit_forest
from training.feature_rows import missing_shares, read_feature_rows, split_rows
from training.losses import cross_entropy, mean_energy
from training.metrics import (
    ClassificationFigures,
    CutFigures,
    IntArray,
    classification_figures,
    cut_figures,
)
from training.novelty_scores import NoveltyScore, score_figures
from training.table_settings import TableSettings
from training.windows import file_digest

Progress = Callable[[str], None]

_RATE_LAST = 0.01
NETWORK, MIXTURE, REPORT = "estimation.keras", "mixture.npz", "report.json"


@dataclass(frozen=True, slots=True)
class TableReport:
    """What came out; the network and the mixture lie beside it.

    Attributes
    ----------
    data_name, data_digest : str
    settings : TableSettings
    classes, features : tuple of str
    missing : dict of str to float
        Fraction of rows without a value, of the features that have such.
    n_train, n_validate, n_novel : int
    estimation, forest : ClassificationFigures
        On the validation rows.
    novelty : dict of str to NoveltyScore
        The energy and the detectors; empty without rows of the novel class.
    at_80, at_95 : CutFigures or None
        The energy at these percentiles of the training energies.
    history : list of float
        Loss by epoch.
    """

    data_name: str
    data_digest: str
    settings: TableSettings
    classes: tuple[str, ...]
    features: tuple[str, ...]
    missing: dict[str, float]
    n_train: int
    n_validate: int
    n_novel: int
    estimation: ClassificationFigures
    forest: ClassificationFigures
    novelty: dict[str, NoveltyScore]
    at_80: CutFigures | None
    at_95: CutFigures | None
    history: list[float]


def fit_table(table: Path, out: Path, settings: TableSettings, progress: Progress) -> TableReport:
    """Train on a table, judge on a fifth of it, and write network, mixture and report into ``out``.

    Raises
    ------
    InputError
        If the table cannot be read, lacks a column, or has too few rows or classes to be split.
    """
    rows = read_feature_rows(table, settings)
    train, validate = split_rows(table, rows, settings.seed)
    novel = np.flatnonzero(rows.label < 0)
    scaled, scaling = _scaled(rows.values, train)
    progress(f"{len(train)} rows to train, {len(validate)} to validate, {len(novel)} novel")
    keras.utils.set_random_seed(settings.seed)
    network = _network(scaled.shape[1], len(rows.classes), settings)
    history = _train(
        network, scaled[train], rows.label[train], len(rows.classes), settings=settings, progress=progress
    )

    def memberships(index: IntArray) -> FloatArray:
        return np.asarray(network.predict(scaled[index], batch_size=1024, verbose=0), dtype=np.float64)

    mixture = fit_mixture(scaled[train], memberships(train), OURS.mixture)
    energy = mixture.energy(scaled)
    forest = fit_forest(
        scaled[train], rows.label[train], rows.group[train], settings.forest_grid, seed=settings.seed
    )
    figures = [
        classification_figures(rows.label[validate], found.argmax(axis=1), rows.classes)
        for found in (memberships(validate), forest.probabilities(scaled[validate], len(rows.classes)))
    ]
    at_80, at_95 = (
        cut_figures(energy[validate], energy[novel], float(value)) if len(novel) else None
        for value in np.percentile(energy[train], [80, 95])
    )
    report = TableReport(
        data_name=table.name,
        data_digest=file_digest(table),
        settings=settings,
        classes=rows.classes,
        features=rows.names,
        missing=missing_shares(rows),
        n_train=len(train),
        n_validate=len(validate),
        n_novel=len(novel),
        estimation=figures[0],
        forest=figures[1],
        novelty=_novelty(scaled, rows.label, train, validate, novel=novel, energy=energy, seed=settings.seed),
        at_80=at_80,
        at_95=at_95,
        history=history,
    )
    _write(out, network, mixture, scaling, report)
    return report


def _scaled(values: FloatArray, train: IntArray) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Standardise by the training rows; a missing value becomes the mean and raises a flag of its own."""
    mean = np.nan_to_num(np.nanmean(values[train], axis=0))
    scale = np.nan_to_num(np.nanstd(values[train], axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    flagged = np.isnan(values[train]).any(axis=0)
    flags = np.isnan(values[:, flagged]).astype(np.float64)
    scaled = np.nan_to_num((values - mean) / scale)
    return np.hstack([scaled, flags]), {"mean": mean, "scale": scale, "flagged": flagged.astype(np.float64)}


def _network(n_features: int, n_classes: int, settings: TableSettings) -> Any:
    """Return the paper's estimation network: dense tanh, dropout, softmax."""
    return keras.Sequential(
        [
            keras.Input((n_features,)),
            keras.layers.Dense(settings.hidden_size, activation="tanh"),
            keras.layers.Dropout(settings.dropout, seed=settings.seed),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )


def _train(
    network: Any,
    features: FloatArray,
    label: IntArray,
    n_classes: int,
    *,
    settings: TableSettings,
    progress: Progress,
) -> list[float]:
    """Minimise cross-entropy and lambda times the mean energy of the batch."""
    size = features.shape[1]

    def loss(target: Any, gamma: Any) -> Any:
        one_hot, z = target[:, :n_classes], target[:, n_classes:]
        energy = mean_energy(z, gamma, covariance_floor=0.05, standardise=True)
        return cross_entropy(one_hot, gamma) + settings.energy_weight * energy

    steps = settings.epochs * max(1, len(features) // settings.batch_size)
    schedule = keras.optimizers.schedules.CosineDecay(settings.peak_rate, steps, alpha=_RATE_LAST)
    network.compile(optimizer=keras.optimizers.Adam(schedule), loss=loss)
    target = np.hstack([np.eye(n_classes)[label], features]).astype(np.float32)
    assert target.shape[1] == n_classes + size
    history: list[float] = []

    def told(epoch: int, logs: dict[str, float]) -> None:
        history.append(float(logs["loss"]))
        if (epoch + 1) % 10 == 0:
            progress(f"epoch {epoch + 1}: loss {history[-1]:.4g}")

    network.fit(
        ops.convert_to_tensor(features.astype(np.float32)),
        ops.convert_to_tensor(target),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        verbose=0,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=told)],
    )
    return history


def _novelty(
    scaled: FloatArray,
    label: IntArray,
    train: IntArray,
    validate: IntArray,
    *,
    novel: IntArray,
    energy: FloatArray,
    seed: int,
) -> dict[str, NoveltyScore]:
    if len(novel) == 0:
        return {}
    found = {"energy": score_figures(energy[validate], energy[novel])}
    for name, detector in fit_detectors(scaled[train], label[train], seed=seed).items():
        found[name] = score_figures(detector(scaled[validate]), detector(scaled[novel]))
    return found


def _write(
    out: Path, network: Any, mixture: Mixture, scaling: dict[str, FloatArray], report: TableReport
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    network.save(out / NETWORK)
    np.savez(
        out / MIXTURE,
        weights=mixture.weights,
        means=mixture.means,
        covariances=mixture.covariances,
        z_mean=mixture.z_mean,
        z_scale=mixture.z_scale,
        feature_mean=scaling["mean"],
        feature_scale=scaling["scale"],
        feature_flagged=scaling["flagged"],
    )
    (out / REPORT).write_text(json.dumps(asdict(report), indent=1) + "\n")


def table_text(report: TableReport) -> str:
    """Return the report as lines for the terminal."""
    lines = [
        f"{report.data_name}: {len(report.features)} features, {report.n_train} rows to train, "
        f"{report.n_validate} to validate, {report.n_novel} {report.settings.novel}",
        *_accuracies({"estimation network": report.estimation, "random forest": report.forest}),
    ]
    lines += [
        f"novelty by {name}: ROC AUC {score.roc_auc:.3f}, average precision {score.average_precision:.3f}"
        for name, score in report.novelty.items()
    ]
    return "\n".join(lines)


def _accuracies(figures: dict[str, ClassificationFigures]) -> Sequence[str]:
    return [
        f"{name}: accuracy {one.accuracy:.4f}, balanced {one.balanced_accuracy:.4f}"
        for name, one in figures.items()
    ]
