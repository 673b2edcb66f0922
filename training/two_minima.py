"""Learn from labelled stars which light curves have two minima a cycle.

Of each window the search's winner and the pair of like folds about it is taken, (P, 2P), where the star's
period is one of the two; a quadratic logistic regression learns which. Classes count with the power 0.35 of
their numbers, lest binaries, of which there are most, decide alone. Stars of other kinds are not used.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from broker_plugin.errors import InputError
from broker_plugin.model.conventions import CLASSES
from broker_plugin.period.doubling import LONG_FREQUENCY, pair_about
from broker_plugin.period.light_curve import LightCurve
from broker_plugin.period.search import rank_frequencies
from broker_plugin.period.settings import PeriodSettings
from broker_plugin.period.two_minima import MARKS, Decision, marks_of
from broker_plugin.records.epoch import Float32Array, FloatArray
from training.period_recovery import NEAR
from training.windows import NOVEL_LABEL, WindowTable

Progress = Callable[[str], None]

_CLASS_POWER = 0.35
_PENALTY = 0.05  # scikit-learn's C
_CLIP = (0.005, 0.995)  # quantiles of each mark
_FOLDS = 5
_BLOCK = 512  # windows of one piece of work
_LEAST_PAIRS = 200


@dataclass(frozen=True, slots=True)
class Pairs:
    """Marks of the pairs, and which of the two is the period.

    Attributes
    ----------
    marks : ndarray, shape (n, 11), float64
    doubled : ndarray, shape (n,), bool
    label, group : ndarray, shape (n,), int64
    """

    marks: FloatArray
    doubled: npt.NDArray[np.bool_]
    label: npt.NDArray[np.int64]
    group: npt.NDArray[np.int64]


def collect_pairs(
    table: WindowTable, column: str, *, processes: int = 1, progress: Progress = lambda _: None
) -> Pairs:
    """Search every known window and keep the pairs that hold the star's period.

    Raises
    ------
    InputError
        If the data have no such period column, or too few pairs.
    """
    if column not in table.columns_period_days:
        columns = ", ".join(table.columns_period_days)
        msg = f"no period column {column!r} in the data; expected one of {columns}"
        raise InputError(msg)
    truth = table.columns_period_days[column]
    known = np.flatnonzero((table.label != NOVEL_LABEL) & np.isfinite(truth))
    blocks = [known[start : start + _BLOCK] for start in range(0, len(known), _BLOCK)]
    found = []
    with ProcessPoolExecutor(processes) as pool:
        work = ((table.time_mjd[b], table.mag[b], table.magerr[b], truth[b]) for b in blocks)
        for done, rows in enumerate(pool.map(_pairs_of_block, *zip(*work, strict=True)), start=1):
            found.append(rows)
            progress(f"pairs: {min(done * _BLOCK, len(known))}/{len(known)} windows")
    marks = np.concatenate([rows for rows, _ in found])
    side = np.concatenate([side for _, side in found])
    kept = side >= 0
    if kept.sum() < _LEAST_PAIRS or len(np.unique(side[kept])) < 2:
        count = f"{int(kept.sum())} windows with a known pair of periods"
        msg = f"{count}; at least {_LEAST_PAIRS}, of both kinds, are needed"
        raise InputError(msg)
    index = known[kept]
    return Pairs(marks[kept], side[kept] == 1, table.label[index], table.group[index])


def fit_decision(
    pairs: Pairs, bar: float, source: str
) -> tuple[Decision, tuple[tuple[str, int, float], ...]]:
    """Fit the decision on all pairs, and judge it by fits on four fifths of the groups each.

    Returns
    -------
    Decision
    tuple of (str, int, float)
        Class, its pairs, and the fraction of them that is right on stars that were not fitted on.
    """
    known = np.bincount(pairs.label, minlength=len(CLASSES))
    weight: FloatArray = known[pairs.label].astype(np.float64) ** (_CLASS_POWER - 1.0)
    fit = partial(_fit, bar=bar, source=source)
    right = np.zeros(len(pairs.label), dtype=bool)
    for seen, unseen in GroupKFold(_FOLDS).split(pairs.marks, groups=pairs.group):
        decision = fit(pairs.marks[seen], pairs.doubled[seen], weight[seen])
        right[unseen] = (decision.log_odds(pairs.marks[unseen]) > bar) == pairs.doubled[unseen]
    judged = tuple(
        (name, int(known[i]), float(right[pairs.label == i].mean()))
        for i, name in enumerate(CLASSES)
        if known[i]
    )
    return fit(pairs.marks, pairs.doubled, weight), judged


def _fit(
    marks: FloatArray, doubled: npt.NDArray[np.bool_], weight: FloatArray, *, bar: float, source: str
) -> Decision:
    lowest, highest = np.quantile(marks, _CLIP, axis=0)
    clipped = np.clip(marks, lowest, highest)
    centre, scale = clipped.mean(axis=0), clipped.std(axis=0)
    unit = np.where(scale > 0, scale, 1.0)
    standard = (clipped - centre) / unit
    i, j = np.triu_indices(len(MARKS))
    terms = np.concatenate([standard, standard[:, i] * standard[:, j]], axis=1)
    regression = LogisticRegression(C=_PENALTY, max_iter=2000)
    regression.fit(terms, doubled, sample_weight=weight / weight.mean())
    numbers = [_rounded(part) for part in (lowest, highest, centre, unit, *regression.coef_)]
    return Decision(
        marks=MARKS,
        lowest=numbers[0],
        highest=numbers[1],
        centre=numbers[2],
        scale=numbers[3],
        intercept=_rounded(regression.intercept_)[0],
        linear=numbers[4][: len(MARKS)],
        quadratic=numbers[4][len(MARKS) :],
        bar=bar,
        source=source,
    )


def _rounded(values: FloatArray) -> tuple[float, ...]:
    """Return numbers that are short in a file."""
    return tuple(float(f"{value:.6g}") for value in values)


def _pairs_of_block(
    time: FloatArray, mag: Float32Array, magerr: Float32Array, truth: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Return the marks of each window, and 0 or 1 for the short or double period, -1 where it is neither."""
    marks, side = np.zeros((len(truth), len(MARKS))), np.full(len(truth), -1)
    settings = PeriodSettings()
    for row, period in enumerate(truth):
        ranked = rank_frequencies(time[row], mag[row], magerr[row], settings)
        if isinstance(ranked, LightCurve):
            continue
        winner = float(ranked.comparison.frequencies[0])
        if winner < LONG_FREQUENCY:
            continue
        pair = pair_about(ranked.curve, winner, ranked.limits)
        near = [abs(1.0 / (one.frequency * period) - 1.0) < NEAR for one in (pair.short, pair.double)]
        if pair.may_double and any(near):
            marks[row], side[row] = marks_of(ranked.curve, pair.short, pair.double), near.index(True)
    return marks, side
