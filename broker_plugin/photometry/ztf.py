"""ZTF's measurements -> apparent magnitudes and the cuts that ZTF's columns allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from broker_plugin.decode.alert import Alert, Table
from broker_plugin.decode.columns import BAND_NAMES, Columns
from broker_plugin.decode.ztf import FORCED_COLUMNS, SOURCE_COLUMNS
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.photometry.epochs import BoolArray, Epochs, IntArray, ReasonBook, in_time_range
from broker_plugin.photometry.magnitudes import difference_to_apparent, forced_to_apparent
from broker_plugin.photometry.times import MJD_ZERO_JD, bmjd_tdb_from_utc_jd_start
from broker_plugin.records.epoch import FloatArray, Origin

_BAND_OF_FID = np.array([-1, BAND_NAMES.index("g"), BAND_NAMES.index("r"), BAND_NAMES.index("i")])


def source_epochs(alerts: Sequence[Alert], numbers: Sequence[int], cuts: QualityCuts) -> Epochs:
    """Return the detections and previous detections of ZTF alerts.

    Parameters
    ----------
    alerts : sequence of Alert
        Of survey ``"ztf"``.
    numbers : sequence of int
        Their numbers in the batch.
    """
    rows = _Rows([alert.sources for alert in alerts], SOURCE_COLUMNS, alerts, numbers)
    origin = np.full(len(rows.table), int(Origin.PREVIOUS), dtype=np.int64)
    origin[rows.first] = int(Origin.DETECTION)
    magnr, sigmagnr = rows["magnr"], rows["sigmagnr"]
    book = rows.common_reasons(cuts)
    book.note("non_detection", np.isnan(rows["magpsf"]))
    book.note("low_rb", rows["rb"] < cuts.min_rb)
    book.note("low_drb", rows["drb"] < cuts.min_drb)
    book.note("bad_pixels", rows["nbad"] > cuts.max_bad_pixels)
    book.note("no_reference_star", rows.lack_reference(cuts))
    book.note("no_flux", np.isnan(rows["isdiffpos"]) | np.isnan(rows["sigmapsf"]))
    mag, magerr = difference_to_apparent(rows["isdiffpos"], rows["magpsf"], rows["sigmapsf"], magnr, sigmagnr)
    return rows.epochs(book, mag, magerr, origin)


def forced_epochs(alerts: Sequence[Alert], numbers: Sequence[int], cuts: QualityCuts) -> Epochs:
    """Return the forced photometry of ZTF alerts; parameters as for :func:`source_epochs`."""
    rows = _Rows([alert.forced for alert in alerts], FORCED_COLUMNS, alerts, numbers)
    flux, flux_error, zero_point = rows["forcediffimflux"], rows["forcediffimfluxunc"], rows["magzpsci"]
    book = rows.common_reasons(cuts)
    status = rows["procstatus"]
    book.note("procstatus", ~(np.isnan(status) | np.isin(status, list(cuts.procstatus))))
    book.note("no_flux", np.isnan(flux) | np.isnan(flux_error) | np.isnan(zero_point))
    book.note("no_reference_star", rows.lack_reference(cuts))
    mag, magerr = forced_to_apparent(flux, flux_error, zero_point, rows["magnr"], rows["sigmagnr"])
    return rows.epochs(book, mag, magerr, np.full(len(flux), int(Origin.FORCED), dtype=np.int64))


class _Rows:
    """The tables of many alerts, one under the other."""

    def __init__(
        self, tables: list[Table], columns: Columns, alerts: Sequence[Alert], numbers: Sequence[int]
    ) -> None:
        self.table = np.concatenate(tables)
        self._columns = columns
        lengths = np.array([len(table) for table in tables], dtype=np.int64)
        self.first: IntArray = np.cumsum(lengths) - lengths
        self.alert: IntArray = np.repeat(np.asarray(numbers, dtype=np.int64), lengths)
        self._ra = np.repeat([alert.ra for alert in alerts], lengths)
        self._dec = np.repeat([alert.dec for alert in alerts], lengths)

    def __getitem__(self, name: str) -> FloatArray:
        column: FloatArray = self.table[:, self._columns.index[name]]
        return column

    def common_reasons(self, cuts: QualityCuts) -> ReasonBook:
        book = ReasonBook(len(self.table))
        book.note("time_out_of_range", ~in_time_range(self["jd"] - MJD_ZERO_JD))
        if cuts.programs is not None:
            book.note("program", ~np.isin(self["programid"], list(cuts.programs)))
        book.note("unknown_band", np.isnan(self["fid"]))
        return book

    def lack_reference(self, cuts: QualityCuts) -> BoolArray:
        near = self["distnr"] < cuts.max_reference_distance_arcsec  # False for NaN
        return ~near | np.isnan(self["magnr"]) | np.isnan(self["sigmagnr"])

    def epochs(self, book: ReasonBook, mag: FloatArray, magerr: FloatArray, origin: IntArray) -> Epochs:
        jd = self["jd"]
        timed = in_time_range(jd - MJD_ZERO_JD)
        time = np.full(len(jd), np.nan)
        time[timed] = bmjd_tdb_from_utc_jd_start(jd[timed], self._ra[timed], self._dec[timed])
        band = _BAND_OF_FID[np.nan_to_num(self["fid"], nan=0.0).astype(np.int64)]
        return Epochs(self.alert, time, band, mag, magerr, origin, book.codes)
