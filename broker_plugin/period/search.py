"""The period of a light curve, found without knowing what kind of star it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.period.candidates import shortlist
from broker_plugin.period.compare import Comparison, compare
from broker_plugin.period.doubling import settle_double
from broker_plugin.period.light_curve import LEAST_EPOCHS, LightCurve, prepare
from broker_plugin.period.settings import PeriodSettings
from broker_plugin.period.significance import log10_false_alarm
from broker_plugin.period.spectrum import Grid, exact_power, frequency_grid, one_term_power
from broker_plugin.records.annotation import PeriodCandidate, PeriodReport
from broker_plugin.records.epoch import FloatArray

METHOD = "lomb-scargle+harmonics"
_REPORTED = 8

_Column = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A light curve's frequencies before the choice between P and 2P; ``limits`` in cycles per day."""

    curve: LightCurve
    grid: Grid
    limits: tuple[float, float]
    comparison: Comparison
    highest_power: float


def find_periods(
    light_curves: Iterable[tuple[FloatArray, _Column, _Column]], settings: PeriodSettings
) -> list[PeriodReport]:
    """Search each (time_mjd, mag, magerr), one after the other; see :func:`find_period`.

    Light curves of a survey have neither equal times nor equal grids, so there is no sum that two of them
    could share.
    """
    return [find_period(*curve, settings) for curve in light_curves]


def find_period(
    time_mjd: FloatArray, mag: _Column, magerr: _Column, settings: PeriodSettings
) -> PeriodReport:
    """Find the period of one light curve in one band.

    Parameters
    ----------
    time_mjd : ndarray, shape (n,), float64
        Barycentric (or heliocentric) days, any zero point, any order.
    mag, magerr : ndarray, shape (n,), float
        Magnitudes and their errors. Errors serve as relative weights only, with a floor: in many surveys
        they belong to the exposure, not to the star.
    settings : PeriodSettings

    Returns
    -------
    PeriodReport
        Of a light curve without variation, or with fewer than 10 distinct times: no period, a
        false-alarm probability of one, and the baseline (at least a day) as ``fold_days``.

    Raises
    ------
    TypeError
        For times that are not float64: MJD in float32 is off by minutes.
    """
    ranked = rank_frequencies(time_mjd, mag, magerr, settings)
    if isinstance(ranked, LightCurve):
        return _nothing(ranked.baseline_days)
    comparison = settle_double(ranked.curve, ranked.comparison, ranked.limits)
    curve, grid = ranked.curve, ranked.grid
    false_alarm = log10_false_alarm(
        ranked.highest_power, curve.time_days, curve.weights, (grid.first + grid.size) * grid.step
    )
    return _report(comparison, false_alarm, grid, settings)


def rank_frequencies(
    time_mjd: FloatArray, mag: _Column, magerr: _Column, settings: PeriodSettings
) -> Ranked | LightCurve:
    """Do what :func:`find_period` does, but for the choice between a period and twice that.

    Returns
    -------
    Ranked or LightCurve
        The prepared light curve alone where it shows nothing.
    """
    curve = prepare(time_mjd, mag, magerr)
    if curve.scale_mag == 0.0:
        return curve
    grid = frequency_grid(curve.baseline_days, settings)
    if grid.size < LEAST_EPOCHS:
        return curve
    power = one_term_power(curve.time_days, curve.values, curve.errors, grid)
    candidates = shortlist(power, grid, settings.peaks, curve.baseline_days)
    if not len(candidates.frequencies):
        return curve
    limits = (grid.first * grid.step, (grid.first + grid.size - 1) * grid.step)
    comparison = compare(curve, candidates, settings.finalists, settings.n_harmonics, limits)
    highest = (grid.first + int(power.argmax())) * grid.step
    highest_power = exact_power(curve.time_days, curve.values, curve.errors, highest)
    return Ranked(curve, grid, limits, comparison, highest_power)


def _nothing(baseline_days: float) -> PeriodReport:
    return PeriodReport(None, max(baseline_days, 1.0), METHOD, 0.0, ())


def _report(comparison: Comparison, false_alarm: float, grid: Grid, settings: PeriodSettings) -> PeriodReport:
    """Put the comparison into the published form."""
    shortest_days = 1.0 / ((grid.first + grid.size - 1) * grid.step)
    method = f"{METHOD} (P > {shortest_days:.4f} d)" if grid.cut else METHOD
    best = float(1.0 / comparison.frequencies[0])
    candidates = tuple(
        PeriodCandidate(float(1.0 / frequency), -float(score), kind)  # published: higher is better
        for frequency, score, kind in zip(
            comparison.frequencies[:_REPORTED], comparison.scores, comparison.kinds, strict=False
        )
    )
    significant = false_alarm <= settings.false_alarm_threshold
    return PeriodReport(best if significant else None, best, method, false_alarm, candidates)
