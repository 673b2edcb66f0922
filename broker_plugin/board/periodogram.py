"""The periodogram of a window for a picture: the search's own power, its maxima in a thousand bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.board.curve import Curve
from broker_plugin.period import PeriodSettings
from broker_plugin.period.spectrum import frequency_grid, one_term_power
from broker_plugin.records.epoch import Float32Array, FloatArray

_BINS = 1000
_LEAST_EPOCHS = 10


@dataclass(frozen=True, slots=True)
class Periodogram:
    """The envelope of a Lomb-Scargle periodogram.

    Attributes
    ----------
    period_days : ndarray, shape (m,), float64
        Of the highest power in each bin of log period that has a frequency, increasing.
    power : ndarray, shape (m,), float64
        Standard normalisation, 0 to 1.
    """

    period_days: FloatArray
    power: FloatArray


def periodogram(curve: Curve, settings: PeriodSettings) -> Periodogram | None:
    """Compute the one-term power on the grid of the search; None where the search has nothing to look at."""
    good = np.isfinite(curve["mag"]) & np.isfinite(curve["time_mjd"])
    time = np.ascontiguousarray(curve["time_mjd"][good])
    mag = curve["mag"][good].astype(np.float64)
    if len(np.unique(time)) < _LEAST_EPOCHS or np.ptp(mag) == 0:
        return None
    grid = frequency_grid(float(time[-1] - time[0]), settings)
    if grid.size < _LEAST_EPOCHS:
        return None
    power = one_term_power(time - time[0], mag - mag.mean(), _weights_as_errors(curve["magerr"][good]), grid)
    frequency = grid.step * (grid.first + np.arange(grid.size))
    return _envelope(frequency.astype(np.float64), power)


def _weights_as_errors(magerr: FloatArray) -> FloatArray:
    """Return the errors that the search weighs with: floored by the typical one, see period.search."""
    errors = magerr.astype(np.float64)
    usable = np.isfinite(errors) & (errors > 0)
    typical = float(np.median(errors[usable])) if usable.any() else 1.0
    floored: FloatArray = np.hypot(np.where(usable, errors, typical), typical)
    return floored


def _envelope(frequency: FloatArray, power: Float32Array) -> Periodogram:
    position = np.log(frequency)
    span = position[-1] - position[0]
    which = np.minimum(((position - position[0]) / span * _BINS).astype(np.int64), _BINS - 1)
    starts = np.flatnonzero(np.diff(which, prepend=-1))
    ends = np.append(starts[1:], len(frequency))
    highest = np.array([s + int(np.argmax(power[s:e])) for s, e in zip(starts, ends, strict=True)])
    return Periodogram(period_days=1.0 / frequency[highest][::-1], power=power[highest][::-1])
