"""The measurements of many alerts, flat: one row each, with the reason why it is not used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import SAME_EXPOSURE_DAYS, FloatArray

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

REASONS = (
    "time_out_of_range",
    "program",
    "unknown_band",
    "withdrawn",
    "non_detection",
    "procstatus",
    "low_rb",
    "low_drb",
    "bad_pixels",
    "low_reliability",
    "dipole",
    "no_reference_star",
    "no_flux",
    "flux_not_positive",
    "magnitude_out_of_range",
    "magerr_out_of_range",
    "duplicate_exposure",
)
"""Why an epoch is not used; of several reasons the first that is found counts."""

USED = 0
"""Reason code of an epoch that is used; reason i of REASONS has the code i + 1."""

FIRST_MJD, LAST_MJD = 15_000.0, 110_000.0
"""Times outside (1899 to 2160) are no times: test packets hold seconds where days belong."""


@dataclass(frozen=True, slots=True)
class Epochs:
    """Rows of one kind out of many alerts.

    Attributes
    ----------
    alert : ndarray, shape (n,), int64
        Which alert of the batch.
    time_mjd : ndarray, shape (n,), float64
        Barycentric MJD (TDB); NaN where it is out of range.
    band : ndarray, shape (n,), int64
        Index in :data:`broker_plugin.decode.columns.BAND_NAMES`.
    mag, magerr : ndarray, shape (n,), float64
    origin : ndarray, shape (n,), int64
        :class:`broker_plugin.records.epoch.Origin`.
    reason : ndarray, shape (n,), int64
        USED, or the code of the reason.
    """

    alert: IntArray
    time_mjd: FloatArray
    band: IntArray
    mag: FloatArray
    magerr: FloatArray
    origin: IntArray
    reason: IntArray


class ReasonBook:
    """Notes the first reason against each row."""

    def __init__(self, rows: int) -> None:
        self.codes: IntArray = np.zeros(rows, dtype=np.int64)

    def note(self, reason: str, where: BoolArray) -> None:
        """Note a reason against the rows where it holds and none is noted yet."""
        self.codes[where & (self.codes == USED)] = REASONS.index(reason) + 1


def in_time_range(mjd: FloatArray) -> BoolArray:
    """Return where a Modified Julian Date, on any scale, is one."""
    result: BoolArray = (mjd > FIRST_MJD) & (mjd < LAST_MJD)  # False for NaN
    return result


def concatenate(parts: list[Epochs]) -> Epochs:
    """Join rows of several kinds."""
    names = ("alert", "time_mjd", "band", "mag", "magerr", "origin", "reason")
    return Epochs(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def in_order_once(epochs: Epochs) -> tuple[IntArray, IntArray]:
    """Order the used rows by alert, band and time, each exposure once.

    Of two rows of one alert, band and exposure the higher origin is kept (a detection beats a forced point),
    of equal ones the smaller error: whatever the order in which the packet lists them.

    Returns
    -------
    kept, dropped : ndarray, int64
        Row numbers; ``kept`` in order.
    """
    used = np.flatnonzero(epochs.reason == USED)
    alert, band, time = epochs.alert[used], epochs.band[used], epochs.time_mjd[used]
    order = np.lexsort((time, band, alert))
    alert, band, time = alert[order], band[order], time[order]
    # Copies of an exposure differ in the last digits, other exposures by the 15 s of the shortest visit: so
    # that rows in time order may be chained.
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(alert) != 0) | (np.diff(band) != 0) | (np.diff(time) >= SAME_EXPOSURE_DAYS)
    if new.all():
        return used[order], used[:0]
    exposure = np.cumsum(new)
    rows = used[order]
    best = np.lexsort((epochs.mag[rows], epochs.magerr[rows], -epochs.origin[rows], exposure))
    first = np.ones(len(best), dtype=bool)
    first[1:] = np.diff(exposure[best]) != 0
    return rows[best[first]], rows[best[~first]]
