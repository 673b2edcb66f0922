"""A plain table: survey, object_id, band, time, mag, magerr, and perhaps ra and dec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from broker_plugin.bootstrap.grouping import by_object, mean_or_nan
from broker_plugin.bootstrap.layout import Layout, Rows
from broker_plugin.bootstrap.pieces import Apparent, Chunk, Piece
from broker_plugin.bootstrap.tables import iter_rows
from broker_plugin.decode.columns import BAND_NAMES
from broker_plugin.errors import InputError
from broker_plugin.photometry.archive_times import TimeScale
from broker_plugin.records.epoch import Origin

_LAYOUT = Layout(
    "plain",
    required=(("object_id",), ("band",), ("time",), ("mag",), ("magerr",)),
    optional=(("survey",), ("ra",), ("dec",)),
)
_BANDS = {name: float(code) for code, name in enumerate(BAND_NAMES)}
_SURVEYS = {"ztf": 0.0, "lsst": 1.0}


def plain(
    path: Path,
    start_row: int,
    *,
    scale: TimeScale,
    start_of_seconds: float,
    survey: str | None,
    is_forced: bool,
    ignore_unknown: bool,
) -> Iterator[Chunk]:
    """Read a plain table."""
    form = _Form(scale, start_of_seconds, survey, Origin.FORCED if is_forced else Origin.PREVIOUS)
    for _, rows in iter_rows(path, [_LAYOUT], start_row, ignore_unknown=ignore_unknown):
        yield _chunk(path, start_row, rows, form)
        start_row += rows.n


@dataclass(frozen=True, slots=True)
class _Form:
    """What the table does not say itself."""

    scale: TimeScale
    start_of_seconds: float
    survey: str | None
    origin: Origin


def _chunk(path: Path, first: int, rows: Rows, form: _Form) -> Chunk:
    if "survey" not in rows and form.survey is None:
        msg = f"{path}: there is no column survey; say which with --survey, one of {', '.join(_SURVEYS)}"
        raise InputError(msg)
    surveys = (
        rows.coded("survey", _SURVEYS)
        if "survey" in rows
        else np.full(rows.n, _SURVEYS[form.survey or "ztf"])
    )
    band = rows.coded("band", _BANDS)
    ids = rows.texts("object_id")
    time, mag, magerr = (rows.numbers(name) for name in ("time", "mag", "magerr"))
    ra, dec = rows.numbers("ra", "degrees"), rows.numbers("dec", "degrees")
    for index in np.flatnonzero(np.isnan(band) | np.isnan(surveys)).tolist():
        column = "band" if np.isnan(band[index]) else "survey"
        rows.note(index, column, "", f"one of {', '.join(_BANDS if column == 'band' else _SURVEYS)}")
    for index, name in enumerate(ids):
        if not name or "/" in name:
            rows.note(index, "object_id", name, "a name without a slash")
    keys = [f"{'' if np.isnan(s) else int(s)}/{name}" for s, name in zip(surveys.tolist(), ids, strict=True)]
    pieces = [
        Piece(
            survey=list(_SURVEYS)[int(key[0])],
            source_id=key[2:],
            ra=mean_or_nan(ra[some]),
            dec=mean_or_nan(dec[some]),
            content=Apparent(
                time[some],
                form.scale,
                form.start_of_seconds,
                band[some].astype(np.int64),
                mag[some],
                magerr[some],
                origin=form.origin,
            ),
        )
        for key, some in by_object(keys, rows.good)
    ]
    return Chunk(first + rows.n, rows.n, tuple(pieces), tuple(rows.bad.values()))
