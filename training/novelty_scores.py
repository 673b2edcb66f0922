"""Every quantity that a model gives, as a novelty detector of its own beside the energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from broker_plugin.records.epoch import FloatArray
from training.metrics import roc_auc
from training.scored import ScoredWindows


@dataclass(frozen=True, slots=True)
class NoveltyScore:
    """How well one score ranks novel windows above known ones.

    Attributes
    ----------
    roc_auc, average_precision : float
        The latter depends on the share of novel windows; a score that knows nothing has that share.
    lower_is_novel : bool
        The score was turned round since that fits *these* labels better: an upper bound of what it can do.
    """

    roc_auc: float
    average_precision: float
    lower_is_novel: bool


def novelty_scores(scored: ScoredWindows) -> dict[str, NoveltyScore]:
    """Judge the energy, the p-value, 1 - max p, and the quantities of Eq. 2 and of the window.

    Only those that have no natural sense (period, scatter, signal-to-noise, mean magnitude) are turned round.
    """
    known = scored.known
    finite = np.isfinite(scored.p_value).all()
    natural = {
        "energy": scored.energy,
        **({"1 - p-value": 1.0 - scored.p_value} if finite else {}),
        "1 - highest probability": 1.0 - scored.probabilities.max(axis=1),
        "reconstruction error": scored.euclidean,
    }
    either = {
        "cosine feature": scored.cosine,
        "log10 period": np.log10(scored.period_days),
        "scatter": scored.std_mag,
        "signal to noise": scored.signal_to_noise,
        "mean magnitude": scored.mean_mag,
    }
    found = {name: score_figures(value[known], value[~known]) for name, value in natural.items()}
    return found | {name: best_side(value[known], value[~known]) for name, value in either.items()}


def score_figures(known: FloatArray, novel: FloatArray, *, lower_is_novel: bool = False) -> NoveltyScore:
    """Return the figures of a score of known and of novel windows."""
    sign = -1.0 if lower_is_novel else 1.0
    truth = np.concatenate([np.zeros(len(known)), np.ones(len(novel))])
    values = sign * np.concatenate([known, novel])
    return NoveltyScore(
        roc_auc=roc_auc(sign * known, sign * novel),
        average_precision=float(average_precision_score(truth, values)),
        lower_is_novel=lower_is_novel,
    )


def best_side(known: FloatArray, novel: FloatArray) -> NoveltyScore:
    """Return the figures of the score or of its negative, whichever ranks these windows better."""
    return score_figures(known, novel, lower_is_novel=roc_auc(known, novel) < 0.5)
