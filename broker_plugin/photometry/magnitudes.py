"""From what a survey measures to apparent magnitudes, with propagated errors. Missing is NaN.

Sources: ZTF, https://github.com/ZwickyTransientFacility/ztf-avro-alert (notebook on apparent magnitudes)
and the ZTF Science Data System Explanatory Supplement; LSST, AB magnitudes of nJy (Oke & Gunn 1983).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.records.epoch import FloatArray

POGSON = 2.5 / np.log(10.0)
"""Magnitudes per unit of ln(flux): 1.0857."""

AB_ZERO_POINT_NJY = 31.4
"""AB magnitude of 1 nJy."""


def difference_to_apparent(
    sign: FloatArray,
    magpsf: FloatArray,
    sigmapsf: FloatArray,
    magnr: FloatArray,
    sigmagnr: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Add the star in the reference image to the difference (ZTF).

    The errors of reference and difference are independent, so they add in quadrature:
    sigma_m = sqrt((f_ref sigmagnr)^2 + (f_diff sigmapsf)^2) / u with u = f_ref + sign f_diff. (A well-known
    broker subtracts the squares, which leaves nearly half of the errors undefined.)

    Parameters
    ----------
    sign : ndarray, shape (n,)
        +1 where the star is brighter than in the reference, -1 where fainter.
    magpsf, sigmapsf : ndarray, shape (n,)
        Magnitude of the difference and its error.
    magnr, sigmagnr : ndarray, shape (n,)
        Magnitude of the reference star and its error.

    Returns
    -------
    mag, magerr : ndarray, shape (n,), float64
        NaN where an input is missing or no flux is left.
    """
    reference = _flux_of(magnr)
    difference = _flux_of(magpsf)
    total = _positive(reference + sign * difference)
    magerr = np.hypot(reference * sigmagnr, difference * sigmapsf) / total
    return -2.5 * np.log10(total), magerr


def forced_to_apparent(
    flux: FloatArray,
    flux_error: FloatArray,
    zero_point: FloatArray,
    magnr: FloatArray,
    sigmagnr: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Add the star in the reference image to a forced difference flux (ZTF).

    Parameters
    ----------
    flux, flux_error : ndarray, shape (n,)
        ``forcediffimflux`` and ``forcediffimfluxunc``, DN.
    zero_point : ndarray, shape (n,)
        ``magzpsci``.
    magnr, sigmagnr : ndarray, shape (n,)
        Magnitude of the reference star and its error.

    Returns
    -------
    mag, magerr : ndarray, shape (n,), float64
        NaN where an input is missing or no flux is left.
    """
    reference = _flux_of(magnr - zero_point)
    total = _positive(flux + reference)
    reference_error = reference * sigmagnr / POGSON
    return zero_point - 2.5 * np.log10(total), POGSON * np.hypot(flux_error, reference_error) / total


@dataclass(frozen=True, slots=True)
class Flux:
    """Fluxes with their errors, nJy; each an ndarray of shape (n,)."""

    value: FloatArray
    error: FloatArray


def total_flux(science: Flux, difference: Flux, template: Flux) -> Flux:
    """Return the star's total flux (LSST): measured on the science image, else template + difference.

    A total flux without an error is as good as none. Where the template's error is missing the difference's
    error, which contains the template's noise, stands alone. NaN where neither way is open.
    """
    direct = np.isfinite(science.value) & np.isfinite(science.error)
    summed_error = np.hypot(difference.error, np.nan_to_num(template.error, nan=0.0))
    return Flux(
        np.where(direct, science.value, template.value + difference.value),
        np.where(direct, science.error, summed_error),
    )


def njy_to_ab(flux: Flux) -> tuple[FloatArray, FloatArray]:
    """Return AB magnitude and error; NaN where the flux is missing or not positive."""
    positive = _positive(flux.value)
    return AB_ZERO_POINT_NJY - 2.5 * np.log10(positive), POGSON * flux.error / positive


def _flux_of(mag: FloatArray) -> FloatArray:
    flux: FloatArray = np.power(10.0, -0.4 * mag)
    return flux


def _positive(flux: FloatArray) -> FloatArray:
    return np.where(flux > 0.0, flux, np.nan)
