"""A light curve in time, and folded."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from broker_plugin.plots.svg.axes import Axes, Scale, padded

_Column = npt.NDArray[np.floating]


def light_curve_svg(
    time_mjd: _Column, mag: _Column, magerr: _Column, reconstruction_mag: _Column | None, band: str
) -> str:
    """Draw magnitude against time.

    Parameters
    ----------
    time_mjd, mag, magerr : ndarray, shape (n,), float
        Barycentric MJD (TDB), magnitudes.
    reconstruction_mag : ndarray, shape (n,), float, optional
        The network's value at each epoch.
    band : str
    """
    axes = Axes(Scale(*padded([time_mjd], 0.02)), _magnitudes(mag, magerr, reconstruction_mag))
    axes.label("time, barycentric MJD (TDB)", f"{band} magnitude")
    axes.error_bars(time_mjd, mag, magerr)
    axes.dots(time_mjd, mag, "data")
    if reconstruction_mag is not None:
        axes.crosses(time_mjd, reconstruction_mag, "model")
    return axes.render(
        f"Light curve in {band}: {len(mag)} epochs, MJD {np.min(time_mjd):.1f} to {np.max(time_mjd):.1f}, "
        f"magnitudes {np.nanmin(mag):.2f} to {np.nanmax(mag):.2f}"
    )


def folded_svg(
    phase: _Column,
    mag: _Column,
    magerr: _Column,
    reconstruction_mag: _Column | None,
    *,
    band: str,
    period_days: float,
) -> str:
    """Draw magnitude against phase over two cycles, so that no feature is cut at the edge.

    Parameters
    ----------
    phase : ndarray, shape (n,), float
        In [0, 1).
    mag, magerr, reconstruction_mag
        As in :func:`light_curve_svg`.
    band : str
    period_days : float
    """
    axes = Axes(Scale(0.0, 2.0), _magnitudes(mag, magerr, reconstruction_mag))
    axes.label(f"phase at {period_days:.6g} d, two cycles", f"{band} magnitude")
    twice = np.concatenate([phase, np.asarray(phase) + 1])
    axes.error_bars(twice, np.tile(mag, 2), np.tile(magerr, 2))
    axes.dots(twice, np.tile(mag, 2), "data")
    if reconstruction_mag is not None:
        # Marks and no line: the network gives a value for each epoch, and nothing between.
        axes.crosses(twice, np.tile(reconstruction_mag, 2), "model")
    said = "with" if reconstruction_mag is not None else "without"
    return axes.render(
        f"Light curve in {band} folded at {period_days:.6g} days, {said} the network's reconstruction"
    )


def _magnitudes(mag: _Column, magerr: _Column, reconstruction_mag: _Column | None) -> Scale:
    """Let brightness increase upwards, and let no single wild error bar decide the scale."""
    drawn = [mag] if reconstruction_mag is None else [mag, reconstruction_mag]
    typical = float(np.nanmedian(magerr)) if np.isfinite(magerr).any() else 0.0
    brightest, faintest = padded(drawn, least=max(1.5 * typical, 1e-3))
    return Scale(faintest, brightest)
