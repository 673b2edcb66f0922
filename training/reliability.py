"""Whether probabilities and p-values mean what they say."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, kstest

from broker_plugin.records.epoch import FloatArray
from training.metrics import IntArray
from training.scored import BoolArray

_BINS = 10
P_LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Windows whose highest probability lies in (low, high]: its mean, and how often it was right."""

    low: float
    high: float
    n_windows: int
    mean_probability: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """Of the highest probability.

    Attributes
    ----------
    expected_calibration_error : float
        Mean of |accuracy - probability| over the bins, weighted by their windows (Naeini et al. 2015).
    brier : float
        Mean squared difference of all probabilities from the truth, summed over the classes; 0 to 2.
    log_loss : float
        Nats.
    bins : list of ReliabilityBin
        Without the empty ones.
    """

    expected_calibration_error: float
    brier: float
    log_loss: float
    bins: list[ReliabilityBin]


@dataclass(frozen=True, slots=True)
class PValueCalibration:
    """How often known windows have a p-value of at most each level.

    Attributes
    ----------
    n_windows, n_groups : int
        Windows of one group of stars are not independent.
    fractions : dict of str to float
        By level; ideally the level itself.
    intervals : dict of str to (float, float)
        95 % intervals of the fractions as if each *group* was one draw (Clopper-Pearson): wide on purpose.
    ks_statistic : float
        Largest distance from the uniform distribution.
    """

    n_windows: int
    n_groups: int
    fractions: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    ks_statistic: float


def reliability(probabilities: FloatArray, label: IntArray) -> Reliability:
    """Compare probabilities, shape (n, K), with class indices, shape (n,)."""
    highest = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == label
    bins = []
    edges = np.linspace(0, 1, _BINS + 1)
    for low, high in itertools.pairwise(edges):
        inside = (highest > low) & (highest <= high)
        if inside.any():
            bins.append(
                ReliabilityBin(
                    low=float(low),
                    high=float(high),
                    n_windows=int(inside.sum()),
                    mean_probability=float(highest[inside].mean()),
                    accuracy=float(right[inside].mean()),
                )
            )
    truth = np.eye(probabilities.shape[1])[label]
    of_truth = np.clip(probabilities[np.arange(len(label)), label], 1e-15, 1.0)
    return Reliability(
        expected_calibration_error=float(
            sum(one.n_windows * abs(one.accuracy - one.mean_probability) for one in bins) / len(label)
        ),
        brier=float(np.mean(np.sum((probabilities - truth) ** 2, axis=1))),
        log_loss=float(-np.mean(np.log(of_truth))),
        bins=bins,
    )


def p_value_calibration(p_values: FloatArray, group: IntArray) -> PValueCalibration | None:
    """Judge the p-values of known windows; None where there are none."""
    finite: BoolArray = np.isfinite(p_values)
    if not finite.any():
        return None
    values = p_values[finite]
    n_groups = len(np.unique(group[finite]))
    fractions = {f"{level:g}": float(np.mean(values <= level)) for level in P_LEVELS}
    intervals = {}
    for level, fraction in fractions.items():
        interval = binomtest(round(fraction * n_groups), n_groups).proportion_ci(0.95)
        intervals[level] = (float(interval.low), float(interval.high))
    return PValueCalibration(
        n_windows=len(values),
        n_groups=n_groups,
        fractions=fractions,
        intervals=intervals,
        ks_statistic=float(kstest(values, "uniform").statistic),
    )
