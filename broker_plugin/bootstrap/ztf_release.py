"""Light curves of ZTF's data releases, as IRSA gives them.

By the light curve service, a row an epoch:
https://irsa.ipac.caltech.edu/docs/program_interface/ztf_lightcurve_api.html. By the bulk download, a row a
light curve, with arrays. Magnitudes are of the science image: apparent already. The service's ``mjd`` is
the start of the exposure in UTC, as an alert's ``jd`` is; ``hjd`` and ``hmjd`` are the same referred to the
Sun, and are used where there is no ``mjd``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from broker_plugin.bootstrap.grouping import by_object, mean_or_nan
from broker_plugin.bootstrap.layout import Layout, Rows
from broker_plugin.bootstrap.pieces import Apparent, Chunk, Piece
from broker_plugin.bootstrap.tables import iter_rows
from broker_plugin.decode.columns import BAND_NAMES
from broker_plugin.photometry.archive_times import TimeScale
from broker_plugin.photometry.epochs import IntArray
from broker_plugin.photometry.times import ZTF_EXPOSURE_SECONDS
from broker_plugin.records.epoch import FloatArray

UNUSABLE = 0x8000
"""Bit of ``catflags``: IRSA's BAD_CATFLAGS_MASK, an epoch that is not to be used."""

_SERVICE = Layout(
    "ztf-dr",
    required=(("oid",), ("mag",), ("magerr",), ("filtercode",), ("catflags",), ("mjd", "hjd")),
    optional=(("hjd",), ("ra",), ("dec",)),
    ignored=(
        *(
            "expid",
            "mjd",
            "chi",
            "sharp",
            "filefracday",
            "field",
            "ccdid",
            "qid",
            "limitmag",
            "magzp",
            "magzprms",
        ),
        *("clrcoeff", "clrcounc", "exptime", "airmass", "programid"),
    ),
)
_BULK = Layout(
    "ztf-dr",
    required=(
        ("objectid",),
        ("filterid",),
        ("objra",),
        ("objdec",),
        ("hmjd",),
        ("mag",),
        ("magerr",),
        ("catflags",),
    ),
    ignored=("fieldid", "rcid", "nepochs", "clrcoeff"),
)
_FILTERS = {f"z{band}": float(BAND_NAMES.index(band)) for band in "gri"}
_BAND_OF_FID = {fid: BAND_NAMES.index(band) for fid, band in ((1, "g"), (2, "r"), (3, "i"))}


def release(path: Path, start_row: int, *, ignore_unknown: bool) -> Iterator[Chunk]:
    """Read light curves of either kind."""
    for layout, rows in iter_rows(path, [_SERVICE, _BULK], start_row, ignore_unknown=ignore_unknown):
        pieces = _pieces_of_epochs(rows) if layout is _SERVICE else _pieces_of_curves(rows)
        start_row += rows.n
        yield Chunk(start_row, rows.n, tuple(pieces), tuple(rows.bad.values()))


def _pieces_of_epochs(rows: Rows) -> list[Piece]:
    heliocentric = rows.numbers("hjd")
    time = rows.numbers("mjd")  # by its first name: the column hjd where there is no mjd
    scale = TimeScale.MJD_UTC
    if np.array_equal(time, heliocentric, equal_nan=True):
        scale = TimeScale.HJD_UTC
    band = rows.coded("filtercode", _FILTERS)
    mag, magerr, flags = rows.numbers("mag"), rows.numbers("magerr"), rows.numbers("catflags", "an integer")
    ra, dec = rows.numbers("ra", "degrees"), rows.numbers("dec", "degrees")
    for index in np.flatnonzero(np.isnan(band)).tolist():
        rows.note(index, "filtercode", "", f"one of {', '.join(_FILTERS)}")
    return [
        Piece(
            "ztf",
            name,
            mean_or_nan(ra[some]),
            mean_or_nan(dec[some]),
            _apparent(
                time[some],
                scale,
                band=band[some].astype(np.int64),
                mag=mag[some],
                magerr=magerr[some],
                flags=flags[some],
            ),
        )
        for name, some in by_object(rows.texts("oid"), rows.good)
    ]


def _pieces_of_curves(rows: Rows) -> list[Piece]:
    ra, dec, fid = (rows.numbers(name) for name in ("objra", "objdec", "filterid"))
    arrays = {name: rows.objects(name) for name in ("hmjd", "mag", "magerr", "catflags")}
    pieces = []
    for index, name in enumerate(rows.texts("objectid")):
        parts = [np.asarray(arrays[column][index], dtype=np.float64) for column in arrays]
        if len({part.shape for part in parts}) != 1 or parts[0].ndim != 1:
            rows.note(index, "hmjd", f"{parts[0].size} values", "as many as mag, magerr and catflags have")
            continue
        if fid[index] not in _BAND_OF_FID:
            rows.note(index, "filterid", fid[index], "1, 2 or 3")
            continue
        time, mag, magerr, flags = parts
        band = np.full(len(time), _BAND_OF_FID[int(fid[index])], dtype=np.int64)
        content = _apparent(time, TimeScale.HMJD_UTC, band=band, mag=mag, magerr=magerr, flags=flags)
        pieces.append(Piece("ztf", name, float(ra[index]), float(dec[index]), content))
    return pieces


def _apparent(
    time: FloatArray,
    scale: TimeScale,
    *,
    band: IntArray,
    mag: FloatArray,
    magerr: FloatArray,
    flags: FloatArray,
) -> Apparent:
    unusable = (np.nan_to_num(flags, nan=0.0).astype(np.int64) & UNUSABLE) != 0
    return Apparent(time, scale, ZTF_EXPOSURE_SECONDS, band, mag, magerr, {"catflags": unusable})
