"""Scored windows as columns: what every figure of merit, table and plot starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from broker_plugin.model import Score, Scorer, ScoringWindow
from broker_plugin.records.epoch import FloatArray
from training.metrics import IntArray
from training.windows import NOVEL_LABEL, WindowTable

Progress = Callable[[str], None]
BoolArray = npt.NDArray[np.bool_]

_BLOCK = 2048
_EXACT = 0.01  # relative; two periods this near fold 200 epochs alike


@dataclass(frozen=True, slots=True)
class ScoredWindows:
    """Windows with their labels and what a model says of them, shape (n,) unless given.

    Attributes
    ----------
    classes : tuple of str
        Names in index order.
    star_id : ndarray of str
    group, label, chunk, n_epochs : ndarray of int
        ``n_epochs``: of the star, in the windows of the table.
    probabilities : ndarray, shape (n, K), float64
    energy, p_value : ndarray of float64
        The p-value is NaN where the bundle is not calibrated.
    euclidean, cosine, mean_mag, std_mag, period_days : ndarray of float64
    reference_days : ndarray of float64
        The column ``period`` of the data; NaN where there is none.
    signal_to_noise : ndarray of float64
        See :func:`signal_to_noise`.
    z : ndarray, shape (n, l), float64
    feature_names : tuple of str
    features : ndarray, shape (n, f), float64
        Named and unscaled, as :attr:`broker_plugin.model.Score.features`.
    """

    classes: tuple[str, ...]
    star_id: npt.NDArray[np.str_]
    group: IntArray
    label: IntArray
    chunk: IntArray
    n_epochs: IntArray
    probabilities: FloatArray
    energy: FloatArray
    p_value: FloatArray
    euclidean: FloatArray
    cosine: FloatArray
    mean_mag: FloatArray
    std_mag: FloatArray
    period_days: FloatArray
    reference_days: FloatArray
    signal_to_noise: FloatArray
    z: FloatArray
    feature_names: tuple[str, ...]
    features: FloatArray

    def __len__(self) -> int:
        return len(self.label)

    @property
    def known(self) -> BoolArray:
        """Return which windows are of known classes."""
        return np.asarray(self.label != NOVEL_LABEL)

    @property
    def predicted(self) -> IntArray:
        """Return the index of the most probable class."""
        return np.asarray(self.probabilities.argmax(axis=1))

    def take(self, rows: BoolArray | IntArray | npt.NDArray[np.intp]) -> ScoredWindows:
        """Return some of the windows."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})

    def period_verdict(self) -> npt.NDArray[np.str_]:
        """Return "right" (within 1 % of the reference), "factor 2", "wrong" or "no reference"."""
        ratio = self.period_days / self.reference_days
        near = {factor: np.abs(ratio / factor - 1) < _EXACT for factor in (1.0, 0.5, 2.0)}
        verdict = np.where(near[0.5] | near[2.0], "factor 2", "wrong")
        verdict = np.where(near[1.0], "right", verdict)
        return np.where(np.isfinite(ratio), verdict, "no reference")

    def frame(self) -> pd.DataFrame:
        """Return a table, one row a window, without z."""
        skip = ("probabilities", "z", "label", "features")
        columns = {name: getattr(self, name) for name in COLUMNS if name not in skip}
        names = np.array([*self.classes, "NOVEL"])
        columns["superclass"] = names[self.label]  # -1 is the last
        columns["predicted"] = names[self.predicted]
        for k, name in enumerate(self.classes):
            columns[f"p_{name}"] = self.probabilities[:, k]
        return pd.DataFrame(columns)

    def write(self, path: Path) -> None:
        """Write :meth:`frame` as parquet."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.frame().to_parquet(path, index=False)


NAMES = ("classes", "feature_names")
COLUMNS = tuple(field.name for field in fields(ScoredWindows) if field.name not in NAMES)
"""Fields of names, and those with one entry a window."""


def score_windows(
    scorer: Scorer,
    table: WindowTable,
    period_days: FloatArray,
    index: IntArray,
    progress: Progress = lambda _: None,
) -> ScoredWindows:
    """Score windows of a table in blocks, telling how far it is."""
    scores: list[Score] = []
    for start in range(0, len(index), _BLOCK):
        block = index[start : start + _BLOCK]
        scores += scorer.score(
            [
                ScoringWindow(
                    table.time_mjd[i],
                    table.mag[i],
                    table.magerr[i],
                    float(period_days[i]),
                    {name: float(column[i]) for name, column in table.external.items()},
                )
                for i in block
            ]
        )
        progress(f"scored {len(scores)}/{len(index)}")
    _, star, chunks = np.unique(table.star_id, return_inverse=True, return_counts=True)
    reference = table.columns_period_days.get("period", np.full(len(table), np.nan))
    phase = np.array([score.phase for score in scores])

    def column(name: str) -> FloatArray:
        return np.array([getattr(score, name) for score in scores], dtype=np.float64)

    return ScoredWindows(
        classes=scorer.bundle.manifest.classes,
        star_id=table.star_id[index],
        group=table.group[index],
        label=table.label[index],
        chunk=table.chunk[index],
        n_epochs=(chunks[star] * table.mag.shape[1])[index].astype(np.int64),
        probabilities=np.array([score.probabilities for score in scores]),
        energy=column("energy"),
        p_value=np.array([np.nan if score.p_value is None else score.p_value for score in scores]),
        euclidean=column("euclidean"),
        cosine=column("cosine"),
        mean_mag=column("mean_mag"),
        std_mag=column("std_mag"),
        period_days=period_days[index],
        reference_days=reference[index],
        signal_to_noise=signal_to_noise(table.mag[index].astype(np.float64), phase),
        z=np.array([score.z for score in scores]),
        feature_names=tuple(scores[0].features) if scores else (),
        features=np.array([list(score.features.values()) for score in scores], dtype=np.float64),
    )


def signal_to_noise(mag: FloatArray, phase: FloatArray) -> FloatArray:
    """Return the scatter of windows over their noise, shape (n,) from (n, L).

    The noise is that of neighbours in phase, 1.4826 times the median of ``|m_(j+1) - m_j| / sqrt(2)``: quoted
    errors often belong to the frame and not to the star. A window folded with a wrong period has about 1.
    """
    folded = np.take_along_axis(mag, np.argsort(phase, axis=1, kind="stable"), axis=1)
    noise = 1.4826 * np.median(np.abs(np.diff(folded, axis=1)), axis=1) / np.sqrt(2)
    smallest = np.finfo(np.float32).eps * np.abs(mag).max(axis=1)
    return np.asarray(mag.std(axis=1) / np.maximum(noise, smallest))
