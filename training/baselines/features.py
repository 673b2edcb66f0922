"""Feature tables for the baselines: the folded curve's own shape, and the field's light-curve features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.features.structure import STRUCTURE_FEATURES, structure_features
from broker_plugin.records.epoch import FloatArray
from training.metrics import IntArray
from training.windows import WindowTable

_HARMONICS = 4
_GRID = 200
_BLOCK = 1024
_LARGEST = 1e12  # what a forest's float32 still holds


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """Named features of windows.

    Attributes
    ----------
    names : tuple of str
    values : ndarray, shape (n, f), float64
        Finite.
    """

    names: tuple[str, ...]
    values: FloatArray


def folded_features(table: WindowTable, index: IntArray, period_days: FloatArray) -> FeatureTable:
    """Return 12 features of folded windows: log P, amplitude, and the shape of a 4-harmonic curve.

    Ratios of amplitudes and relative phases to the first harmonic (Simon & Lee 1981, ApJ 248, 291), the
    residual about the curve over the scatter, the skewness of the curve, and the share of phase in which it
    is fainter than its middle.
    """
    names = ("log10_period", "amplitude", "scatter", "r21", "r31", "r41", "phi21", "phi31", "phi41")
    rows = [_folded(table, int(i), float(period_days[i])) for i in index]
    return FeatureTable((*names, "residual", "skewness", "faint_share"), np.array(rows))


def _folded(table: WindowTable, i: int, period_days: float) -> list[float]:
    time, mag = table.time_mjd[i], table.mag[i].astype(np.float64)
    angle = 2 * np.pi * (time - time[0]) / period_days
    scatter = float(mag.std())
    coefficients, *_ = np.linalg.lstsq(_design(angle), mag - mag.mean(), rcond=1e-6)
    residual = mag - mag.mean() - _design(angle) @ coefficients
    curve = _design(np.linspace(0, 2 * np.pi, _GRID, endpoint=False)) @ coefficients
    cosines, sines = coefficients[1::2], coefficients[2::2]
    amplitude = np.hypot(cosines, sines)
    phase = np.arctan2(-sines, cosines)
    harmonic = np.arange(2, _HARMONICS + 1)
    first = max(float(amplitude[0]), 1e-9)
    middle = (curve.max() + curve.min()) / 2
    spread = max(float(curve.std()), 1e-9)
    return [
        float(np.log10(period_days)),
        float(np.ptp(curve)),
        scatter,
        *np.minimum(amplitude[1:] / first, 1e3),
        *np.mod(phase[1:] - harmonic * phase[0], 2 * np.pi),
        float(residual.std()) / scatter,
        float(np.mean(((curve - curve.mean()) / spread) ** 3)),
        float(np.mean(curve > middle)),
    ]


def _design(angle: FloatArray) -> FloatArray:
    terms = [np.ones_like(angle)]
    for k in range(1, _HARMONICS + 1):
        terms += [np.cos(k * angle), np.sin(k * angle)]
    return np.stack(terms, axis=-1)


def light_curve_features(table: WindowTable, index: IntArray, period_days: FloatArray) -> FeatureTable:
    """Return features of the package ``light-curve`` (Malanchev et al. 2021, MNRAS 502, 5147) and log P.

    None that tells absolute time, number of epochs or mean magnitude: those give the *source* of a light
    curve away, and with it the class.
    """
    import light_curve as lc

    extractor = lc.Extractor(
        lc.Amplitude(),
        lc.AndersonDarlingNormal(),
        lc.BeyondNStd(1.0),
        lc.Cusum(),
        lc.Eta(),
        lc.EtaE(),
        lc.InterPercentileRange(0.25),
        lc.Kurtosis(),
        lc.LinearTrend(),
        lc.MagnitudePercentageRatio(0.4, 0.05),
        lc.MaximumSlope(),
        lc.MedianAbsoluteDeviation(),
        lc.MedianBufferRangePercentage(0.1),
        lc.OtsuSplit(),
        lc.PercentAmplitude(),
        lc.Periodogram(peaks=2),
        lc.ReducedChi2(),
        lc.Skew(),
        lc.StandardDeviation(),
        lc.StetsonK(),
    )
    rows = []
    for i in index:
        time, first = np.unique(table.time_mjd[i], return_index=True)
        columns = (time, *(column[i][first].astype(np.float64) for column in (table.mag, table.magerr)))
        found = extractor(*(np.ascontiguousarray(column) for column in columns), fill_value=0.0)
        rows.append([*found, np.log10(period_days[i])])
    values = np.clip(np.nan_to_num(np.array(rows), posinf=_LARGEST, neginf=-_LARGEST), -_LARGEST, _LARGEST)
    return FeatureTable((*extractor.names, "log10_fold_period"), values)


def structure_table(table: WindowTable, index: IntArray, period_days: FloatArray) -> FeatureTable:
    """Return what our network itself is given beside the sequence: a forest's view of the same input."""
    blocks = [index[start : start + _BLOCK] for start in range(0, len(index), _BLOCK)]
    found = [
        structure_features(table.time_mjd[block], table.mag[block].astype(np.float64), period_days[block])
        for block in blocks
    ]
    columns = [np.concatenate([one[name] for one in found]) for name in STRUCTURE_FEATURES]
    return FeatureTable(tuple(STRUCTURE_FEATURES), np.stack(columns, axis=1))
