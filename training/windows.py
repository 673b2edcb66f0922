"""Read labelled light curves and cut them into windows: disjoint chunks of 200 epochs in time order.

The layout: one row a star with ``star_id``, ``superclass``, the lists ``hjd`` (days), ``mag`` and ``magerr``,
and any number of period columns; ``group`` ties stars together that a split must not part.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from broker_plugin.errors import InputError
from broker_plugin.features import screen
from broker_plugin.features.external import EXTERNAL
from broker_plugin.model.conventions import CLASSES
from broker_plugin.records.epoch import Float32Array, FloatArray
from broker_plugin.records.window import WINDOW_EPOCHS

NOVEL_LABEL = -1
"""Label index of a star whose class is none of the eight; never trained on."""

_JD_TO_MJD = 2_400_000.5
_REQUIRED_COLUMNS = ("star_id", "superclass", "hjd", "mag", "magerr")


@dataclass(frozen=True, slots=True)
class WindowTable:
    """Windows of labelled stars.

    Attributes
    ----------
    time_mjd : ndarray, shape (n, 200), float64
        Heliocentric MJD, days.
    mag, magerr : ndarray, shape (n, 200), float32
    label : ndarray, shape (n,), int64
        Index into the eight classes, or -1 for a star of another kind.
    group : ndarray, shape (n,), int64
        Windows of one group never lie on both sides of a split.
    star_id, original_class : ndarray, shape (n,), str
    chunk : ndarray, shape (n,), int64
        0 for the first 200 epochs of the star, and so on.
    columns_period_days : dict of str to ndarray, shape (n,)
        The star's period by each period column of the file, NaN where missing.
    data_digest : str
        sha256 of the file.
    external : mapping of str to ndarray, shape (n,)
        The star's value of each column named in :data:`broker_plugin.features.external.EXTERNAL`, NaN where
        it is not known.
    """

    time_mjd: FloatArray
    mag: Float32Array
    magerr: Float32Array
    label: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]
    star_id: npt.NDArray[np.str_]
    original_class: npt.NDArray[np.str_]
    chunk: npt.NDArray[np.int64]
    columns_period_days: dict[str, FloatArray]
    data_digest: str
    external: Mapping[str, FloatArray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.label)


def read_windows(path: Path) -> WindowTable:
    """Read a parquet file of stars and cut it into windows; windows that cannot be scored are left out.

    Raises
    ------
    InputError
        If the file is missing, is no parquet, lacks a column, or a row has lists of different lengths.
    """
    table = read_stars(path)
    period_names = [
        name for name in ("period", "period_blind", "period_catalog") if name in table.column_names
    ]
    external_names = [name for name in EXTERNAL if name in table.column_names]
    original = "orig_class" if "orig_class" in table.column_names else "superclass"
    names = [
        *_REQUIRED_COLUMNS,
        *(["group"] if "group" in table.column_names else []),
        original,
        *period_names,
        *external_names,
    ]
    columns = {name: table[name].to_pylist() for name in dict.fromkeys(names) if name not in _LISTS}
    lists = {name: _list_column(table, name) for name in _LISTS}

    rows: list[int] = []
    chunks: list[int] = []
    pieces: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in _LISTS}
    for row in range(table.num_rows):
        times, mags, errors = (lists[name][row] for name in _LISTS)
        if not len(times) == len(mags) == len(errors):
            msg = (
                f"{path}: row {row} (star_id {columns['star_id'][row]}) has {len(times)} hjd, "
                f"{len(mags)} mag, {len(errors)} magerr; expected three lists of one length"
            )
            raise InputError(msg)
        order = np.argsort(times, kind="stable")
        for chunk in range(len(times) // WINDOW_EPOCHS):
            take = order[chunk * WINDOW_EPOCHS : (chunk + 1) * WINDOW_EPOCHS]
            window = (times[take] - _JD_TO_MJD, mags[take], errors[take])
            if screen(*window) is not None:
                continue
            rows.append(row)
            chunks.append(chunk)
            for name, values in zip(_LISTS, window, strict=True):
                pieces[name].append(values)
    if not rows:
        msg = f"{path}: no star has {WINDOW_EPOCHS} usable epochs; nothing to train on or to evaluate"
        raise InputError(msg)
    return WindowTable(
        time_mjd=np.array(pieces["hjd"]),
        mag=np.array(pieces["mag"], dtype=np.float32),
        magerr=np.array(pieces["magerr"], dtype=np.float32),
        label=np.array([_label(path, row, columns["superclass"][row]) for row in rows], dtype=np.int64),
        group=_groups(columns["star_id"], columns.get("group"))[rows],
        star_id=np.array([str(columns["star_id"][row]) for row in rows]),
        original_class=np.array([str(columns[original][row]) for row in rows]),
        chunk=np.array(chunks, dtype=np.int64),
        columns_period_days={
            name: np.array([_period(columns[name][row]) for row in rows]) for name in period_names
        },
        data_digest=file_digest(path),
        external={
            name: np.array([_measured(path, row, name, columns[name][row]) for row in rows])
            for name in external_names
        },
    )


def file_digest(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_LISTS = ("hjd", "mag", "magerr")


def read_stars(path: Path, columns: Sequence[str] = _REQUIRED_COLUMNS) -> pa.Table:
    """Read a parquet file of one row a star.

    Raises
    ------
    InputError
        The file cannot be read, or lacks one of the columns.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"{path}: cannot be read as parquet ({error}); expected one row a star"
        raise InputError(msg) from error
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        msg = f"{path}: column {missing[0]!r} is missing; expected {', '.join(columns)}"
        raise InputError(msg)
    return table


def _list_column(table: pa.Table, name: str) -> list[npt.NDArray[np.float64]]:
    """Return one float64 array a row without going through Python floats."""
    column = table[name].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    bounds = np.concatenate([[0], np.cumsum(column.value_lengths().to_numpy(zero_copy_only=False))]).astype(
        int
    )
    return [flat[start:end] for start, end in itertools.pairwise(bounds)]


def _label(path: Path, row: int, superclass: str) -> int:
    if superclass == "NOVEL":
        return NOVEL_LABEL
    if superclass not in CLASSES:
        msg = f"{path}: row {row}: superclass {superclass!r}; expected one of {', '.join(CLASSES)} or NOVEL"
        raise InputError(msg)
    return CLASSES.index(superclass)


def _groups(star_ids: list[object], groups: list[int | None] | None) -> npt.NDArray[np.int64]:
    """Return the group of each row; rows of one star id without a group, or with a negative one, are one."""
    given = [-1 if group is None else int(group) for group in groups or [None] * len(star_ids)]
    first_free = max(given, default=-1) + 1
    number: dict[object, int] = {}
    for star_id, group in zip(star_ids, given, strict=True):
        if group < 0:
            number.setdefault(star_id, first_free + len(number))
    return np.array(
        [number[star_id] if group < 0 else group for star_id, group in zip(star_ids, given, strict=True)],
        dtype=np.int64,
    )


_LARGEST_MAGNITUDE = 50.0


def _measured(path: Path, row: int, name: str, value: object) -> float:
    """Return a magnitude or colour; NaN for none. A stand-in for "not known" is no magnitude."""
    number = float(value) if isinstance(value, int | float) else float("nan")
    if abs(number) > _LARGEST_MAGNITUDE:
        msg = f"{path}: row {row}, column {name}: {value!r} is no magnitude; leave empty what is not known"
        raise InputError(msg)
    return number


def _period(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else float("nan")
