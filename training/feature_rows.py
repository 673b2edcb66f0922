"""A table of features that somebody computed, in numbers: read, checked and split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from broker_plugin.errors import InputError
from broker_plugin.records.epoch import FloatArray
from training.data.tables import numbers, read_columns, words
from training.metrics import IntArray
from training.table_settings import TableSettings

_FOLDS = 5  # one of them validates: 20 %, as the paper


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """A table in numbers.

    Attributes
    ----------
    names, classes : tuple of str
    values : ndarray, shape (n, f), float64
        NaN where missing.
    label : ndarray, shape (n,), int
        -1 for the novel class.
    group : ndarray, shape (n,), int
    """

    names: tuple[str, ...]
    classes: tuple[str, ...]
    values: FloatArray
    label: IntArray
    group: IntArray


def read_feature_rows(path: Path, settings: TableSettings) -> FeatureRows:
    """Read the columns that the settings name; CSV or parquet."""
    names = settings.features or _numeric_columns(path, settings)
    extra = [settings.group] if settings.group else []
    frame = read_columns(path, [settings.label, *extra, *names], ",", None)
    labels = words(frame[settings.label])
    if (empty := np.flatnonzero(labels == "")).size:
        msg = f"{path}: row {empty[0] + 1}, column {settings.label!r}: empty; expected a class"
        raise InputError(msg)
    classes = tuple(sorted(set(labels.tolist()) - {settings.novel}))
    position = {name: k for k, name in enumerate(classes)}
    values = np.stack([numbers(path, frame[name], name) for name in names], axis=1)
    values[~np.isfinite(values)] = np.nan
    groups = words(frame[settings.group]) if settings.group else np.arange(len(frame)).astype(str)
    return FeatureRows(
        names=tuple(names),
        classes=classes,
        values=values,
        label=np.array([position.get(name, -1) for name in labels], dtype=np.int64),
        group=np.unique(groups.astype(str), return_inverse=True)[1].astype(np.int64),
    )


def _numeric_columns(path: Path, settings: TableSettings) -> tuple[str, ...]:
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    taken = {settings.label, settings.group}
    names = tuple(
        str(name)
        for name in frame.columns
        if name not in taken
        and pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    )
    if not names:
        msg = f"{path}: no column of numbers; found {', '.join(map(str, frame.columns[:20]))}"
        raise InputError(msg)
    return names


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, skipinitialspace=True)
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as CSV ({error}); expected a header and one row a source"
        raise InputError(msg) from error


def split_rows(path: Path, rows: FeatureRows, seed: int) -> tuple[IntArray, IntArray]:
    """Return the known rows to train on and a fifth to validate on, whole groups each.

    Raises
    ------
    InputError
        If there are too few classes, or a class has too few groups to be split.
    """
    known = np.flatnonzero(rows.label >= 0)
    sizes = {name: len(set(rows.group[rows.label == k])) for k, name in enumerate(rows.classes)}
    few = [f"{name} ({count})" for name, count in sizes.items() if count < _FOLDS]
    if len(rows.classes) < 2 or few:
        found = ", ".join(few) or ", ".join(rows.classes)
        msg = f"{path}: found {found}; expected at least two classes with {_FOLDS} sources each"
        raise InputError(msg)
    folds = StratifiedGroupKFold(n_splits=_FOLDS, shuffle=True, random_state=seed)
    train, validate = next(iter(folds.split(known, rows.label[known], rows.group[known])))
    return known[train], known[validate]


def missing_shares(rows: FeatureRows) -> dict[str, float]:
    """Return the fraction of rows without a value, of the features that have such."""
    share = np.isnan(rows.values).mean(axis=0)
    return {name: float(value) for name, value in zip(rows.names, share, strict=True) if value > 0}
