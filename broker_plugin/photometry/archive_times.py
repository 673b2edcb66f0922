"""The time scales that archives write, to barycentric MJD in TDB of mid-exposure."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache

import erfa
import numpy as np
import numpy.typing as npt

from broker_plugin.photometry.times import (
    MJD_ZERO_JD,
    SECONDS_PER_DAY,
    bmjd_tdb_from_mjd_tai,
    bmjd_tdb_from_utc_jd_start,
    tai_minus_utc,
)
from broker_plugin.records.epoch import FloatArray

_AU_LIGHT_SECONDS = 499.004_783_84  # IAU 2012 astronomical unit over the speed of light
_TT_MINUS_TAI_SECONDS = 32.184
_STEP_DAYS, _BLOCK_STEPS = 8.0, 128


class TimeScale(StrEnum):
    """How an archive counts time: what it is referred to, its zero point, its clock."""

    BMJD_TDB = "bmjd-tdb"
    BJD_TDB = "bjd-tdb"
    HMJD_UTC = "hmjd-utc"
    HJD_UTC = "hjd-utc"
    MJD_UTC = "mjd-utc"
    JD_UTC = "jd-utc"
    MJD_TAI = "mjd-tai"


def bmjd_tdb_from(
    time: npt.ArrayLike,
    scale: TimeScale,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    *,
    start_of_seconds: float = 0.0,
) -> FloatArray:
    """Return the barycentric time of mid-exposure.

    Parameters
    ----------
    time : array_like, shape (n,)
        Days.
    scale : TimeScale
    ra_deg, dec_deg : array_like, shape (n,) or scalar
        Direction of the star, degrees, J2000.
    start_of_seconds : float
        The times are starts of exposures that last so long; 0 for times of mid-exposure.

    Returns
    -------
    ndarray, shape (n,), float64
        Barycentric MJD (TDB); NaN where the time is.
    """
    days = np.asarray(time, dtype=np.float64)
    if scale in (TimeScale.BJD_TDB, TimeScale.HJD_UTC, TimeScale.JD_UTC):
        days = days - MJD_ZERO_JD
    days = days + 0.5 * start_of_seconds / SECONDS_PER_DAY
    result = np.full(days.shape, np.nan)
    known = np.isfinite(days)
    ra, dec = (
        np.broadcast_to(np.asarray(angle, dtype=np.float64), days.shape)[known] for angle in (ra_deg, dec_deg)
    )
    result[known] = _middle(days[known], scale, ra, dec)
    return result


def _middle(mjd: FloatArray, scale: TimeScale, ra: FloatArray, dec: FloatArray) -> FloatArray:
    if not mjd.size or scale in (TimeScale.BMJD_TDB, TimeScale.BJD_TDB):
        return mjd
    if scale is TimeScale.MJD_TAI:
        return bmjd_tdb_from_mjd_tai(mjd, ra, dec)
    if scale in (TimeScale.MJD_UTC, TimeScale.JD_UTC):
        return bmjd_tdb_from_utc_jd_start(mjd + MJD_ZERO_JD, ra, dec, exposure_seconds=0.0)
    return _from_heliocentric(mjd, ra, dec)


def _from_heliocentric(mjd_utc: FloatArray, ra: FloatArray, dec: FloatArray) -> FloatArray:
    """Go on from the Sun to the barycentre: up to 4 s of light, five times what an epoch's identity allows.

    TDB - TT, at most 2 ms, is left out. The Sun moves so slowly that the few minutes between the time at the
    Earth and at the Sun do not matter.
    """
    tai = mjd_utc + tai_minus_utc(mjd_utc) / SECONDS_PER_DAY
    tt = tai + _TT_MINUS_TAI_SECONDS / SECONDS_PER_DAY
    alpha, delta = np.radians(ra), np.radians(dec)
    star = np.stack([np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta)])
    seconds: FloatArray = (_sun_light_seconds(tt) * star).sum(axis=0)
    result: FloatArray = tt + seconds / SECONDS_PER_DAY
    return result


def _sun_light_seconds(mjd: FloatArray) -> FloatArray:
    """Return the Sun's place from the barycentre, shape (3, n): straight lines of 8 days, good to a metre."""
    steps = mjd / _STEP_DAYS
    left = np.floor(steps).astype(np.int64)
    first, last = int(left.min()) // _BLOCK_STEPS, int(left.max()) // _BLOCK_STEPS
    path = np.concatenate([_sun_block(number) for number in range(first, last + 2)], axis=1)
    here = left - first * _BLOCK_STEPS
    share = steps - left
    place: FloatArray = (1.0 - share) * path[:, here] + share * path[:, here + 1]
    return place


@lru_cache(maxsize=64)
def _sun_block(number: int) -> FloatArray:
    days = (number * _BLOCK_STEPS + np.arange(_BLOCK_STEPS, dtype=np.float64)) * _STEP_DAYS
    heliocentric, barycentric, _ = erfa.ufunc.epv00(MJD_ZERO_JD, days)
    block: FloatArray = (np.asarray(barycentric["p"]) - np.asarray(heliocentric["p"])).T * _AU_LIGHT_SECONDS
    block.setflags(write=False)
    return block
