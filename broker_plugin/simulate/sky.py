"""Where the Sun, the Moon and a field stand over a site: enough to schedule exposures, not to point.

Low-precision formulae of the Astronomical Almanac: the Sun to 0.01 deg, the Moon to 0.5 deg.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.records.epoch import FloatArray

_MJD_J2000 = 51544.5
_OBLIQUITY = np.deg2rad(23.439)


@dataclass(frozen=True, slots=True)
class Site:
    """An observatory; degrees, east and north positive."""

    longitude: float
    latitude: float


PALOMAR = Site(longitude=-116.863, latitude=33.356)
CERRO_PACHON = Site(longitude=-70.749, latitude=-30.245)


def sun_position(time_mjd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return right ascension and declination of the Sun, radians."""
    days = time_mjd - _MJD_J2000
    anomaly = np.deg2rad(357.529 + 0.98560028 * days)
    longitude = np.deg2rad(280.459 + 0.98564736 * days)
    longitude = longitude + np.deg2rad(1.915) * np.sin(anomaly) + np.deg2rad(0.02) * np.sin(2 * anomaly)
    return _equatorial(longitude, np.zeros_like(longitude))


def moon_position(time_mjd: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return right ascension and declination of the Moon, radians."""
    days = time_mjd - _MJD_J2000
    anomaly = np.deg2rad(134.963 + 13.064993 * days)
    longitude = np.deg2rad(218.316 + 13.176396 * days) + np.deg2rad(6.289) * np.sin(anomaly)
    latitude = np.deg2rad(5.128) * np.sin(np.deg2rad(93.272 + 13.229350 * days))
    return _equatorial(longitude, latitude)


def moon_illumination(time_mjd: FloatArray) -> FloatArray:
    """Return the lit fraction of the Moon's disc, 0 to 1."""
    sun_ra, sun_dec = sun_position(time_mjd)
    moon_ra, moon_dec = moon_position(time_mjd)
    elongation = np.sin(sun_dec) * np.sin(moon_dec)
    elongation = elongation + np.cos(sun_dec) * np.cos(moon_dec) * np.cos(sun_ra - moon_ra)
    return np.asarray(0.5 * (1 - elongation))


def sine_altitude(
    site: Site, time_mjd: FloatArray, ra: FloatArray | float, dec: FloatArray | float
) -> FloatArray:
    """Return the sine of the altitude of a position (radians) over a site; times are UT."""
    sidereal = np.deg2rad(280.46062 + 360.98564737 * (time_mjd - _MJD_J2000) + site.longitude)
    latitude = np.deg2rad(site.latitude)
    return np.asarray(np.sin(latitude) * np.sin(dec) + np.cos(latitude) * np.cos(dec) * np.cos(sidereal - ra))


def _equatorial(longitude: FloatArray, latitude: FloatArray) -> tuple[FloatArray, FloatArray]:
    ra = np.arctan2(
        np.sin(longitude) * np.cos(_OBLIQUITY) - np.tan(latitude) * np.sin(_OBLIQUITY), np.cos(longitude)
    )
    sine = np.sin(latitude) * np.cos(_OBLIQUITY) + np.cos(latitude) * np.sin(_OBLIQUITY) * np.sin(longitude)
    return ra, np.arcsin(sine)
