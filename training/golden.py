"""Synthetic windows for the golden vectors of a bundle: survey photometry is not ours to give away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.records.epoch import Float32Array, FloatArray
from broker_plugin.records.window import WINDOW_EPOCHS

_FIRST_MJD = 58_000.0
_SEASON_DAYS = 900.0


@dataclass(frozen=True, slots=True)
class SyntheticWindows:
    """Windows with known periods; arrays as in :class:`broker_plugin.model.bundle.GoldenVectors`."""

    time_mjd: FloatArray
    mag: Float32Array
    magerr: Float32Array
    period_days: FloatArray


def synthetic_windows(seed: int) -> SyntheticWindows:
    """Return twelve windows: one or two of each shape that the classes have, one of noise, one that leaps.

    The shapes exercise every part of the network and both ends of the energy scale; they are no samples of
    the classes.
    """
    rng = np.random.default_rng(seed)
    shapes = (
        ("saw", 0.55, 0.9),
        ("saw", 7.2, 0.6),
        ("sine", 0.31, 0.4),
        ("sine", 0.08, 0.1),
        ("sine", 310.0, 4.0),
        ("sine", 95.0, 0.7),
        ("sine", 2.8, 0.06),
        ("eclipses", 0.38, 0.5),
        ("eclipses", 2.4, 0.8),
        ("eclipses", 11.0, 0.3),
        ("noise", 1.7, 0.2),
        ("leap", 40.0, 5.0),
    )
    times, mags, errors, periods = [], [], [], []
    for shape, period, amplitude in shapes:
        nights = np.sort(rng.choice(int(_SEASON_DAYS), WINDOW_EPOCHS, replace=False))
        time = _FIRST_MJD + nights + rng.uniform(0.1, 0.4, WINDOW_EPOCHS)
        error = rng.uniform(0.02, 0.05, WINDOW_EPOCHS)
        curve = amplitude * _curve(shape, np.mod(time / period, 1.0), rng)
        times.append(time)
        mags.append(rng.uniform(9, 16) + curve + rng.normal(size=WINDOW_EPOCHS) * error)
        errors.append(error)
        periods.append(period)
    return SyntheticWindows(
        time_mjd=np.array(times),
        mag=np.array(mags, dtype=np.float32),
        magerr=np.array(errors, dtype=np.float32),
        period_days=np.array(periods),
    )


def synthetic_external(seed: int, n_windows: int, n_features: int) -> FloatArray:
    """Return values of external features, shape (n_windows, n_features): some missing, of one window all."""
    rng = np.random.default_rng([seed, 1])
    values = rng.normal(1.0, 1.0, size=(n_windows, n_features))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[0] = np.nan
    return values


def _curve(shape: str, phase: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return magnitudes of unit amplitude at phases."""
    curves = {
        "saw": phase**0.6,
        "sine": 0.5 * np.sin(2 * np.pi * phase),
        "eclipses": np.exp(-0.5 * (np.minimum(phase, 1 - phase) / 0.04) ** 2)
        + 0.6 * np.exp(-0.5 * ((phase - 0.5) / 0.04) ** 2),
        "noise": rng.normal(size=phase.shape),
        "leap": (np.arange(len(phase)) > 0.7 * len(phase)).astype(np.float64),
    }
    return curves[shape]
