"""Train, calibrate, validate: split by group of stars, stratified by class, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from training.windows import NOVEL_LABEL, WindowTable

_FOLDS = 20
_VALIDATE_FOLDS = 4  # 20 %, as the paper
_CALIBRATE_FOLDS = 3  # 15 %: enough windows that a p-value of 0.01 rests on a score of them


@dataclass(frozen=True, slots=True)
class Split:
    """Indices into a table of windows.

    Attributes
    ----------
    train, calibrate, validate : ndarray of int
        Windows of known classes; no group of stars is in two of them.
    novel : ndarray of int
        All windows of other kinds, used to evaluate only.
    """

    train: npt.NDArray[np.int64]
    calibrate: npt.NDArray[np.int64]
    validate: npt.NDArray[np.int64]
    novel: npt.NDArray[np.int64]


def split_by_star(table: WindowTable, seed: int) -> Split:
    """Split 65 / 15 / 20 % of the windows of known classes by group."""
    known = np.flatnonzero(table.label != NOVEL_LABEL)
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    fold_of = np.empty(len(known), dtype=np.int64)
    for fold, (_, members) in enumerate(folds.split(known, table.label[known], table.group[known])):
        fold_of[members] = fold
    held_out = _VALIDATE_FOLDS + _CALIBRATE_FOLDS
    return Split(
        train=known[fold_of >= held_out],
        calibrate=known[(fold_of >= _VALIDATE_FOLDS) & (fold_of < held_out)],
        validate=known[fold_of < _VALIDATE_FOLDS],
        novel=np.flatnonzero(table.label == NOVEL_LABEL),
    )
