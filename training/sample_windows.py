"""A survey's own sample of windows: light curves in parquet, or the stream's windows in Avro or JSON.

Labels are optional here. Where there are any, stars of other kinds are known to be no ordinary ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from broker_plugin.errors import InputError
from broker_plugin.features import screen
from broker_plugin.model.conventions import CLASSES
from broker_plugin.records.window import WINDOW_EPOCHS
from training.windows import NOVEL_LABEL, WindowTable, file_digest

_JD_TO_MJD = 2_400_000.5
_PARQUET, _AVRO, _JSON = ".parquet", ".avro", ".jsonl"
_EXPECTED = (
    "a parquet of light curves (lists hjd or time_mjd, mag, magerr; one row a star), "
    "or records of the topic lightcurves as .avro or .jsonl, or a folder of such files"
)


@dataclass(frozen=True, slots=True)
class SampleWindows:
    """Windows of one survey.

    Attributes
    ----------
    table : WindowTable
        Its ``label`` is 0 for windows without one.
    ordinary : ndarray, shape (n,), bool
        False for windows that are labelled NOVEL.
    labelled : bool
        Whether the file says what its stars are.
    n_left_out : int
        Windows that cannot be scored, or epochs that fill none.
    """

    table: WindowTable
    ordinary: npt.NDArray[np.bool_]
    labelled: bool
    n_left_out: int


@dataclass(frozen=True, slots=True)
class _Curve:
    star_id: str
    superclass: str | None
    time_mjd: npt.NDArray[np.float64]
    mag: npt.NDArray[np.float64]
    magerr: npt.NDArray[np.float64]


def read_sample(path: Path) -> SampleWindows:
    """Read windows, or light curves that are cut into disjoint windows in time order.

    Raises
    ------
    InputError
        If nothing there can be read, or a record is not what it should be.
    """
    files = sorted(path.glob("*")) if path.is_dir() else [path]
    files = [file for file in files if file.suffix in {_PARQUET, _AVRO, _JSON}] if path.is_dir() else files
    if not files or not path.exists():
        msg = f"{path}: nothing to read; expected {_EXPECTED}"
        raise InputError(msg)
    return _table(path, _curves(files), _digest(files))


def _curves(files: Iterable[Path]) -> Iterator[_Curve]:
    for file in files:
        if file.suffix == _PARQUET:
            yield from _of_parquet(file)
        elif file.suffix in {_AVRO, _JSON}:
            for number, record in enumerate(_records(file), start=1):
                yield _of_record(file, number, record)
        else:
            msg = f"{file}: cannot tell its format by the name; expected {_EXPECTED}"
            raise InputError(msg)


def _records(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if file.suffix == _JSON:
            with file.open(encoding="utf-8") as lines:
                yield from (json.loads(line) for line in lines if line.strip())
        else:
            with file.open("rb") as stream:
                for record in fastavro.reader(stream):
                    assert isinstance(record, dict)
                    yield record
    except (OSError, ValueError, EOFError) as error:
        msg = f"{file}: cannot be read ({error}); expected {_EXPECTED}"
        raise InputError(msg) from error


def _of_record(file: Path, number: int, record: Mapping[str, Any]) -> _Curve:
    missing = [name for name in ("object_id", "time_mjd", "mag", "magerr") if name not in record]
    if missing:
        msg = f"{file}: record {number} lacks {missing[0]!r}; expected records of the topic lightcurves"
        raise InputError(msg)
    star = f"{record.get('survey', '')}/{record['object_id']}/{record.get('band', '')}"
    columns = [np.asarray(record[name], dtype=np.float64) for name in ("time_mjd", "mag", "magerr")]
    return _checked(file, f"record {number}", _Curve(star, None, *columns))


def _of_parquet(file: Path) -> Iterator[_Curve]:
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"{file}: cannot be read as parquet ({error}); expected {_EXPECTED}"
        raise InputError(msg) from error
    names = table.column_names
    time = next((name for name in ("time_mjd", "hjd") if name in names), None)
    star = next((name for name in ("star_id", "object_id") if name in names), None)
    missing = [name for name in ("mag", "magerr") if name not in names]
    if time is None or star is None or missing:
        lacking = (
            "hjd or time_mjd" if time is None else "star_id or object_id" if star is None else missing[0]
        )
        msg = f"{file}: column {lacking} is missing; found {', '.join(names[:20])}"
        raise InputError(msg)
    offset = 0.0 if time == "time_mjd" else _JD_TO_MJD
    classes = "superclass" if "superclass" in names else None
    for batch in table.select([star, time, "mag", "magerr", *([classes] if classes else [])]).to_batches(512):
        columns = batch.to_pydict()
        for row in range(batch.num_rows):
            times, mag, magerr = (
                np.asarray(columns[name][row], dtype=np.float64) for name in (time, "mag", "magerr")
            )
            label = None if classes is None else columns[classes][row]
            name = str(columns[star][row])
            yield _checked(file, f"row of {name}", _Curve(name, label, times - offset, mag, magerr))


def _checked(file: Path, where: str, curve: _Curve) -> _Curve:
    lengths = {len(curve.time_mjd), len(curve.mag), len(curve.magerr)}
    if len(lengths) != 1:
        msg = f"{file}: {where} ({curve.star_id}): times, magnitudes and errors differ in length {lengths}"
        raise InputError(msg)
    if curve.superclass not in {None, "NOVEL", *CLASSES}:
        msg = f"{file}: {where}: superclass {curve.superclass!r}; expected one of {', '.join(CLASSES)}, NOVEL"
        raise InputError(msg)
    return curve


def _table(path: Path, curves: Iterable[_Curve], digest: str) -> SampleWindows:
    times: list[npt.NDArray[np.float64]] = []
    mags: list[npt.NDArray[np.float64]] = []
    errors: list[npt.NDArray[np.float64]] = []
    ids: list[str] = []
    labels: list[int] = []
    chunks: list[int] = []
    left_out, labelled = 0, True
    for curve in curves:
        order = np.argsort(curve.time_mjd, kind="stable")
        labelled = labelled and curve.superclass is not None
        label = NOVEL_LABEL if curve.superclass == "NOVEL" else CLASSES.index(curve.superclass or CLASSES[0])
        whole = len(order) // WINDOW_EPOCHS
        left_out += whole == 0
        for chunk in range(whole):
            take = order[chunk * WINDOW_EPOCHS : (chunk + 1) * WINDOW_EPOCHS]
            window = (curve.time_mjd[take], curve.mag[take], curve.magerr[take])
            if screen(*window) is not None:
                left_out += 1
                continue
            for column, values in zip((times, mags, errors), window, strict=True):
                column.append(values)
            ids.append(curve.star_id)
            labels.append(label)
            chunks.append(chunk)
    if not ids:
        msg = f"{path}: no window of {WINDOW_EPOCHS} epochs that can be scored; expected {_EXPECTED}"
        raise InputError(msg)
    label_array = np.array(labels, dtype=np.int64)
    star_id = np.array(ids)
    table = WindowTable(
        time_mjd=np.array(times),
        mag=np.array(mags, dtype=np.float32),
        magerr=np.array(errors, dtype=np.float32),
        label=label_array,
        group=np.unique(star_id, return_inverse=True)[1].astype(np.int64),
        star_id=star_id,
        original_class=np.array([""] * len(ids)),
        chunk=np.array(chunks, dtype=np.int64),
        columns_period_days={},
        data_digest=digest,
    )
    return SampleWindows(table, label_array != NOVEL_LABEL, labelled, left_out)


def _digest(files: list[Path]) -> str:
    """Return the sha256 of one file, or of the digests of several."""
    digests = [file_digest(file) for file in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
