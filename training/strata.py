"""The same figures for parts of the windows: by number of epochs, signal-to-noise, period, class."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from training.metrics import roc_auc
from training.scored import BoolArray, ScoredWindows

_EPOCH_EDGES = (200, 400, 600, 1000)
_NOISE_EDGES = (1.5, 3.0, 6.0)


@dataclass(frozen=True, slots=True)
class Stratum:
    """One part.

    Attributes
    ----------
    name : str
    n_known, n_novel : int
        Windows.
    accuracy, balanced_accuracy : float or None
        Of known windows; the latter over the classes present.
    false_novel_rate : float or None
        Known windows with a p-value of at most 0.05.
    roc_auc : float or None
        Of the energy; the novel windows of this part against its known ones.
    """

    name: str
    n_known: int
    n_novel: int
    accuracy: float | None
    balanced_accuracy: float | None
    false_novel_rate: float | None
    roc_auc: float | None


def strata(scored: ScoredWindows) -> dict[str, list[Stratum]]:
    """Return the figures by each property that could decide them."""
    verdict = scored.period_verdict()
    verdicts = [(name, verdict == name) for name in ("right", "factor 2", "wrong", "no reference")]
    parts: dict[str, list[tuple[str, BoolArray]]] = {
        "epochs of the star": _ranges(scored.n_epochs.astype(float), _EPOCH_EDGES, whole=True),
        "signal to noise": _ranges(scored.signal_to_noise, (0.0, *_NOISE_EDGES)),
        "period of the window": verdicts,
        "true class": [(name, scored.label == k) for k, name in enumerate(scored.classes)],
    }
    return {
        name: [_stratum(label, scored.take(inside)) for label, inside in ranges if inside.any()]
        for name, ranges in parts.items()
    }


def _ranges(
    values: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    edges: tuple[float, ...],
    *,
    whole: bool = False,
) -> list[tuple[str, BoolArray]]:
    bounds = [*edges, np.inf]
    named = []
    for low, high in itertools.pairwise(bounds):
        if np.isinf(high):
            name = f"{low:g} and more"
        else:
            name = f"{low:g} to {high - 1:g}" if whole else f"{low:g} to {high:g}"
        named.append((name, np.asarray((values >= low) & (values < high))))
    return named


def _stratum(name: str, part: ScoredWindows) -> Stratum:
    known = part.known
    right = part.predicted[known] == part.label[known]
    recalls = [np.mean(right[part.label[known] == k]) for k in np.unique(part.label[known])]
    p_values = part.p_value[known]
    both = known.any() and not known.all()
    return Stratum(
        name=name,
        n_known=int(known.sum()),
        n_novel=int((~known).sum()),
        accuracy=float(right.mean()) if known.any() else None,
        balanced_accuracy=float(np.mean(recalls)) if recalls else None,
        false_novel_rate=float(np.mean(p_values <= 0.05)) if np.isfinite(p_values).any() else None,
        roc_auc=roc_auc(part.energy[known], part.energy[~known]) if both else None,
    )
