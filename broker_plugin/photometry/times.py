"""From a survey's clock to barycentric MJD in TDB, and back.

ZTF gives the start of the exposure as JD in UTC, LSST its middle as MJD in TAI. A period of an hour
folded over years notices both the minute between UTC and TDB and the eight minutes of light travel
across the Earth's orbit, so every epoch is referred to the solar system's barycentre at the edge.

The Earth's centre stands for the observatory: light crosses the Earth's radius in 21 ms.
"""

from __future__ import annotations

from functools import lru_cache

import erfa
import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

SECONDS_PER_DAY = 86_400.0
MJD_ZERO_JD = 2_400_000.5

ZTF_EXPOSURE_SECONDS = 30.0
"""Nominal exposure of ZTF's surveys. Previous candidates carry no ``exptime``, and one exposure must have one
time in whichever packet and column it comes, or it would count twice: so 30 s stand for every ZTF exposure.
A deeper exposure is then timed early, by 135 s for the longest, 300 s."""

_TT_MINUS_TAI_SECONDS = 32.184
_AU_LIGHT_SECONDS = 499.004_783_84  # IAU 2012 astronomical unit over the speed of light

_BLOCK_DAYS = 1024  # a block of the Earth's path: 1025 positions, computed in milliseconds when first needed


def bmjd_tdb_from_utc_jd_start(
    jd_utc: npt.ArrayLike,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    exposure_seconds: float = ZTF_EXPOSURE_SECONDS,
) -> FloatArray:
    """Return the barycentric time of mid-exposure from its start (ZTF's ``jd``).

    Parameters
    ----------
    jd_utc : array_like, shape (n,)
        Start of exposure, JD, UTC.
    ra_deg, dec_deg : array_like, shape (n,) or scalar
        Direction of the star, degrees, J2000.
    exposure_seconds : float

    Returns
    -------
    ndarray, shape (n,), float64
        Barycentric MJD (TDB).
    """
    mjd_utc = np.asarray(jd_utc, dtype=np.float64) - MJD_ZERO_JD + 0.5 * exposure_seconds / SECONDS_PER_DAY
    return bmjd_tdb_from_mjd_tai(mjd_utc + tai_minus_utc(mjd_utc) / SECONDS_PER_DAY, ra_deg, dec_deg)


def bmjd_tdb_from_mjd_tai(
    mjd_tai: npt.ArrayLike, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike
) -> FloatArray:
    """Return the barycentric time of a moment (LSST's ``midpointMjdTai``).

    Parameters
    ----------
    mjd_tai : array_like, shape (n,)
        MJD, TAI.
    ra_deg, dec_deg : array_like, shape (n,) or scalar
        Direction of the star, degrees, J2000.

    Returns
    -------
    ndarray, shape (n,), float64
        Barycentric MJD (TDB).
    """
    mjd_tt = np.asarray(mjd_tai, dtype=np.float64) + _TT_MINUS_TAI_SECONDS / SECONDS_PER_DAY
    return mjd_tt + _tt_to_barycentre_seconds(mjd_tt, ra_deg, dec_deg) / SECONDS_PER_DAY


def mjd_tai_from_bmjd_tdb(
    bmjd_tdb: npt.ArrayLike, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike
) -> FloatArray:
    """Invert :func:`bmjd_tdb_from_mjd_tai`: when does the Earth see what the barycentre sees then.

    The light travel time changes by 1e-4 of the time that passes, so each round of the fixed-point iteration
    shrinks the error ten-thousandfold: 500 s, 50 ms, 5 us, below the resolution of a float64 MJD.
    """
    target = np.asarray(bmjd_tdb, dtype=np.float64)
    mjd_tt = target
    for _ in range(4):
        mjd_tt = target - _tt_to_barycentre_seconds(mjd_tt, ra_deg, dec_deg) / SECONDS_PER_DAY
    result: FloatArray = mjd_tt - _TT_MINUS_TAI_SECONDS / SECONDS_PER_DAY
    return result


def utc_jd_start_from_bmjd_tdb(
    bmjd_tdb: npt.ArrayLike,
    ra_deg: npt.ArrayLike,
    dec_deg: npt.ArrayLike,
    exposure_seconds: float = ZTF_EXPOSURE_SECONDS,
) -> FloatArray:
    """Invert :func:`bmjd_tdb_from_utc_jd_start`.

    Parameters
    ----------
    bmjd_tdb : array_like, shape (n,)
        Barycentric MJD (TDB) of mid-exposure.
    ra_deg, dec_deg : array_like, shape (n,) or scalar
        Direction of the star, degrees, J2000.
    exposure_seconds : float

    Returns
    -------
    ndarray, shape (n,), float64
        Start of exposure, JD, UTC (resolution of a float64 JD: 40 us).
    """
    mjd_tai = mjd_tai_from_bmjd_tdb(bmjd_tdb, ra_deg, dec_deg)
    mjd_utc = mjd_tai
    for _ in range(2):  # the second round settles the moments within 37 s of a leap second
        mjd_utc = mjd_tai - tai_minus_utc(mjd_utc) / SECONDS_PER_DAY
    result: FloatArray = mjd_utc - 0.5 * exposure_seconds / SECONDS_PER_DAY + MJD_ZERO_JD
    return result


def tai_minus_utc(mjd_utc: npt.ArrayLike) -> FloatArray:
    """Return TAI - UTC in seconds, from pyerfa's table of leap seconds; 10 s before 1972."""
    starts, seconds = _leap_seconds()
    position = np.searchsorted(starts, np.asarray(mjd_utc, dtype=np.float64), side="right") - 1
    result: FloatArray = seconds[np.maximum(position, 0)]
    return result


def _tt_to_barycentre_seconds(
    mjd_tt: FloatArray, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike
) -> FloatArray:
    """Return (TDB - TT) plus the Roemer delay, in seconds."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    direction = np.stack(np.broadcast_arrays(np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)))
    path = earth_light_seconds(mjd_tt)
    delay: FloatArray = (path[:3] * direction.reshape(3, -1)).sum(axis=0) + path[3]
    return delay.reshape(mjd_tt.shape)


def earth_light_seconds(mjd_tdb: npt.ArrayLike) -> FloatArray:
    """Return where the Earth is, in light seconds from the barycentre, and TDB - TT.

    Cubic Hermite interpolation of erfa's ``epv00`` on a grid of one day. The interpolation is good to 0.2 us
    (a day to the fourth, over 384, times the fourth derivative, to which the Earth's orbit and its swing
    around the common centre with the Moon add equal shares); ``epv00`` itself to 20 us.

    Parameters
    ----------
    mjd_tdb : array_like, shape (n,)

    Returns
    -------
    ndarray, shape (4, n), float64
        x, y, z (BCRS) and TDB - TT at the Earth's centre, all in seconds.
    """
    times = np.asarray(mjd_tdb, dtype=np.float64).ravel()
    path = np.empty((4, len(times)))
    block_numbers = np.floor(times / _BLOCK_DAYS).astype(np.int64)
    for number in np.unique(block_numbers):
        inside = block_numbers == number
        path[:, inside] = _interpolate(_earth_block(int(number)), times[inside] - number * _BLOCK_DAYS)
    return path


def _interpolate(block: FloatArray, days: FloatArray) -> FloatArray:
    """Interpolate a block (7, 1 + days) of positions, TDB - TT and velocities."""
    left = np.minimum(days.astype(np.int64), _BLOCK_DAYS - 1)
    s = days - left
    start, end = block[:, left], block[:, left + 1]
    r = 1.0 - s
    position = r * r * ((1.0 + 2.0 * s) * start[:3] + s * start[4:]) + s * s * (
        (3.0 - 2.0 * s) * end[:3] - r * end[4:]
    )
    # TDB - TT moves by 30 us a day at most, smoothly: a straight line is good to 0.1 us.
    return np.vstack([position, r * start[3] + s * end[3]])


@lru_cache(maxsize=128)
def _earth_block(number: int) -> FloatArray:
    """Return positions, TDB - TT and velocities, shape (7, 1025), light seconds (per day)."""
    days = number * _BLOCK_DAYS + np.arange(_BLOCK_DAYS + 1, dtype=np.float64)
    # The ufunc: erfa's Python wrapper warns outside 1900-2100, where positions are merely less exact.
    _, barycentric, _ = erfa.ufunc.epv00(MJD_ZERO_JD, days)
    tdb_minus_tt = erfa.ufunc.dtdb(MJD_ZERO_JD, days, 0.0, 0.0, 0.0, 0.0)
    position = np.asarray(barycentric["p"]).T * _AU_LIGHT_SECONDS
    velocity = np.asarray(barycentric["v"]).T * _AU_LIGHT_SECONDS
    block: FloatArray = np.vstack([position, np.asarray(tdb_minus_tt)[None, :], velocity])
    block.setflags(write=False)
    return block


@lru_cache(maxsize=1)
def _leap_seconds() -> tuple[FloatArray, FloatArray]:
    """Return MJD (UTC) from which each TAI - UTC holds, and its seconds; from 1972 on, whole seconds."""
    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]
    _, starts, _ = erfa.ufunc.cal2jd(table["year"], table["month"], np.ones(len(table), dtype=np.int32))
    return np.asarray(starts, dtype=np.float64), np.asarray(table["tai_utc"], dtype=np.float64)
