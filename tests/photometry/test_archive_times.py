"""Time scales of archives: astropy's barycentre is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from broker_plugin.photometry.archive_times import TimeScale, bmjd_tdb_from

RNG = np.random.default_rng(7)
MJD = np.sort(RNG.uniform(50_000, 62_000, 40))
RA, DEC = RNG.uniform(0, 360, 40), np.degrees(np.arcsin(RNG.uniform(-1, 1, 40)))
_CENTRE = EarthLocation.from_geocentric(0, 0, 0, unit="m")
UTC = Time(MJD, format="mjd", scale="utc", location=_CENTRE)
STARS = SkyCoord(RA, DEC, unit="deg")
# Nothing is downloaded: the Earth's rotation does not matter at its centre.
with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
    TRUE = (UTC.tdb + UTC.light_travel_time(STARS)).mjd
    HELIOCENTRIC = (UTC + UTC.light_travel_time(STARS, "heliocentric")).mjd

WRITTEN = {
    TimeScale.BMJD_TDB: TRUE,
    TimeScale.BJD_TDB: TRUE + 2_400_000.5,
    TimeScale.HMJD_UTC: HELIOCENTRIC,
    TimeScale.HJD_UTC: HELIOCENTRIC + 2_400_000.5,
    TimeScale.MJD_UTC: MJD,
    TimeScale.JD_UTC: MJD + 2_400_000.5,
    TimeScale.MJD_TAI: UTC.tai.mjd,
}


@pytest.mark.parametrize("scale", list(TimeScale))
def test_one_moment_in_every_scale(scale: TimeScale) -> None:
    """Within 20 ms, a fortieth of what makes two times one exposure; heliocentric times leave out 2 ms."""
    found = bmjd_tdb_from(WRITTEN[scale], scale, RA, DEC)
    assert np.abs(found - TRUE).max() * 86400 < 0.02


def test_the_start_of_an_exposure() -> None:
    """Half of it is added before the Earth is corrected for."""
    found = bmjd_tdb_from(MJD - 15 / 86400, TimeScale.MJD_UTC, RA, DEC, start_of_seconds=30.0)
    assert np.abs(found - TRUE).max() * 86400 < 0.02


def test_what_is_missing_stays_missing() -> None:
    """NaN, none at all, and a single position for all."""
    for scale in TimeScale:
        found = bmjd_tdb_from([np.nan, WRITTEN[scale][0], np.inf], scale, RA[0], DEC[0])
        assert np.isnan(found).tolist() == [True, False, True]
        assert bmjd_tdb_from([], scale, RA[0], DEC[0]).shape == (0,)
        assert np.isnan(bmjd_tdb_from([np.nan], scale, RA[0], DEC[0])).all()
