"""What other brokers export of ZTF's objects: the alerts' own numbers, under their names.

Field names: ALeRCE's light curve service, https://alerce.readthedocs.io (magpsf, sigmapsf, magpsf_corr, ...
in its first interface, mag, e_mag, mag_corr, ... in its second), Lasair's object service,
https://lasair.readthedocs.io (candidates, forcedphot), Fink's, https://doc.ztf.fink-broker.org (an alert's
candidate with the prefix ``i:``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.bootstrap.alerce_errors import corrected_error
from broker_plugin.bootstrap.convert import stacked
from broker_plugin.bootstrap.grouping import by_object, mean_or_nan
from broker_plugin.bootstrap.layout import Layout, Rows
from broker_plugin.bootstrap.pieces import Apparent, BadRow, Chunk, Differences, Piece
from broker_plugin.bootstrap.tables import iter_rows, read_json
from broker_plugin.decode.alert import Table
from broker_plugin.decode.columns import BAND_NAMES, Columns, code_of
from broker_plugin.decode.ztf import FORCED_COLUMNS, SOURCE_COLUMNS
from broker_plugin.errors import InputError
from broker_plugin.photometry.archive_times import TimeScale
from broker_plugin.photometry.epochs import IntArray
from broker_plugin.photometry.times import MJD_ZERO_JD, ZTF_EXPOSURE_SECONDS
from broker_plugin.records.epoch import FloatArray, Origin

_FIDS = {"1": 1.0, "2": 2.0, "3": 3.0, "g": 1.0, "r": 2.0, "i": 3.0}
_SIGNS = {
    "t": 1.0,
    "f": -1.0,
    "1": 1.0,
    "0": -1.0,
    "-1": -1.0,
    "true": 1.0,
    "false": -1.0,
    "True": 1.0,
    "False": -1.0,
}
_BAND_OF_FID = np.array([-1, *(BAND_NAMES.index(band) for band in "gri")])
_OBJECT = re.compile(r"ZTF\d{2}[a-z]{7}")
_SENTINEL = 99.0  # ALeRCE writes 100 where it has no error

_DIFFERENCE = Layout(
    "lasair",
    required=(
        ("jd", "mjd"),
        ("fid",),
        ("magpsf",),
        ("sigmapsf",),
        ("isdiffpos",),
        ("magnr",),
        ("sigmagnr",),
        ("distnr",),
    ),
    optional=tuple((name,) for name in ("mjd", "candid", "ra", "dec", "rb", "drb", "nbad", "programid")),
    open=True,
)
_FINK = Layout(
    "fink",
    required=(("i:objectId",), *((f"i:{names[0]}",) for names in _DIFFERENCE.required)),
    optional=tuple((f"i:{names[0]}",) for names in _DIFFERENCE.optional if names[0] != "mjd"),
    open=True,
)
_ALERCE = Layout(
    "alerce",
    required=(("mjd",), ("fid",), ("magpsf", "mag"), ("sigmapsf", "e_mag"), ("isdiffpos",), ("corrected",)),
    optional=(
        ("magpsf_corr", "mag_corr"),
        ("sigmapsf_corr", "e_mag_corr"),
        ("sigmapsf_corr_ext", "e_mag_corr_ext"),
        *((name,) for name in ("oid", "candid", "ra", "dec", "rb", "drb", "nbad", "programid", "procstatus")),
        *((name,) for name in ("magnr", "sigmagnr", "distnr")),
    ),
    open=True,
)
_LASAIR_FORCED = Layout(
    "lasair",
    required=(
        ("jd", "mjd"),
        *((name,) for name in ("fid", "forcediffimflux", "forcediffimfluxunc", "magzpsci")),
        *((name,) for name in ("magnr", "sigmagnr", "distnr")),
    ),
    optional=(("mjd",), ("procstatus",), ("programid",)),
    open=True,
)


def fink(path: Path, start_row: int, *, object_id: str | None) -> Iterator[Chunk]:
    """Read a list of alerts with Fink's columns; upper limits (``d:tag``) have no magnitude, so no epoch."""
    for _, rows in iter_rows(path, [_FINK], start_row):
        plain = rows.renamed("i:")
        ids = [name or object_id or "" for name in plain.texts("objectId")]
        table = _sources(plain, plain.numbers("jd"))
        start_row += rows.n
        pieces = [_piece(plain, name, some, table) for name, some in _named(plain, ids)]
        yield Chunk(start_row, rows.n, tuple(pieces), tuple(plain.bad.values()))


def lasair(path: Path, start_row: int, *, object_id: str | None) -> Iterator[Chunk]:
    """Read an object, or a list of them, with ``candidates`` (and ``forcedphot``); a row is an object."""
    for end, found in _objects(path, start_row, "candidates"):
        name = str(found.get("objectId") or object_id or _name_of(path))
        rows = _records(path, found["candidates"], _DIFFERENCE)
        # Without a candid it is no detection: only the limit is known.
        jd = rows.numbers("jd")
        jd = np.where(jd < MJD_ZERO_JD, jd + MJD_ZERO_JD, jd)  # the column may be mjd
        table = _sources(rows, jd)
        pieces = [_piece(rows, name, np.flatnonzero(rows.good), table)] if rows.n else []
        bad = list(rows.bad.values())
        if found.get("forcedphot"):
            forced = _records(path, found["forcedphot"], _LASAIR_FORCED)
            pieces.append(_forced_piece(forced, name, pieces))
            bad += forced.bad.values()
        yield Chunk(end, 1, tuple(pieces), tuple(bad))


def alerce(path: Path, start_row: int, *, object_id: str | None) -> Iterator[Chunk]:
    """Read a light curve, or a list of them, with ``detections`` (and ``forced_photometry``); a row is one.

    Where the reference star's own numbers are given (``magnr``, in ``extra_fields``), the apparent
    magnitude and its error are made as for an alert; else ALeRCE's magnitude is taken, with the error of
    :func:`corrected_error`.
    """
    for end, found in _objects(path, start_row, "detections"):
        pieces: list[Piece] = []
        bad: list[BadRow] = []
        for part, origin in (("detections", Origin.PREVIOUS), ("forced_photometry", Origin.FORCED)):
            entries = [entry | (entry.get("extra_fields") or {}) for entry in found.get(part) or ()]
            rows = _records(path, entries, _ALERCE)
            names = [text or str(found.get("oid") or object_id or "") for text in rows.texts("oid")]
            names = [text or _name_of(path) for text in names]
            for name, some in _named(rows, names):
                pieces += _alerce_pieces(rows, name, some, origin)
            bad += rows.bad.values()
        yield Chunk(end, 1, tuple(pieces), tuple(bad))


def _alerce_pieces(rows: Rows, name: str, some: IntArray, origin: Origin) -> Iterator[Piece]:
    own = np.isfinite(rows.numbers("magnr")) & np.isfinite(rows.numbers("sigmagnr"))
    with_reference, others = some[own[some]], some[~own[some]]
    if len(with_reference):
        piece = _piece(rows, name, with_reference, _sources(rows, rows.numbers("mjd") + MJD_ZERO_JD), origin)
        assert isinstance(piece.content, Differences)
        yield replace(piece, content=replace(piece.content, source_status=_status(rows)[with_reference]))
    if len(others):
        yield _corrected_piece(rows, name, others, origin)


def _status(rows: Rows) -> FloatArray:
    return np.array([code_of(text or None) for text in rows.texts("procstatus")])


def _corrected_piece(rows: Rows, name: str, some: IntArray, origin: Origin) -> Piece:
    columns = ("magpsf_corr", "sigmapsf_corr", "sigmapsf_corr_ext")
    mag, error, extended = (
        np.where(column < _SENTINEL, column, np.nan)
        for column in (rows.numbers(each)[some] for each in columns)
    )
    fid = rows.coded("fid", _FIDS)[some]
    band = _BAND_OF_FID[np.nan_to_num(fid, nan=0.0).astype(np.int64)]
    uncorrected = rows.numbers("corrected", "true or false")[some] != 1.0
    content = Apparent(
        rows.numbers("mjd")[some],
        TimeScale.MJD_UTC,
        ZTF_EXPOSURE_SECONDS,
        band,
        mag,
        corrected_error(error, extended),
        not_used={"unknown_band": band < 0, "no_reference_star": uncorrected},
        quality={
            "rb": rows.numbers("rb")[some],
            "drb": rows.numbers("drb")[some],
            "procstatus": _status(rows)[some],
        },
        origin=origin,
    )
    ra, dec = rows.numbers("ra"), rows.numbers("dec")
    return Piece(
        "ztf", name, mean_or_nan(ra[some]), mean_or_nan(dec[some]), content, _newest(rows, some, "mjd")
    )


def _sources(rows: Rows, jd: FloatArray) -> Table:
    """Return rows in the columns of an alert's candidates."""
    names = ("magpsf", "sigmapsf", "distnr", "magnr", "sigmagnr", "rb", "drb", "nbad", "programid")
    values = {name: rows.numbers(name) for name in names}
    values |= {"jd": jd, "fid": rows.coded("fid", _FIDS), "isdiffpos": rows.coded("isdiffpos", _SIGNS)}
    return _cleaned(SOURCE_COLUMNS, values, rows.n)


def _cleaned(columns: Columns, values: dict[str, FloatArray], n: int) -> Table:
    return columns.clean(stacked(list(columns.index), values, n))


def _piece(rows: Rows, name: str, some: IntArray, table: Table, origin: Origin = Origin.PREVIOUS) -> Piece:
    ra, dec = rows.numbers("ra", "degrees"), rows.numbers("dec", "degrees")
    content = Differences(table[some], np.empty((0, len(FORCED_COLUMNS))), origin)
    alert_id = _newest(rows, some, "jd" if "jd" in rows else "mjd")
    return Piece("ztf", name, mean_or_nan(ra[some]), mean_or_nan(dec[some]), content, alert_id)


def _forced_piece(rows: Rows, name: str, others: Sequence[Piece]) -> Piece:
    jd = rows.numbers("jd")
    names = ("forcediffimflux", "forcediffimfluxunc", "magzpsci", "distnr", "magnr", "sigmagnr", "programid")
    values = {each: rows.numbers(each) for each in names}
    values |= {
        "jd": np.where(jd < MJD_ZERO_JD, jd + MJD_ZERO_JD, jd),
        "fid": rows.coded("fid", _FIDS),
        "procstatus": _status(rows),
    }
    table = _cleaned(FORCED_COLUMNS, values, rows.n)[rows.good]
    ra, dec = (others[0].ra, others[0].dec) if others else (np.nan, np.nan)
    return Piece("ztf", name, ra, dec, Differences(np.empty((0, len(SOURCE_COLUMNS))), table, Origin.FORCED))


def _newest(rows: Rows, some: IntArray, time: str) -> str:
    """Return the id of the newest alert among the rows, ``"0"`` if none has one."""
    ids = rows.texts("candid")
    times = np.nan_to_num(rows.numbers(time)[some])
    known = [i for i in some[np.argsort(times)].tolist() if ids[i].isdigit()]
    return ids[known[-1]] if known else "0"


def _named(rows: Rows, names: Sequence[str]) -> Iterator[tuple[str, IntArray]]:
    for index, name in enumerate(names):
        if not name or "/" in name:
            rows.note(index, "the object's id", name, "a name such as ZTF18abcdefg")
    return by_object(names, rows.good)


def _objects(path: Path, start_row: int, part: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    content = read_json(path)
    objects = content if isinstance(content, list) else [content]
    for index, found in enumerate(objects[start_row:], start=start_row):
        if not isinstance(found, dict) or not isinstance(found.get(part), list):
            keys = ", ".join(found) if isinstance(found, dict) else type(found).__name__
            msg = f"{path}, object {index + 1}: no list {part!r}; found {keys}"
            raise InputError(msg)
        yield index + 1, found


def _records(path: Path, entries: Sequence[Mapping[str, Any]], layout: Layout) -> Rows:
    if not entries:
        return Rows(path, 0, {})
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    chosen = layout.choose(path, names)
    return Rows(path, 0, {ours: [entry.get(theirs) for entry in entries] for ours, theirs in chosen.items()})


def _name_of(path: Path) -> str:
    found = _OBJECT.search(path.name)
    if found is None:
        msg = (
            f"{path} does not say which object it is of; name the file ZTF18abcdefg.json, or give --object-id"
        )
        raise InputError(msg)
    return found[0]
