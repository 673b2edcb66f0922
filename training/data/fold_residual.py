"""Scatter about the folded light curve, the quality cut of Tsang & Schultz (2019): theirs is 0.7.

The fold is smoothed by Friedman's (1984, SLAC PUB-3477) supersmoother: local lines of three spans, and at
each phase the span, itself smoothed, whose cross-validated residuals are smallest.
"""

from __future__ import annotations

import numpy as np

from broker_plugin.records.epoch import FloatArray

_SPANS = (0.05, 0.2, 0.5)  # tweeter, midrange, woofer: Friedman's
_MIDDLE, _LAST = 0.2, 0.05
_MIN_NEIGHBOURS = 4


def fold_residual(hjd: FloatArray, mag: FloatArray, period_days: float) -> float:
    """Return rms(mag - smooth fold) / std(mag).

    Parameters
    ----------
    hjd, mag : ndarray, shape (n,)
        Any order, days and magnitudes.
    period_days : float
        NaN for a star without a period: the result is NaN, too.
    """
    scatter = float(np.std(mag))
    if not (np.isfinite(period_days) and period_days > 0 and scatter > 0):
        return float("nan")
    phase = np.mod((hjd - hjd.min()) / period_days, 1.0)
    order = np.argsort(phase, kind="stable")
    smooth = supersmooth(phase[order], mag[order])
    return float(np.sqrt(np.mean((mag[order] - smooth) ** 2)) / scatter)


def supersmooth(phase: FloatArray, value: FloatArray) -> FloatArray:
    """Return the supersmoother of values at increasing phases in [0, 1), periodic, shape (n,)."""
    smooths, misses = [], []
    for span in _SPANS:
        smooth, left_out = _running_line(phase, value, span)
        smooths.append(smooth)
        misses.append(_running_line(phase, np.abs(value - left_out), _MIDDLE)[0])
    best = np.array(_SPANS)[np.argmin(misses, axis=0)]
    chosen, _ = _running_line(phase, best, _MIDDLE)
    span_of = np.clip(chosen, _SPANS[0], _SPANS[-1])
    upper = np.clip(np.searchsorted(_SPANS, span_of), 1, len(_SPANS) - 1)
    low, high = np.array(_SPANS)[upper - 1], np.array(_SPANS)[upper]
    fraction = (span_of - low) / (high - low)
    stacked = np.array(smooths)
    rows = np.arange(len(value))
    blended = (1 - fraction) * stacked[upper - 1, rows] + fraction * stacked[upper, rows]
    return _running_line(phase, blended, _LAST)[0]


def _running_line(phase: FloatArray, value: FloatArray, span: float) -> tuple[FloatArray, FloatArray]:
    """Return local-line fits over the nearest ``span * n`` points, and the same without the point itself."""
    n = len(phase)
    half = max(_MIN_NEIGHBOURS // 2, int(span * n) // 2)
    half = min(half, (n - 1) // 2)
    t = np.concatenate([phase[n - half :] - 1.0, phase, phase[:half] + 1.0])
    v = np.concatenate([value[n - half :], value, value[:half]])
    width = 2 * half + 1

    def windowed(x: FloatArray) -> FloatArray:
        total = np.concatenate([[0.0], np.cumsum(x)])
        return np.asarray(total[width:] - total[:-width])

    sums = [windowed(x) for x in (t, v, t * t, t * v)]
    own = (phase, value, phase * phase, phase * value)
    fits = []
    for count, parts in ((width, sums), (width - 1, [s - o for s, o in zip(sums, own, strict=True)])):
        mean_t, mean_v = parts[0] / count, parts[1] / count
        variance = parts[2] / count - mean_t**2
        slope = np.where(
            variance > 1e-12, (parts[3] / count - mean_t * mean_v) / np.maximum(variance, 1e-12), 0
        )
        fits.append(mean_v + slope * (phase - mean_t))
    return fits[0], fits[1]
