"""One epoch of photometry, packed: the unit of state and of the identity rules."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
EpochArray = npt.NDArray[np.void]


class Origin(IntEnum):
    """Where an epoch comes from; of two epochs of one exposure the higher origin wins.

    The candidate of an alert is measured once and final. Later packets repeat it as
    a previous detection, sometimes with other last digits. Forced photometry of the
    same exposure is revised from packet to packet. A source that the survey has withdrawn
    takes its exposure with it, whatever was or will be brought of it.
    """

    FORCED = 0
    PREVIOUS = 1
    DETECTION = 2
    WITHDRAWN = 3


EPOCH_DTYPE = np.dtype(
    [
        ("time_mjd", "<f8"),  # barycentric MJD (TDB) of mid-exposure, days
        ("mag", "<f4"),  # apparent magnitude
        ("magerr", "<f4"),  # its 1-sigma error
        ("version", "<i8"),  # exposure time of the alert that brought it, integer milliseconds since MJD 0
        ("origin", "u1"),  # Origin
    ]
)
"""Packed record of 25 bytes; the layout of state values, so it never changes without a migration."""

WITHDRAWN_MAG = np.inf
"""Magnitude and error of an epoch that says: there is none. It is above every value of its origin and packet,
so that the order of epochs decides about withdrawals, too. Forced photometry keeps its origin (a newer packet
may bring a value again), a source gets ``Origin.WITHDRAWN``."""

SAME_EXPOSURE_DAYS = 1e-5
"""Two epochs of one band nearer than this are one exposure (0.86 s; the shortest visits last 15 s)."""


def is_withdrawn(epochs: EpochArray) -> npt.NDArray[np.bool_]:
    """Return which epochs say that the survey has withdrawn what there was."""
    withdrawn: npt.NDArray[np.bool_] = np.isposinf(epochs["mag"]) & np.isposinf(epochs["magerr"])
    return withdrawn


def make_epochs(
    time_mjd: npt.ArrayLike,
    mag: npt.ArrayLike,
    magerr: npt.ArrayLike,
    *,
    origin: npt.ArrayLike = Origin.DETECTION,
    version: npt.ArrayLike = 0,
) -> EpochArray:
    """Pack columns into an array of epochs.

    Parameters
    ----------
    time_mjd, mag, magerr : array_like, shape (n,)
        Barycentric MJD (TDB) in days, apparent magnitude, 1-sigma error.
    origin, version : array_like, shape (n,) or scalar
        See :class:`Origin` and :data:`EPOCH_DTYPE`.

    Returns
    -------
    ndarray, shape (n,), dtype EPOCH_DTYPE
    """
    times = np.asarray(time_mjd, dtype=np.float64)
    epochs: EpochArray = np.empty(times.shape, dtype=EPOCH_DTYPE)
    columns: dict[str, Any] = {
        "time_mjd": times,
        "mag": mag,
        "magerr": magerr,
        "version": version,
        "origin": origin,
    }
    for name, column in columns.items():
        epochs[name] = column
    return epochs
