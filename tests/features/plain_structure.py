"""The structure features of one window as their definitions read, for comparison with those that are fast."""

from __future__ import annotations

import numpy as np

TINY = 1e-3


def plain_features(time: np.ndarray, mag: np.ndarray, period: float) -> dict[str, float]:
    """Return the features of a window, shape (L,), in time order."""
    values = (mag - mag.mean()) / mag.std()
    order = np.argsort(np.mod((time - time[0]) / period, 1.0), kind="stable")
    folded = values[order]
    residuals = np.empty_like(values)
    residuals[order] = folded - neighbour_mean(np.concatenate([folded[-5:], folded, folded[:5]]), 5)
    found = {"log10_std": np.log10(mag.std()), "log10_period": np.log10(period)}
    return found | distribution(values) | left(values, folded, residuals) | fourier(time, values, period)


def distribution(values: np.ndarray) -> dict[str, float]:
    """Return moments and percentiles."""
    p2, p10, p25, p50, p75, p90, p98 = np.percentile(values, [2, 10, 25, 50, 75, 90, 98])
    full = p98 - p2 + TINY
    return {
        "range_over_std": full,
        "iqr_over_range": (p75 - p25) / full,
        "tail_skewness": (p90 + p10 - 2 * p50) / (p90 - p10 + TINY),
        "skewness": np.mean(values**3),
        "log_kurtosis": np.log(np.mean(values**4)),
    }


def left(values: np.ndarray, folded: np.ndarray, residuals: np.ndarray) -> dict[str, float]:
    """Return what the order of the epochs and the residuals say."""
    inflation = np.sqrt(1.1)
    deviation = 1.4826 * np.median(np.abs(residuals - np.median(residuals)))
    standard = (residuals - residuals.mean()) / (residuals.std() + TINY)
    blocks = np.split(standard, 10)
    return {
        "fold_residual": np.sqrt(np.mean(residuals**2)) / inflation,
        "fold_residual_mad": deviation / inflation,
        "fold_roughness": roughness(folded),
        "time_roughness": roughness(values),
        "residual_roughness": roughness(residuals),
        **{f"residual_correlation_{lag}": correlation(residuals, lag) for lag in (1, 4, 16)},
        "slow_5": slow_fraction(values, 5),
        "slow_15": slow_fraction(values, 15),
        "residual_slow_15": slow_fraction(residuals, 15),
        "log_largest_residual": np.log(np.abs(residuals).max() / (deviation + TINY) + TINY),
        "residual_log_kurtosis": np.log(np.mean(standard**4) + TINY),
        "residual_skewness": np.mean(standard**3),
        "residual_block_scatter": np.log(np.var([np.mean(b) for b in blocks]) * len(blocks[0]) + TINY),
        "block_amplitude_change": np.std([np.log(np.std(b) + TINY) for b in blocks]),
    }


def fourier(time: np.ndarray, values: np.ndarray, period: float) -> dict[str, float]:
    """Return what Fourier series at the period, its half and its double say."""
    amplitudes, explained = ridge_fit(time, values, period, 6)
    size = np.abs(amplitudes)
    found = {}
    for k in (2, 3, 4):
        found[f"log_ratio_{k}1"] = np.log((size[k - 1] + 0.02) / (size[0] + 0.02))
        turned = amplitudes[k - 1] * np.conj(amplitudes[0]) ** k / (size[0] ** k + 1e-9)
        damped = turned / (size[k - 1] + 0.1 * size[0] + 0.05)
        found |= {f"cos_phi_{k}1": damped.real, f"sin_phi_{k}1": damped.imag}
    found |= {f"explained_{h}": explained[h - 1] for h in (1, 2, 4)}
    found["explained_half"] = ridge_fit(time, values, period / 2, 3)[1][-1]
    found["odd_gain"] = ridge_fit(time, values, 2 * period, 8)[1][-1] - explained[3]
    phase = np.arange(64) / 64
    curve = sum(a * np.exp(2j * np.pi * (k + 1) * phase) for k, a in enumerate(amplitudes)).real
    curve = np.roll(curve, -int(curve.argmax()))
    return found | {
        "secondary_depth": curve[28:37].max() / max(curve[0], 0.1),
        "faint_width": np.mean(curve > 0.5 * (curve.max() + curve.min())),
        "asymmetry": np.mean(curve[1:32] - curve[:32:-1]),
    }


def ridge_fit(
    time: np.ndarray, values: np.ndarray, period: float, n_harmonics: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return amplitudes, and the part of the variance that each shorter series of the same ridge explains."""
    angle = 2 * np.pi * (time - time[0]) / period
    columns = [np.ones_like(values)]
    for k in range(1, n_harmonics + 1):
        columns += [np.cos(k * angle), np.sin(k * angle)]
    explained = []
    for h in range(1, n_harmonics + 1):
        design = np.stack(columns[: 2 * h + 1], axis=1)
        right = design.T @ values
        solution = np.linalg.solve(design.T @ design + np.eye(2 * h + 1), right)
        explained.append(right @ solution / (values @ values))
    return solution[1::2] - 1j * solution[2::2], np.array(explained)


def neighbour_mean(values: np.ndarray, each_side: int) -> np.ndarray:
    """Return the mean of the points on each side, without the point itself, where there are as many."""
    kernel = np.ones(2 * each_side + 1)
    kernel[each_side] = 0
    return np.convolve(values, kernel / kernel.sum(), mode="valid")


def slow_fraction(values: np.ndarray, each_side: int) -> float:
    """Return the part of the variance that the neighbours in time explain."""
    inner = values[each_side:-each_side]
    return 1 - np.mean((inner - neighbour_mean(values, each_side)) ** 2) / (inner.var() + TINY)


def roughness(values: np.ndarray) -> float:
    """Return the von Neumann ratio over 2."""
    return 0.5 * np.mean(np.diff(values) ** 2) / (values.var() + 1e-9)


def correlation(values: np.ndarray, lag: int) -> float:
    """Return the autocorrelation."""
    centred = values - values.mean()
    return np.mean(centred[lag:] * centred[:-lag]) / (values.var() + 1e-9)
