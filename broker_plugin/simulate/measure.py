"""What the survey measures of a star: reference images, difference fluxes, noise, detections.

All fluxes are in nJy (AB magnitude 31.4 is 1 nJy), for both surveys; the packets convert.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.cadence import Exposures
from broker_plugin.simulate.surveys import SurveyProfile

AB_ZERO_POINT = 31.4
"""AB magnitude of 1 nJy."""

DETECTION_SIGMA = 5.0
"""An alert is sent where |science - template| is above this many sigma."""

_REFERENCE_FRAMES = 15  # Masci et al. 2019: at least 15 exposures in a ZTF reference image
_REFERENCE_MAG_ERROR = 0.014  # smallest sigmagnr in real packets
_SKY_SHARE = (
    0.55  # the "5 sigma limit" of packets is conservative: real forced errors are near half of a fifth of it
)
_PHOTON_NOISE_AT_LIMIT = 0.25  # photon over background variance of a star at the limit


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference image of the field in one band, as it shows the star.

    Attributes
    ----------
    index : int
        0 for the first, 1 after a rebuild.
    flux : float
        What is really subtracted, nJy.
    mag, magerr : float
        What the reference's catalogue says.
    start_mjd_utc, end_mjd_utc : float
        Its first and last exposure.
    """

    index: int
    flux: float
    mag: float
    magerr: float
    start_mjd_utc: float
    end_mjd_utc: float


@dataclass(frozen=True, slots=True)
class Measurements:
    """Everything measured of one star; arrays of shape (n,), aligned with the field's exposures.

    Attributes
    ----------
    model_mag : ndarray, float64
        Noise-free apparent magnitude.
    flux, difference : ndarray, float64
        Total and difference flux, nJy, noise included.
    flux_err : ndarray, float64
        Error that the survey states, nJy.
    detected : ndarray, bool
        Above 5 sigma on the difference image.
    saturated : ndarray, bool
        Too bright to be measured.
    outlier : ndarray, bool
        A measurement gone wrong.
    references : tuple of Reference
        The field's reference of each exposure.
    """

    model_mag: FloatArray
    flux: FloatArray
    difference: FloatArray
    flux_err: FloatArray
    detected: npt.NDArray[np.bool_]
    saturated: npt.NDArray[np.bool_]
    outlier: npt.NDArray[np.bool_]
    references: tuple[Reference, ...]


def mag_to_flux(mag: FloatArray) -> FloatArray:
    """Return flux in nJy."""
    return np.asarray(10 ** (-0.4 * (mag - AB_ZERO_POINT)), dtype=np.float64)


def measure(
    rng: np.random.Generator,
    profile: SurveyProfile,
    exposures: Exposures,
    model_mag: FloatArray,
    *,
    rebuild_night: int,
    outlier_fraction: float,
) -> Measurements:
    """Observe a star.

    Parameters
    ----------
    rng : Generator
    profile : SurveyProfile
    exposures : Exposures
    model_mag : ndarray, shape (n,), float64
        The star's magnitude in the band and at the time of each exposure.
    rebuild_night : int
        MJD on which new reference images of the field come into use.
    outlier_fraction : float

    Returns
    -------
    Measurements
    """
    true_flux = mag_to_flux(model_mag)
    limit_flux = mag_to_flux(exposures.limit_mag) * _SKY_SHARE
    background = limit_flux / 5
    photons = _PHOTON_NOISE_AT_LIMIT * background**2 * true_flux / limit_flux
    sigma = np.sqrt(background**2 + photons + (profile.systematic_mag * true_flux / 1.0857) ** 2)
    noise = sigma * rng.standard_normal(len(exposures))
    outlier = rng.random(len(exposures)) < outlier_fraction
    noise[outlier] *= rng.uniform(8, 20, int(outlier.sum()))
    flux = true_flux + noise
    references = _references(rng, exposures, true_flux, rebuild_night)
    reference_flux = np.array([reference.flux for reference in references], dtype=np.float64)
    difference = flux - reference_flux
    stated = sigma * rng.lognormal(0.0, 0.08, len(exposures))
    saturated = model_mag < profile.saturation_mag
    return Measurements(
        model_mag=model_mag,
        flux=flux,
        difference=difference,
        flux_err=stated,
        detected=(np.abs(difference) > DETECTION_SIGMA * stated) & ~saturated,
        saturated=saturated,
        outlier=outlier,
        references=references,
    )


def _references(
    rng: np.random.Generator, exposures: Exposures, true_flux: FloatArray, rebuild_night: int
) -> tuple[Reference, ...]:
    """Build each band's two references from 15 neighbouring exposures; return that of each exposure."""
    serving: list[Reference | None] = [None] * len(exposures)
    for band in np.unique(exposures.band):
        inside = np.flatnonzero(exposures.band == band)
        rebuilt = exposures.night[inside] >= rebuild_night
        for index, served in enumerate((inside[~rebuilt], inside[rebuilt])):
            if served.size == 0:
                continue
            first = int(rng.integers(0, max(1, inside.size // 4))) + index * (inside.size // 3)
            frames = inside[first : first + _REFERENCE_FRAMES]
            flux = float(true_flux[frames].mean())
            depth = float(np.median(mag_to_flux(exposures.limit_mag[frames]))) * _SKY_SHARE / 5
            magerr = float(np.hypot(_REFERENCE_MAG_ERROR, 1.0857 * depth / np.sqrt(frames.size) / flux))
            mag = AB_ZERO_POINT - 2.5 * np.log10(flux) + 0.5 * magerr * rng.standard_normal()
            reference = Reference(
                index=index,
                flux=flux,
                mag=float(mag),
                magerr=min(magerr, 0.5),
                start_mjd_utc=float(exposures.start_mjd_utc[frames[0]]),
                end_mjd_utc=float(exposures.start_mjd_utc[frames[-1]]),
            )
            for position in served:
                serving[position] = reference
    return tuple(reference for reference in serving if reference is not None)
