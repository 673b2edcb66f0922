"""The schedule: only at night, above the horizon, in seasons, one weather for all."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body, get_sun
from astropy.time import Time

from broker_plugin.simulate import sky
from broker_plugin.simulate.cadence import Exposures, Field, clear_nights, plan_exposures
from broker_plugin.simulate.surveys import LSST, ZTF, SurveyProfile

FIRST = 60200


def plan(profile: SurveyProfile, field: Field, nights: int = 400, factor: float = 1.0) -> Exposures:
    rng = np.random.default_rng(1)
    return plan_exposures(
        rng,
        profile,
        field,
        first_night=FIRST,
        clear=clear_nights(rng, nights, 0.7),
        bands=profile.default_bands,
        cadence_factor=factor,
    )


@pytest.mark.parametrize(("profile", "dec"), [(ZTF, 20.0), (LSST, -40.0)])
def test_exposures_are_taken_in_the_dark_and_high_in_the_sky(profile: SurveyProfile, dec: float) -> None:
    """Against astropy's Sun and altitudes; the schedule's own formulae are good to 0.3 deg."""
    exposures = plan(profile, Field(1, 60.0, dec))
    site = EarthLocation(lon=profile.site.longitude * u.deg, lat=profile.site.latitude * u.deg)
    times = Time(exposures.start_mjd_utc, format="mjd")
    frame = AltAz(obstime=times, location=site)

    sun = get_sun(times).transform_to(frame).alt.deg
    star = SkyCoord(60.0 * u.deg, dec * u.deg).transform_to(frame).alt.deg

    quarter_hour = 3.75  # degrees of hour angle between the schedule's step and the exposure
    assert sun.max() < -12 + quarter_hour
    assert star.min() > 30 - quarter_hour


def test_the_moon_is_where_astropy_has_it() -> None:
    times = np.arange(60000.0, 60060.0, 0.7)
    ra, dec = sky.moon_position(times)
    moon = get_body("moon", Time(times, format="mjd"))
    here = SkyCoord(ra * u.rad, dec * u.rad)

    # The formula leaves out terms of up to 1.3 degrees (evection); geocentric in both.
    separation = here.separation(SkyCoord(moon.ra, moon.dec)).deg
    assert separation.max() < 3.0


def test_a_field_has_seasons_gaps_and_a_cadence() -> None:
    exposures = plan(ZTF, Field(1, 60.0, 10.0), nights=1000)
    r = exposures.start_mjd_utc[exposures.band == "r"]
    gaps = np.diff(r)

    assert (np.diff(exposures.start_mjd_utc) > 0).all()
    assert 1.0 < np.median(gaps) < 3.2
    assert (gaps > 60).sum() == 2  # two summers in a thousand nights
    assert 180 < r.size < 500
    night = np.unique(exposures.night)
    assert night.size < exposures.night.size <= 2 * night.size  # at most one exposure of a band a night


def test_moonlight_costs_depth_in_the_blue_most() -> None:
    exposures = plan(LSST, Field(1, 60.0, -20.0), nights=1500, factor=4.0)
    light = sky.moon_illumination(exposures.start_mjd_utc)
    for band, loss in (("u", 0.4), ("y", 0.0)):
        inside = exposures.band == band
        dark = np.median(exposures.limit_mag[inside & (light < 0.2)])
        bright = np.median(exposures.limit_mag[inside & (light > 0.9)])
        assert dark - bright > loss - 0.05


def test_a_field_that_never_rises_has_no_exposures() -> None:
    assert len(plan(ZTF, Field(1, 60.0, -80.0))) == 0


def test_clear_nights_come_in_spells_at_the_given_rate() -> None:
    clear = clear_nights(np.random.default_rng(2), 20_000, 0.7)
    assert clear.mean() == pytest.approx(0.7, abs=0.02)
    assert np.corrcoef(clear[:-1], clear[1:])[0, 1] > 0.4
