"""Times against astropy, whose own chain of scales and ephemerides is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.photometry.times import (
    SECONDS_PER_DAY,
    bmjd_tdb_from_mjd_tai,
    bmjd_tdb_from_utc_jd_start,
    earth_light_seconds,
    mjd_tai_from_bmjd_tdb,
    tai_minus_utc,
    utc_jd_start_from_bmjd_tdb,
)

EARTH_CENTRE = EarthLocation.from_geocentric(0, 0, 0, unit="m")
DAYS_1997_TO_2035 = np.linspace(50449.0, 64328.0, 817) + 0.1234  # every 17 days, never at the same hour


pytestmark = [
    pytest.mark.filterwarnings("ignore:.*dubious year"),  # leap seconds after today are not yet known
    pytest.mark.filterwarnings("ignore:Tried to get polar motions"),
]


@pytest.fixture(autouse=True)
def _bundled_earth_rotation():
    """Keep astropy from downloading: the Earth's rotation matters by 21 ms, and not at the Earth's centre."""
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        yield


@pytest.mark.parametrize(
    ("ra", "dec"), [(0.0, 0.0), (90.0, 66.5), (270.0, -66.5), (123.4, -45.6), (200.0, 89.9)]
)
def test_the_barycentric_time_agrees_with_astropy_to_a_millisecond(ra, dec):
    """From 1997 to 2035; the two share the ephemeris, so interpolation and signs are what is tested."""
    times = Time(DAYS_1997_TO_2035, format="mjd", scale="tai", location=EARTH_CENTRE)
    delay = times.light_travel_time(SkyCoord(ra, dec, unit="deg"), kind="barycentric", ephemeris="builtin")
    expected = times.tdb + delay
    ours = bmjd_tdb_from_mjd_tai(DAYS_1997_TO_2035, ra, dec)
    difference = Time(ours, format="mjd", scale="tdb") - expected
    assert np.abs(difference.to_value(units.s)).max() < 1e-4
    assert np.ptp((ours - DAYS_1997_TO_2035) * SECONDS_PER_DAY) > 100.0  # the orbit is really in it


def test_a_ztf_exposure_from_its_start_in_utc():
    """ZTF17aadcvhq's alert: start, half of 30 s, 37 leap seconds, 32.184 s, light travel."""
    jd, ra, dec = 2460229.9338542, 46.9, 8.1
    middle = Time(jd, format="jd", scale="utc", location=EARTH_CENTRE) + 15 * units.s
    star = SkyCoord(ra, dec, unit="deg")
    expected = (middle.tdb + middle.light_travel_time(star, ephemeris="builtin")).mjd
    (ours,) = bmjd_tdb_from_utc_jd_start([jd], ra, dec)
    assert abs(ours - expected) * SECONDS_PER_DAY < 1e-3
    by_hand = jd - 2400000.5 + (15 + 37 + 32.184) / SECONDS_PER_DAY
    assert 100.0 < (ours - by_hand) * SECONDS_PER_DAY < 500.0


def test_the_observatory_is_within_a_few_hundredths_of_a_second_of_the_earths_centre():
    palomar = EarthLocation.from_geodetic(-116.863, 33.356, 1712.0)
    times = Time(DAYS_1997_TO_2035[::20], format="mjd", scale="tai", location=palomar)
    star = SkyCoord(123.4, 45.6, unit="deg")
    there = (times.tdb + times.light_travel_time(star, ephemeris="builtin")).mjd
    here = bmjd_tdb_from_mjd_tai(DAYS_1997_TO_2035[::20], 123.4, 45.6)
    assert np.abs(there - here).max() * SECONDS_PER_DAY < 0.0235


@pytest.mark.parametrize(
    ("mjd", "seconds"),
    [(41317.0, 10.0), (50630.0, 31.0), (53735.9, 32.0), (53736.0, 33.0), (57754.0, 37.0), (60000.0, 37.0)],
)
def test_leap_seconds(mjd, seconds):
    assert tai_minus_utc([mjd]).tolist() == [seconds]


@given(
    st.lists(st.floats(50449.0, 64328.0), min_size=1, max_size=5),
    st.floats(0.0, 360.0),
    st.floats(-90.0, 90.0),
    st.floats(0.0, 300.0),
)
def test_both_inverses_invert(times, ra, dec, exposure_seconds):
    """To the resolution of a float64 Julian date, 40 us, twice."""
    bmjd = np.array(times)
    there = utc_jd_start_from_bmjd_tdb(bmjd, ra, dec, exposure_seconds)
    back = bmjd_tdb_from_utc_jd_start(there, ra, dec, exposure_seconds)
    # An exposure whose middle lies in the second that a leap second repeats has no time of its own in UTC.
    middle = there - 2400000.5 + exposure_seconds / 2 / SECONDS_PER_DAY
    steady = tai_minus_utc(middle - 2e-5) == tai_minus_utc(middle + 2e-5)
    assert (np.abs(back - bmjd)[steady] * SECONDS_PER_DAY < 1e-4).all()
    there = mjd_tai_from_bmjd_tdb(bmjd, ra, dec)
    assert (np.abs(bmjd_tdb_from_mjd_tai(there, ra, dec) - bmjd) * SECONDS_PER_DAY < 5e-6).all()


def test_a_direction_per_epoch_equals_each_alone():
    times, ra, dec = (
        np.array([58000.1, 59999.9, 61000.5]),
        np.array([1.0, 180.0, 359.0]),
        np.array([-80.0, 0.0, 80.0]),
    )
    together = bmjd_tdb_from_mjd_tai(times, ra, dec)
    alone = [bmjd_tdb_from_mjd_tai(times[i : i + 1], ra[i], dec[i])[0] for i in range(3)]
    assert together.tolist() == alone


def test_the_path_is_smooth_across_its_blocks():
    """58368 = 57 * 1024 is where one table ends and the next begins."""
    step = 1e-6
    path = earth_light_seconds([58368.0 - step, 58368.0, 58368.0 + step])
    assert np.abs(np.diff(path, axis=1)).max() < 10.0 * step  # the Earth moves 8.6 light seconds a day


def test_no_epochs_give_no_times():
    assert bmjd_tdb_from_utc_jd_start([], [], []).shape == (0,)
