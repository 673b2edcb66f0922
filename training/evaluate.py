"""Judge a bundle on labelled light curves, with the very scorer that the stream runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from broker_plugin.model import Score, Scorer, ScoringWindow, open_scorer
from broker_plugin.model.runtime import RuntimeName
from broker_plugin.records.epoch import FloatArray
from training.metrics import (
    ClassificationFigures,
    IntArray,
    NoveltyFigures,
    classification_figures,
    cut_figures,
    p_value_fractions,
    roc_auc,
)
from training.periods import SEARCH, FoldPeriods, periods_for
from training.split import split_by_star
from training.windows import NOVEL_LABEL, WindowTable, read_windows

Progress = Callable[[str], None]
Stars = Literal["auto", "all"]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that one evaluation says; written as JSON.

    Attributes
    ----------
    model, model_digest : str
        Name and version; digest of the manifest, empty while the bundle is being made.
    data_name, data_digest : str
    stars : str
        Which stars of the file were used.
    period_source, search_digest : str
    n_stars : int
    classification : ClassificationFigures or None
        Of windows of known classes; None without any.
    star_accuracy : float or None
        Of stars, by the mean of the probabilities of their windows.
    novelty : NoveltyFigures or None
        None without windows of both kinds.
    p_value_fractions : dict of str to float or None
        Fraction of known windows with a p-value of at most the key.
    energy_spread : float
        Interdecile range of all energies: a detector that gives one score to everything has 0.
    """

    model: str
    model_digest: str
    data_name: str
    data_digest: str
    stars: str
    period_source: str
    search_digest: str
    n_stars: int
    classification: ClassificationFigures | None
    star_accuracy: float | None
    novelty: NoveltyFigures | None
    p_value_fractions: dict[str, float] | None
    energy_spread: float


def evaluate_bundle(
    bundle: Path,
    data: Path,
    cache: Path,
    *,
    periods: str = SEARCH,
    stars: Stars = "auto",
    runtime: RuntimeName = "onnxruntime",
    threads: int = 1,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> Evaluation:
    """Open a bundle and evaluate it on a file.

    With ``stars="auto"`` and the bundle's own training data only the stars that it never saw are used:
    the validation part of its split and all NOVEL stars.
    """
    scorer = open_scorer(bundle, runtime, threads=threads)
    table = read_windows(data)
    index, which = stars_to_judge(scorer, table, stars)
    found = periods_for(table, periods, cache, index=index, processes=processes, progress=progress)
    return evaluate(
        scorer,
        table,
        found,
        index,
        data_name=data.name,
        stars=which,
        progress=progress,
    )


def stars_to_judge(scorer: Scorer, table: WindowTable, stars: Stars) -> tuple[IntArray, str]:
    """Return the windows to use and a word for them."""
    provenance = scorer.bundle.manifest.provenance
    if stars == "auto" and table.data_digest == provenance.data_digest:
        split = split_by_star(table, provenance.seed)
        return np.concatenate([split.validate, split.novel]), "validation split and NOVEL"
    return np.arange(len(table)), "all"


def evaluate(
    scorer: Scorer,
    table: WindowTable,
    periods: FoldPeriods,
    index: IntArray,
    *,
    data_name: str,
    stars: str,
    progress: Progress = lambda _: None,
) -> Evaluation:
    """Score the windows ``index`` of a table and compare with their labels."""
    scores = score_windows(scorer, table, periods.period_days, index, progress)
    label = table.label[index]
    known = label != NOVEL_LABEL
    probabilities = np.array([score.probabilities for score in scores])
    energy = np.array([score.energy for score in scores])
    manifest = scorer.bundle.manifest
    p_values = np.array([np.nan if score.p_value is None else score.p_value for score in scores])
    classification = None
    if known.any():
        predicted = probabilities[known].argmax(axis=1)
        classification = classification_figures(label[known], predicted, manifest.classes)
    return Evaluation(
        model=f"{manifest.name} {manifest.version}",
        model_digest=scorer.bundle.digest,
        data_name=data_name,
        data_digest=table.data_digest,
        stars=stars,
        period_source=periods.source,
        search_digest=periods.search_digest,
        n_stars=len(set(table.star_id[index])),
        classification=classification,
        star_accuracy=_star_accuracy(table.star_id[index][known], label[known], probabilities[known]),
        novelty=_novelty(scorer, scores, energy, known),
        p_value_fractions=p_value_fractions(p_values[known]) if np.isfinite(p_values[known]).any() else None,
        energy_spread=float(np.subtract(*np.percentile(energy, [90, 10]))),
    )


def score_windows(
    scorer: Scorer,
    table: WindowTable,
    period_days: FloatArray,
    index: IntArray,
    progress: Progress = lambda _: None,
) -> list[Score]:
    """Score windows of a table in blocks, telling how far it is."""
    scores: list[Score] = []
    for start in range(0, len(index), _BLOCK):
        block = index[start : start + _BLOCK]
        scores += scorer.score(
            [
                ScoringWindow(table.time_mjd[i], table.mag[i], table.magerr[i], float(period_days[i]))
                for i in block
            ]
        )
        progress(f"scored {len(scores)}/{len(index)}")
    return scores


_BLOCK = 2048


def _star_accuracy(star_id: npt.NDArray[np.str_], label: IntArray, probabilities: FloatArray) -> float | None:
    if len(label) == 0:
        return None
    _, first, star = np.unique(star_id, return_index=True, return_inverse=True)
    summed = np.zeros((len(first), probabilities.shape[1]))
    np.add.at(summed, star, probabilities)
    return float(np.mean(summed.argmax(axis=1) == label[first]))


def _novelty(
    scorer: Scorer, scores: list[Score], energy: FloatArray, known: npt.NDArray[np.bool_]
) -> NoveltyFigures | None:
    if known.all() or not known.any():
        return None
    thresholds = scorer.bundle.manifest.thresholds
    error = np.array([score.euclidean for score in scores])
    return NoveltyFigures(
        n_known=int(known.sum()),
        n_novel=int((~known).sum()),
        roc_auc=roc_auc(energy[known], energy[~known]),
        roc_auc_reconstruction_error=roc_auc(error[known], error[~known]),
        at_80=cut_figures(energy[known], energy[~known], thresholds.percentile_80),
        at_95=cut_figures(energy[known], energy[~known], thresholds.percentile_95),
    )
