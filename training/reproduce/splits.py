"""The splits of the experiment: by star, its k folds, without one class, and the paper's by sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold, StratifiedShuffleSplit

from training.split import Split
from training.windows import NOVEL_LABEL, WindowTable

Rows = npt.NDArray[np.bool_]

_VALIDATE_SHARE = 0.2  # the paper's
_CALIBRATE_SHARE = 0.15


def choose_stars(table: WindowTable, per_class: int, seed: int) -> Rows:
    """Return which windows belong to at most ``per_class`` groups of each class; all for 0."""
    if per_class == 0:
        return np.ones(len(table), dtype=bool)
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(table), dtype=bool)
    for label in np.unique(table.label):
        groups = np.unique(table.group[table.label == label])
        drawn = rng.permutation(groups)[:per_class]
        chosen |= np.isin(table.group, drawn) & (table.label == label)
    return chosen


def restricted(split: Split, rows: Rows) -> Split:
    """Return the split with only the windows of ``rows``."""
    return Split(
        train=split.train[rows[split.train]],
        calibrate=split.calibrate[rows[split.calibrate]],
        validate=split.validate[rows[split.validate]],
        novel=split.novel[rows[split.novel]],
    )


def fold_splits(table: WindowTable, rows: Rows, folds: int, seed: int) -> list[Split]:
    """Return k splits by star whose validation parts together are all known windows of ``rows``."""
    known = np.flatnonzero((table.label != NOVEL_LABEL) & rows)
    novel = np.flatnonzero((table.label == NOVEL_LABEL) & rows)
    outer = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed)
    splits = []
    for rest, validate in outer.split(known, table.label[known], table.group[known]):
        others = known[rest]
        inner_folds = max(2, round((1 - 1 / folds) / _CALIBRATE_SHARE))
        inner = StratifiedGroupKFold(n_splits=inner_folds, shuffle=True, random_state=seed)
        train, calibrate = next(iter(inner.split(others, table.label[others], table.group[others])))
        splits.append(Split(others[train], others[calibrate], known[validate], novel))
    return splits


def without_class(table: WindowTable, split: Split, label: int) -> Split:
    """Return the split with one class taken out and *all* of its windows as the novel ones."""

    def others(index: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.asarray(index[table.label[index] != label])

    parts = np.concatenate([split.train, split.calibrate, split.validate])
    return replace(
        split,
        train=others(split.train),
        calibrate=others(split.calibrate),
        validate=others(split.validate),
        novel=np.sort(parts[table.label[parts] == label]),
    )


def leaky_split(table: WindowTable, rows: Rows, seed: int) -> Split:
    """Return the paper's split: 80/20 by sequence, so that windows of one star lie on both sides.

    Its scores are too good; it is there to be compared with the paper's, which were found so.
    """
    known = np.flatnonzero((table.label != NOVEL_LABEL) & rows)
    rest, validate = next(
        StratifiedShuffleSplit(1, test_size=_VALIDATE_SHARE, random_state=seed).split(
            known, table.label[known]
        )
    )
    share = _CALIBRATE_SHARE / (1 - _VALIDATE_SHARE)
    train, calibrate = next(
        StratifiedShuffleSplit(1, test_size=share, random_state=seed).split(
            known[rest], table.label[known[rest]]
        )
    )
    return Split(
        train=np.sort(known[rest][train]),
        calibrate=np.sort(known[rest][calibrate]),
        validate=np.sort(known[validate]),
        novel=np.flatnonzero((table.label == NOVEL_LABEL) & rows),
    )
