"""A light curve made ready for the search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

LEAST_EPOCHS = 10
"""Fewer distinct times show no period."""


@dataclass(frozen=True, slots=True)
class LightCurve:
    """A light curve made ready: times from its first epoch, standardised magnitudes, relative weights.

    Attributes
    ----------
    time_days, values, errors, weights : ndarray, shape (n,), float64
        ``values`` have weighted mean 0 and variance 1; weights sum to one.
    baseline_days : float
    scale_mag : float
        Standard deviation that the values were divided by, magnitudes; 0 where there is nothing to search.
    """

    time_days: FloatArray
    values: FloatArray
    errors: FloatArray
    weights: FloatArray
    baseline_days: float
    scale_mag: float


def prepare(
    time_mjd: FloatArray, mag: npt.NDArray[np.floating], magerr: npt.NDArray[np.floating]
) -> LightCurve:
    """Sort, leave out what is not finite, weigh and standardise.

    Errors get the typical one as a floor: in many surveys they belong to the exposure, not to the star.

    Parameters
    ----------
    time_mjd : ndarray, shape (n,), float64
    mag, magerr : ndarray, shape (n,), float
        Missing or impossible errors count as typical.

    Raises
    ------
    TypeError
        For times that are not float64: MJD in float32 is off by minutes.
    """
    if np.asarray(time_mjd).dtype != np.float64:
        dtype = np.asarray(time_mjd).dtype
        msg = f"times are {dtype}, not float64: MJD in float32 is off by up to 5.6 minutes"
        raise TypeError(msg)
    time, values, sigma = np.asarray(time_mjd), np.asarray(mag, np.float64), np.asarray(magerr, np.float64)
    good = np.flatnonzero(np.isfinite(time) & np.isfinite(values))
    good = good[np.argsort(time[good], kind="stable")]
    time, values, sigma = time[good], values[good], sigma[good]
    baseline = float(time[-1] - time[0]) if len(time) else 0.0
    usable = np.isfinite(sigma) & (sigma > 0)
    typical = float(np.median(sigma[usable])) if usable.any() else 1.0
    errors = np.hypot(np.where(usable, sigma, typical), typical)
    weights = errors**-2
    weights /= weights.sum() if len(weights) else 1.0
    centred = values - float(np.sum(weights * values))
    scale = float(np.sqrt(np.sum(weights * centred**2)))
    varies = scale > 1e-6 * max(1.0, float(np.abs(values).max(initial=0.0)))
    if len(np.unique(time)) < LEAST_EPOCHS or not varies:
        return LightCurve(time, centred, errors, weights, baseline, 0.0)
    return LightCurve(time - time[0], centred / scale, errors, weights, baseline, scale)
