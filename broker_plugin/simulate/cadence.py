"""When a field is exposed, in which band and how deep: seasons, nights, weather, Moon."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate import sky
from broker_plugin.simulate.surveys import SurveyProfile

_STEPS_PER_NIGHT = 96  # a schedule of quarters of an hour
_SINE_TWILIGHT = np.sin(np.deg2rad(-12.0))
_SINE_LOWEST = np.sin(np.deg2rad(30.0))  # airmass 2
_WEATHER_MEMORY = 0.55  # correlation of one night's weather with the next
_MOON_LOSS = {"u": 1.3, "g": 1.0, "r": 0.6, "i": 0.35, "z": 0.2, "y": 0.1}  # mag at full Moon


@dataclass(frozen=True, slots=True)
class Field:
    """A pointing of the survey; degrees."""

    number: int
    ra: float
    dec: float


@dataclass(frozen=True, slots=True)
class Exposures:
    """The exposures of a field, in time order; all arrays have shape (n,).

    Attributes
    ----------
    start_mjd_utc : ndarray, float64
        Start of the exposure.
    night : ndarray, int64
        Its UTC date as an integer MJD: what the archive's files are named after.
    band : ndarray, str
    limit_mag : ndarray, float64
        5 sigma limit.
    zero_point : ndarray, float64
    seeing_arcsec : ndarray, float64
    """

    start_mjd_utc: FloatArray
    night: npt.NDArray[np.int64]
    band: npt.NDArray[np.str_]
    limit_mag: FloatArray
    zero_point: FloatArray
    seeing_arcsec: FloatArray

    def __len__(self) -> int:
        """Return the number of exposures."""
        return self.start_mjd_utc.size


def clear_nights(rng: np.random.Generator, n_nights: int, fraction: float) -> npt.NDArray[np.bool_]:
    """Return which nights are clear, shape (n_nights,); bad weather comes in spells."""
    clear = np.empty(n_nights, dtype=np.bool_)
    state = rng.random() < fraction
    for night in range(n_nights):
        if rng.random() > _WEATHER_MEMORY:
            state = rng.random() < fraction
        clear[night] = state
    return clear


def plan_exposures(
    rng: np.random.Generator,
    profile: SurveyProfile,
    field: Field,
    *,
    first_night: int,
    clear: npt.NDArray[np.bool_],
    bands: tuple[str, ...],
    cadence_factor: float,
) -> Exposures:
    """Schedule a field.

    Parameters
    ----------
    rng : Generator
    profile : SurveyProfile
    field : Field
    first_night : int
        MJD of the first UTC date.
    clear : ndarray, shape (n_nights,), bool
        Shared by all fields of the site.
    bands : tuple of str
    cadence_factor : float
        Visits per time over the survey's own.

    Returns
    -------
    Exposures
        Possibly empty, for a field that never rises at night.
    """
    grid = (
        first_night + np.arange(clear.size)[:, None] + np.arange(_STEPS_PER_NIGHT)[None, :] / _STEPS_PER_NIGHT
    )
    sun_ra, sun_dec = sky.sun_position(grid)
    height = sky.sine_altitude(profile.site, grid, np.deg2rad(field.ra), np.deg2rad(field.dec))
    dark = sky.sine_altitude(profile.site, grid, sun_ra, sun_dec) < _SINE_TWILIGHT
    usable = dark & (height > _SINE_LOWEST) & clear[:, None]
    due = {band: first_night + rng.random() * profile.interval_days[band] / cadence_factor for band in bands}
    times: list[float] = []
    names: list[str] = []
    for night in np.flatnonzero(usable.any(axis=1)):
        steps = np.flatnonzero(usable[night])
        wanted = [band for band in bands if due[band] <= first_night + night + 0.5]
        # High in the sky is preferred; two bands of a night need two different quarters of an hour.
        weights = height[night, steps] ** 3
        chosen = rng.choice(
            steps, size=min(len(wanted), steps.size), replace=False, p=weights / weights.sum()
        )
        for band, step in zip(wanted, chosen, strict=False):
            times.append(float(grid[night, step]) + rng.uniform(0.0, 0.9) / _STEPS_PER_NIGHT)
            names.append(band)
            wait = profile.interval_days[band] / cadence_factor
            due[band] = max(due[band], first_night + night - wait) + wait * rng.uniform(0.85, 1.15)
    order = np.argsort(np.array(times, dtype=np.float64), kind="stable")
    start = np.array(times, dtype=np.float64)[order]
    return _with_conditions(rng, profile, field, start, np.array(names, dtype="<U1")[order])


def _with_conditions(
    rng: np.random.Generator,
    profile: SurveyProfile,
    field: Field,
    start: FloatArray,
    band: npt.NDArray[np.str_],
) -> Exposures:
    """Add depth and seeing: airmass, Moon, thin cloud."""
    ra, dec = np.deg2rad(field.ra), np.deg2rad(field.dec)
    airmass = 1 / np.maximum(sky.sine_altitude(profile.site, start, ra, dec), 0.3)
    moon_ra, moon_dec = sky.moon_position(start)
    moon_up = np.clip(sky.sine_altitude(profile.site, start, moon_ra, moon_dec), 0.0, 0.5) / 0.5
    moonlight = sky.moon_illumination(start) ** 2 * moon_up
    moon_loss = moonlight * np.array([_MOON_LOSS[name] for name in band], dtype=np.float64)
    cloud = rng.exponential(0.06, start.size)
    seeing = (1.6 if profile.name == "ztf" else 0.8) * airmass**0.6 * rng.lognormal(0.0, 0.15, start.size)
    sharpness = 1.1 * np.log10(seeing / np.median(seeing)) if start.size else seeing
    limit = np.array([profile.limit_mag[name] for name in band], dtype=np.float64)
    zero_point = np.array([profile.zero_point[name] for name in band], dtype=np.float64)
    return Exposures(
        start_mjd_utc=start,
        night=np.floor(start).astype(np.int64),
        band=band,
        limit_mag=limit - moon_loss - cloud - 0.15 * (airmass - 1) - sharpness,
        zero_point=zero_point - cloud - 0.12 * (airmass - 1),
        seeing_arcsec=seeing,
    )
