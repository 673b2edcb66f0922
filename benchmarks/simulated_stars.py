"""Simulated stars in all bands of a survey as the score stage would see them: windows, periods, scores.

Light curves come from the simulator's stars, cadence and noise, without packets; an epoch is one that forced
photometry would bring (above 3 sigma). Each band's newest 200 epochs are one window.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from broker_plugin.features import screen
from broker_plugin.model.scorer import Score, Scorer
from broker_plugin.period import PeriodSettings, find_period
from broker_plugin.photometry.times import MJD_ZERO_JD, bmjd_tdb_from_utc_jd_start
from broker_plugin.records.annotation import PeriodReport
from broker_plugin.records.epoch import Float32Array, FloatArray
from broker_plugin.records.window import WINDOW_EPOCHS
from broker_plugin.simulate.cadence import Exposures
from broker_plugin.simulate.generate import model_magnitudes, plan_fields
from broker_plugin.simulate.measure import AB_ZERO_POINT, measure
from broker_plugin.simulate.nights import night_mjd
from broker_plugin.simulate.population import SimulatedObject, draw_population
from broker_plugin.simulate.settings import SimulationSettings

_DETECTED = 3.0  # sigma
_BATCH = 64

_Window = tuple[FloatArray, Float32Array, Float32Array]  # time_mjd, mag, magerr

SURVEYS = {
    "ztf": SimulationSettings(survey="ztf", n_objects=900, n_nights=1080, start_date=dt.date(2022, 1, 1)),
    "lsst": SimulationSettings(
        # Visits as often as in a deep field: in the wide survey no band has 200 epochs within years.
        survey="lsst",
        n_objects=360,
        n_nights=1800,
        cadence_factor=12.0,
        start_date=dt.date(2026, 1, 1),
    ),
}
"""What is simulated of each survey; the mixture is the simulator's own, a tenth of it novel."""


@dataclass(frozen=True, slots=True)
class BandScore:
    """A star in one band.

    Attributes
    ----------
    star : int
        Its number.
    kind, superclass : str
        The truth; the superclass of a kind that the model cannot know is ``"NOVEL"``.
    true_period_days : float
        NaN for stars without one.
    band : str
    first_epoch_mjd, last_epoch_mjd : float
        Ends of the window.
    period : PeriodReport
    score : Score
    """

    star: int
    kind: str
    superclass: str
    true_period_days: float
    band: str
    first_epoch_mjd: float
    last_epoch_mjd: float
    period: PeriodReport
    score: Score


def scored_stars(settings: SimulationSettings, scorer: Scorer) -> Iterator[BandScore]:
    """Simulate, search periods, score; every star and band with 200 epochs that can be scored."""
    first_night = night_mjd(settings.start_date)
    fields, stars = draw_population(settings)
    plans = plan_fields(settings, fields, first_night)
    waiting: list[tuple[SimulatedObject, str, PeriodReport, _Window]] = []
    for star in stars:
        for band, window in _windows(settings, star, plans[star.field]):
            period = find_period(*window, PeriodSettings())
            waiting.append((star, band, period, window))
            if len(waiting) == _BATCH:
                yield from _scored(waiting, scorer)
                waiting = []
    yield from _scored(waiting, scorer)


def _windows(
    settings: SimulationSettings, star: SimulatedObject, plan: Exposures
) -> Iterator[tuple[str, _Window]]:
    """Yield the newest window of each band: time_mjd, mag, magerr."""
    profile = settings.profile
    start_jd = plan.start_mjd_utc + MJD_ZERO_JD
    time_mjd = bmjd_tdb_from_utc_jd_start(start_jd, star.ra, star.dec, profile.exposure_seconds)
    model = model_magnitudes(star, plan, profile.exposure_seconds)
    measured = measure(
        np.random.default_rng([settings.seed, 12, star.index]),
        profile,
        plan,
        model,
        rebuild_night=2**31,
        outlier_fraction=settings.outlier_fraction,
    )
    seen = (measured.flux > _DETECTED * measured.flux_err) & ~measured.saturated
    for band in settings.used_bands:
        newest = np.flatnonzero(seen & (plan.band == band))[-WINDOW_EPOCHS:]
        if len(newest) < WINDOW_EPOCHS:
            continue
        flux, error = measured.flux[newest], measured.flux_err[newest]
        mag: Float32Array = np.asarray(AB_ZERO_POINT - 2.5 * np.log10(flux), dtype=np.float32)
        magerr: Float32Array = np.asarray(2.5 / np.log(10) * error / flux, dtype=np.float32)
        window = (np.ascontiguousarray(time_mjd[newest]), mag, magerr)
        if screen(*window) is None:
            yield band, window


def _scored(
    waiting: list[tuple[SimulatedObject, str, PeriodReport, _Window]], scorer: Scorer
) -> Iterator[BandScore]:
    scores = scorer.score([(*window, period.fold_days) for _, _, period, window in waiting])
    for (star, band, period, (time_mjd, *_)), score in zip(waiting, scores, strict=True):
        variable = star.variable
        yield BandScore(
            star=star.index,
            kind=variable.kind,
            superclass=variable.superclass,
            true_period_days=float(np.nan if variable.period_days is None else variable.period_days),
            band=band,
            first_epoch_mjd=float(time_mjd[0]),
            last_epoch_mjd=float(time_mjd[-1]),
            period=period,
            score=score,
        )
