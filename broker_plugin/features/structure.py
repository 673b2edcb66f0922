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
_RIDGE = 1.0  # as if one epoch in 200 said that each coefficient is zero
_AMPLITUDE_NOISE = 0.02  # of the standard deviation: keeps ratios of absent harmonics finite
_GRID = np.arange(64) / 64.0
_BLOCKS = 10
_TINY = 1e-3


def structure_features(
    times: FloatArray, magnitudes: FloatArray, periods: FloatArray
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
    """
    times = times - times[:, :1]
    std = magnitudes.std(axis=1)
    values = (magnitudes - magnitudes.mean(axis=1, keepdims=True)) / std[:, None]
    residuals, fold_order = _fold_residuals(times, values, periods)
    found = {"log10_std": np.log10(std), "log10_period": np.log10(periods)}
    found |= _distribution(values)
    found |= _fold(values, residuals, fold_order)
    found |= _in_time(values, residuals)
    found |= _series(times, values, periods)
    found |= _residual_blocks(values, residuals)
    return {name: np.nan_to_num(found[name], nan=0.0, posinf=0.0, neginf=0.0) for name in STRUCTURE_FEATURES}


def _distribution(values: FloatArray) -> dict[str, FloatArray]:
    p2, p10, p25, p50, p75, p90, p98 = np.percentile(values, [2, 10, 25, 50, 75, 90, 98], axis=1)
    full = p98 - p2 + _TINY
    return {
        "range_over_std": full,
        "iqr_over_range": (p75 - p25) / full,
        "tail_skewness": (p90 + p10 - 2 * p50) / (p90 - p10 + _TINY),
        "skewness": np.mean(values**3, axis=1),
        "log_kurtosis": np.log(np.mean(values**4, axis=1)),
    }


def _fold_residuals(
    times: FloatArray, values: FloatArray, periods: FloatArray
) -> tuple[FloatArray, np.ndarray]:
    """Return residuals about the smoothed fold in time order, and the order of the fold."""
    order = np.argsort(np.mod(times / periods[:, None], 1.0), axis=1, kind="stable")
    folded = np.take_along_axis(values, order, axis=1)
    residuals = np.empty_like(values)
    np.put_along_axis(residuals, order, folded - _circular_mean(folded, _NEIGHBOURS), axis=1)
    return residuals, order


def _fold(values: FloatArray, residuals: FloatArray, fold_order: np.ndarray) -> dict[str, FloatArray]:
    # The mean of 2 h neighbours adds 1 / (2 h) of the noise to the residuals.
    inflation = np.sqrt(1.0 + 0.5 / _NEIGHBOURS)
    folded = np.take_along_axis(values, fold_order, axis=1)
    return {
        "fold_residual": np.sqrt(np.mean(residuals**2, axis=1)) / inflation,
        "fold_residual_mad": _median_deviation(residuals) / inflation,
        "fold_roughness": _roughness(folded),
    }


def _in_time(values: FloatArray, residuals: FloatArray) -> dict[str, FloatArray]:
    return {
        "time_roughness": _roughness(values),
        "residual_roughness": _roughness(residuals),
        "residual_correlation_1": _correlation(residuals, 1),
        "residual_correlation_4": _correlation(residuals, 4),
        "residual_correlation_16": _correlation(residuals, 16),
        "slow_5": _slow_fraction(values, 5),
        "slow_15": _slow_fraction(values, 15),
        "residual_slow_15": _slow_fraction(residuals, 15),
    }


def _series(times: FloatArray, values: FloatArray, periods: FloatArray) -> dict[str, FloatArray]:
    """Return what Fourier series at the period, its half and its double say."""
    amplitudes, explained = _fit(times, values, periods, _HARMONICS)
    _, explained_half = _fit(times, values, 0.5 * periods, 3)
    _, explained_double = _fit(times, values, 2.0 * periods, 8)
    first, size = amplitudes[:, 0], np.abs(amplitudes)
    found: dict[str, FloatArray] = {}
    for k in (2, 3, 4):
        ratio = (size[:, k - 1] + _AMPLITUDE_NOISE) / (size[:, 0] + _AMPLITUDE_NOISE)
        found[f"log_ratio_{k}1"] = np.log(ratio)
        turned = amplitudes[:, k - 1] * np.conj(first) ** k / (size[:, 0] ** k + 1e-9)
        damped = turned / (size[:, k - 1] + 0.1 * size[:, 0] + 0.05)
        found[f"cos_phi_{k}1"], found[f"sin_phi_{k}1"] = damped.real, damped.imag
    found |= {f"explained_{h}": explained[:, h - 1] for h in (1, 2, 4)}
    found["explained_half"] = explained_half[:, -1]
    found["odd_gain"] = explained_double[:, -1] - explained[:, 3]
    return found | _curve(amplitudes)


def _curve(amplitudes: np.ndarray) -> dict[str, FloatArray]:
    """Return features of the fitted curve, its minimum light (largest magnitude) at phase 0."""
    harmonic = np.arange(1, amplitudes.shape[1] + 1)
    turns = np.exp(2j * np.pi * harmonic[:, None] * _GRID)
    curve = np.einsum("nk,kg->ng", amplitudes, turns).real
    shift = (np.arange(len(_GRID)) + curve.argmax(axis=1)[:, None]) % len(_GRID)
    curve = np.take_along_axis(curve, shift, axis=1)
    middle = 0.5 * (curve.max(axis=1) + curve.min(axis=1))
    return {
        "secondary_depth": curve[:, 28:37].max(axis=1) / np.maximum(curve[:, 0], 0.1),
        "faint_width": np.mean(curve > middle[:, None], axis=1),
        "asymmetry": np.mean(curve[:, 1:32] - curve[:, :32:-1], axis=1),
    }


def _residual_blocks(values: FloatArray, residuals: FloatArray) -> dict[str, FloatArray]:
    n, length = values.shape
    each = length // _BLOCKS
    spread = residuals.std(axis=1) + _TINY
    standard = (residuals - residuals.mean(axis=1, keepdims=True)) / spread[:, None]
    blocks = standard[:, : each * _BLOCKS].reshape(n, _BLOCKS, each)
    largest = np.abs(residuals).max(axis=1)
    return {
        "log_largest_residual": np.log(largest / (_median_deviation(residuals) + _TINY) + _TINY),
        "residual_log_kurtosis": np.log(np.mean(standard**4, axis=1) + _TINY),
        "residual_skewness": np.mean(standard**3, axis=1),
        "residual_block_scatter": np.log(blocks.mean(axis=2).var(axis=1) * each + _TINY),
        "block_amplitude_change": np.log(blocks.std(axis=2) + _TINY).std(axis=1),
    }


def _fit(
    times: FloatArray, values: FloatArray, periods: FloatArray, n_harmonics: int
) -> tuple[np.ndarray, FloatArray]:
    """Fit a series with a small ridge; it keeps windows solvable whose phases bunch up.

    Returns
    -------
    amplitudes : ndarray, shape (n, H), complex128
        The curve is the sum of Re(amplitudes[k] exp(2 pi i (k + 1) t / P)).
    explained : ndarray, shape (n, H), float64
        Fraction of the variance that the series of 1..H harmonics explains (the first is fitted alone, ...).
    """
    base = np.exp(2j * np.pi * np.mod(times / periods[:, None], 1.0))
    columns = [np.ones_like(values)]
    power = np.ones_like(base)
    for _ in range(n_harmonics):
        power = power * base
        columns += [power.real, power.imag]
    design = np.stack(columns, axis=1)  # (n, 2 H + 1, L)
    normal = np.einsum("nkl,nml->nkm", design, design) + _RIDGE * np.eye(design.shape[1])
    moments = np.einsum("nkl,nl->nk", design, values)
    factor = np.linalg.cholesky(normal)
    # Columns come by harmonic: the partial sums of the squared projections are the shorter series' fits.
    projected = np.empty_like(moments)
    for row in range(moments.shape[1]):
        known = np.einsum("nk,nk->n", factor[:, row, :row], projected[:, :row])
        projected[:, row] = (moments[:, row] - known) / factor[:, row, row]
    explained = np.cumsum(projected**2, axis=1)[:, 2::2] / np.sum(values**2, axis=1, keepdims=True)
    coefficients = np.linalg.solve(normal, moments[:, :, None])[:, 1:, 0]
    return coefficients[:, 0::2] - 1j * coefficients[:, 1::2], np.asarray(explained, dtype=np.float64)


def _circular_mean(folded: FloatArray, each_side: int) -> FloatArray:
    """Return the mean of the neighbours on a circle, without the point itself."""
    around = np.concatenate([folded[:, -each_side:], folded, folded[:, :each_side]], axis=1)
    sums = np.cumsum(np.pad(around, ((0, 0), (1, 0))), axis=1)
    width = 2 * each_side + 1
    return np.asarray((sums[:, width:] - sums[:, :-width] - folded) / (width - 1), dtype=np.float64)


def _slow_fraction(values: FloatArray, each_side: int) -> FloatArray:
    """Return the part of the variance that the mean of the neighbours in time, itself left out, explains."""
    inner = values[:, each_side:-each_side]
    missed = np.mean((inner - _circular_mean(values, each_side)[:, each_side:-each_side]) ** 2, axis=1)
    fraction: FloatArray = 1.0 - missed / (inner.var(axis=1) + _TINY)
    return fraction


def _roughness(values: FloatArray) -> FloatArray:
    steps = np.mean(np.diff(values, axis=1) ** 2, axis=1)
    return np.asarray(0.5 * steps / (values.var(axis=1) + 1e-9), dtype=np.float64)


def _correlation(values: FloatArray, lag: int) -> FloatArray:
    centred = values - values.mean(axis=1, keepdims=True)
    product = np.mean(centred[:, lag:] * centred[:, :-lag], axis=1)
    return np.asarray(product / (values.var(axis=1) + 1e-9), dtype=np.float64)


def _median_deviation(values: FloatArray) -> FloatArray:
    """Return the standard deviation of a Gaussian with this median absolute deviation."""
    deviation = np.abs(values - np.median(values, axis=1, keepdims=True))
    return np.asarray(1.4826 * np.median(deviation, axis=1), dtype=np.float64)
