"""Alerts -> apparent magnitudes at barycentric times."""

from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.photometry.measure import Measured, measure
from broker_plugin.photometry.times import (
    ZTF_EXPOSURE_SECONDS,
    bmjd_tdb_from_mjd_tai,
    bmjd_tdb_from_utc_jd_start,
    mjd_tai_from_bmjd_tdb,
    utc_jd_start_from_bmjd_tdb,
)

__all__ = [
    "ZTF_EXPOSURE_SECONDS",
    "Measured",
    "QualityCuts",
    "bmjd_tdb_from_mjd_tai",
    "bmjd_tdb_from_utc_jd_start",
    "measure",
    "mjd_tai_from_bmjd_tdb",
    "utc_jd_start_from_bmjd_tdb",
]
