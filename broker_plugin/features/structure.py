"""Features of a light curve that tell structure from noise, from a window and its period alone.

The folded curve says what a periodic star is; what the fold leaves over says whether it is only that.
Residuals of a noisy known star are white in time, those of an irregular variable are not, whatever period was
found. Quoted errors tell neither (in many surveys they belong to the frame): neighbours in phase and in time
do. Left out on purpose: mean magnitude, absolute time, number of epochs, baseline and quoted errors, which
name the survey rather than the star.

All functions take windows in time order, shape (n, L), and treat each alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from broker_plugin.features.folding import stable_order
from broker_plugin.features.series import ComplexArray, HarmonicSums
from broker_plugin.records.epoch import FloatArray

STRUCTURE_FEATURES: Mapping[str, str] = {
    "log10_std": "log10 of the population standard deviation [mag]",
    "log10_period": "log10 of the fold period [d]",
    "range_over_std": "2nd to 98th percentile over the standard deviation",
    "iqr_over_range": "interquartile range over the range",
    "tail_skewness": "(p90 + p10 - 2 p50) / (p90 - p10)",
    "skewness": "of the magnitudes; positive: faint tail",
    "log_kurtosis": "natural log of the fourth standardised moment",
    "fold_residual": "rms about the smoothed fold (ten neighbours in phase, itself left out) over the std",
    "fold_residual_mad": "the same by the median absolute deviation",
    "fold_roughness": "von Neumann ratio in phase order over 2: 1 is white, 0 smooth",
    "time_roughness": "von Neumann ratio in time order over 2",
    "residual_roughness": "von Neumann ratio over 2 of the residuals in time order",
    "residual_correlation_1": "autocorrelation of the residuals at one epoch",
    "residual_correlation_4": "at four",
    "residual_correlation_16": "at sixteen",
    "slow_5": "fraction of the variance that a running mean of ten neighbours in time explains",
    "slow_15": "of thirty neighbours",
    "residual_slow_15": "the same of the residuals",
    "log_ratio_21": "log amplitude of harmonic 2 over harmonic 1",
    "log_ratio_31": "harmonic 3",
    "log_ratio_41": "harmonic 4",
    "cos_phi_21": "phase of harmonic 2 relative to the first, damped where the amplitude is noise",
    "sin_phi_21": "the same, sine",
    "cos_phi_31": "harmonic 3",
    "sin_phi_31": "the same, sine",
    "cos_phi_41": "harmonic 4",
    "sin_phi_41": "the same, sine",
    "explained_1": "fraction of the variance in one harmonic",
    "explained_2": "in two",
    "explained_4": "in four",
    "explained_half": "in three harmonics at half the period",
    "odd_gain": "eight harmonics at twice the period, less four at the period: the minima differ",
    "secondary_depth": "faintest fitted point half a cycle from the minimum over the minimum",
    "faint_width": "fraction of the cycle that is fainter than mid-range",
    "asymmetry": "mean difference of the fitted curve after and before minimum",
    "log_largest_residual": "log of the largest residual over the median one",
    "residual_log_kurtosis": "of the residuals",
    "residual_skewness": "of the residuals",
    "residual_block_scatter": "log scatter of the means of ten blocks of residuals in time, 0 for white ones",
    "block_amplitude_change": "standard deviation of the log scatter of ten blocks in time",
}
"""Names and meanings, in the order in which our model takes them."""

_NEIGHBOURS = 5  # on each side, in phase: 11 of 200 epochs are 0.05 of a cycle
_HARMONICS = 6
_AMPLITUDE_NOISE = 0.02  # of the standard deviation: keeps ratios of absent harmonics finite
_GRID = np.arange(64) / 64.0
_ANGLES = 2.0 * np.pi * np.arange(1, _HARMONICS + 1)[:, None] * _GRID
_TURNS = np.concatenate([np.cos(_ANGLES), -np.sin(_ANGLES)])  # real parts, with amplitudes as [real, imag]
_BLOCKS = 10
_TINY = 1e-3
_PERCENTILES = np.array([2.0, 10.0, 25.0, 50.0, 75.0, 90.0, 98.0])


def structure_features(
    times: FloatArray, magnitudes: FloatArray, periods: FloatArray, *, sums: HarmonicSums | None = None
) -> dict[str, FloatArray]:
    """Return every feature of :data:`STRUCTURE_FEATURES`, each of shape (n,), finite.

    Parameters
    ----------
    times : ndarray, shape (n, L), float64
        Days, increasing.
    magnitudes : ndarray, shape (n, L), float64
        With scatter; see :func:`broker_plugin.features.screen`.
    periods : ndarray, shape (n,), float64
        Days.
    sums : HarmonicSums, optional
        Of the standardised magnitudes and the times from the first epoch, where the caller has them already.
    """
    times = times - times[:, :1]
    std = magnitudes.std(axis=1)
    values = (magnitudes - magnitudes.mean(axis=1, keepdims=True)) / std[:, None]
    folded, residuals = _fold_residuals(times, values, periods)
    left = _Residuals(residuals)
    found = {"log10_std": np.log10(std), "log10_period": np.log10(periods)}
    found |= _distribution(values)
    found |= _fold(folded, left)
    found |= _in_time(values, left)
    found |= _series(HarmonicSums.of(times, values, periods) if sums is None else sums)
    found |= _residual_blocks(left)
    table = np.stack([found[name] for name in STRUCTURE_FEATURES])
    np.nan_to_num(table, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return dict(zip(STRUCTURE_FEATURES, table, strict=True))


class _Residuals:
    """Residuals of windows, shape (n, L), in time order, with what several features need of them."""

    def __init__(self, values: FloatArray) -> None:
        self.values = values
        self.centred = values - values.mean(axis=1, keepdims=True)
        self.variance = _mean_product(self.centred, self.centred)
        self.median_deviation = _median_deviation(values)


def _distribution(values: FloatArray) -> dict[str, FloatArray]:
    p2, p10, p25, p50, p75, p90, p98 = _percentiles(values)
    full = p98 - p2 + _TINY
    squares = values * values
    return {
        "range_over_std": full,
        "iqr_over_range": (p75 - p25) / full,
        "tail_skewness": (p90 + p10 - 2 * p50) / (p90 - p10 + _TINY),
        "skewness": _mean_product(squares, values),
        "log_kurtosis": np.log(_mean_product(squares, squares)),
    }


def _percentiles(values: FloatArray) -> FloatArray:
    """Return the percentiles of each window, shape (7, n), as numpy defines them, for a fifth of its time."""
    ordered = np.sort(values, axis=1)
    place = _PERCENTILES / 100.0 * (values.shape[1] - 1)
    below = np.floor(place).astype(np.intp)
    above = np.minimum(below + 1, values.shape[1] - 1)
    low = ordered[:, below]
    return np.asarray(low + (place - below) * (ordered[:, above] - low)).T


def _fold_residuals(
    times: FloatArray, values: FloatArray, periods: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the values in the order of the fold, and the residuals about the smoothed fold in time order."""
    cycles = times / periods[:, None]
    order = stable_order(cycles - np.floor(cycles))
    order += np.arange(0, values.size, values.shape[1])[:, None]
    folded = values.take(order)
    residuals = np.empty_like(values)
    residuals.reshape(-1)[order] = folded - _circular_mean(folded, _NEIGHBOURS)
    return folded, residuals


def _fold(folded: FloatArray, left: _Residuals) -> dict[str, FloatArray]:
    # The mean of 2 h neighbours adds 1 / (2 h) of the noise to the residuals.
    inflation = np.sqrt(1.0 + 0.5 / _NEIGHBOURS)
    return {
        "fold_residual": np.sqrt(_mean_product(left.values, left.values)) / inflation,
        "fold_residual_mad": left.median_deviation / inflation,
        "fold_roughness": _roughness(folded, 1.0),
    }


def _in_time(values: FloatArray, left: _Residuals) -> dict[str, FloatArray]:
    return {
        "time_roughness": _roughness(values, 1.0),
        "residual_roughness": _roughness(left.values, left.variance),
        "residual_correlation_1": _correlation(left, 1),
        "residual_correlation_4": _correlation(left, 4),
        "residual_correlation_16": _correlation(left, 16),
        "slow_5": _slow_fraction(values, 5),
        "slow_15": _slow_fraction(values, 15),
        "residual_slow_15": _slow_fraction(left.values, 15),
    }


def _series(sums: HarmonicSums) -> dict[str, FloatArray]:
    """Return what Fourier series at the period, its half and its double say."""
    series = sums.series(_HARMONICS)
    amplitudes, explained = series.amplitudes(), series.explained()
    size = np.abs(amplitudes)
    # Harmonics 2, 3, 4 beside the first.
    first, higher, order = size[:, :1], size[:, 1:4], np.arange(2, 5)
    ratios = np.log((higher + _AMPLITUDE_NOISE) / (first + _AMPLITUDE_NOISE))
    turned = amplitudes[:, 1:4] * np.conj(amplitudes[:, :1]) ** order / (first**order + 1e-9)
    damped = turned / (higher + 0.1 * first + 0.05)
    found: dict[str, FloatArray] = {}
    for column, k in enumerate(order):
        found[f"log_ratio_{k}1"] = ratios[:, column]
        found[f"cos_phi_{k}1"], found[f"sin_phi_{k}1"] = damped.real[:, column], damped.imag[:, column]
    found |= {f"explained_{h}": explained[:, h - 1] for h in (1, 2, 4)}
    found["explained_half"] = sums.series(3, cycles=4).explained()[:, -1]
    found["odd_gain"] = sums.series(8, cycles=1).explained()[:, -1] - explained[:, 3]
    return found | _curve(amplitudes)


def _curve(amplitudes: ComplexArray) -> dict[str, FloatArray]:
    """Return features of the fitted curve, its minimum light (largest magnitude) at phase 0."""
    parts = np.concatenate([amplitudes.real, amplitudes.imag], axis=1)
    curve = (parts[:, None, :] @ _TURNS)[:, 0]  # window by window: batch-mates cannot change a last bit
    shift = (np.arange(len(_GRID)) + curve.argmax(axis=1)[:, None]) % len(_GRID)
    curve = np.take_along_axis(curve, shift, axis=1)
    middle = 0.5 * (curve.max(axis=1) + curve.min(axis=1))
    return {
        "secondary_depth": curve[:, 28:37].max(axis=1) / np.maximum(curve[:, 0], 0.1),
        "faint_width": np.mean(curve > middle[:, None], axis=1),
        "asymmetry": np.mean(curve[:, 1:32] - curve[:, :32:-1], axis=1),
    }


def _residual_blocks(left: _Residuals) -> dict[str, FloatArray]:
    n, length = left.values.shape
    each = length // _BLOCKS
    standard = left.centred / (np.sqrt(left.variance) + _TINY)[:, None]
    squares = standard * standard
    blocks = standard[:, : each * _BLOCKS].reshape(n, _BLOCKS, each)
    means = blocks.mean(axis=2)
    scatter = np.sqrt(np.mean((blocks - means[:, :, None]) ** 2, axis=2))
    largest = np.abs(left.values).max(axis=1)
    return {
        "log_largest_residual": np.log(largest / (left.median_deviation + _TINY) + _TINY),
        "residual_log_kurtosis": np.log(_mean_product(squares, squares) + _TINY),
        "residual_skewness": _mean_product(squares, standard),
        "residual_block_scatter": np.log(means.var(axis=1) * each + _TINY),
        "block_amplitude_change": np.log(scatter + _TINY).std(axis=1),
    }


def _circular_mean(folded: FloatArray, each_side: int) -> FloatArray:
    """Return the mean of the neighbours on a circle, without the point itself."""
    return _neighbour_mean(
        np.concatenate([folded[:, -each_side:], folded, folded[:, :each_side]], axis=1), each_side
    )


def _neighbour_mean(values: FloatArray, each_side: int) -> FloatArray:
    """Return the mean of the neighbours of each point that has them all, without the point itself."""
    width = 2 * each_side + 1
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    inner = values[:, each_side:-each_side]
    return np.asarray((sums[:, width:] - sums[:, :-width] - inner) / (width - 1), dtype=np.float64)


def _slow_fraction(values: FloatArray, each_side: int) -> FloatArray:
    """Return the part of the variance that the mean of the neighbours in time, itself left out, explains."""
    inner = values[:, each_side:-each_side]
    missed = inner - _neighbour_mean(values, each_side)
    centred = inner - inner.mean(axis=1, keepdims=True)
    fraction: FloatArray = 1.0 - _mean_product(missed, missed) / (_mean_product(centred, centred) + _TINY)
    return fraction


def _roughness(values: FloatArray, variance: FloatArray | float) -> FloatArray:
    steps = values[:, 1:] - values[:, :-1]
    return np.asarray(0.5 * _mean_product(steps, steps) / (variance + 1e-9), dtype=np.float64)


def _correlation(left: _Residuals, lag: int) -> FloatArray:
    product = _mean_product(left.centred[:, lag:], left.centred[:, :-lag])
    return np.asarray(product / (left.variance + 1e-9), dtype=np.float64)


def _mean_product(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the mean of the products in each row, shape (n,)."""
    return np.asarray(np.vecdot(one, other) / one.shape[1])


def _median_deviation(values: FloatArray) -> FloatArray:
    """Return the standard deviation of a Gaussian with this median absolute deviation."""
    return np.asarray(1.4826 * _median(np.abs(values - _median(values)[:, None])), dtype=np.float64)


def _median(values: FloatArray) -> FloatArray:
    # Sorted whole: numpy's sort of rows is vectorised, its median is not.
    ordered, length = np.sort(values, axis=1), values.shape[1]
    return np.asarray(0.5 * (ordered[:, (length - 1) // 2] + ordered[:, length // 2]))
