"""Judge a bundle on labelled light curves, with the very scorer that the stream runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from broker_plugin.errors import InputError
from broker_plugin.model import Scorer, open_scorer
from broker_plugin.model.runtime import RuntimeName
from broker_plugin.records.epoch import FloatArray
from training.bootstrap import Interval, bootstrap_intervals
from training.metrics import (
    ClassificationFigures,
    IntArray,
    NoveltyFigures,
    classification_figures,
    cut_figures,
    p_value_fractions,
    roc_auc,
)
from training.novelty_scores import NoveltyScore, novelty_scores
from training.periods import SEARCH, FoldPeriods, periods_for
from training.reliability import PValueCalibration, Reliability, p_value_calibration, reliability
from training.scored import ScoredWindows, score_windows
from training.split import split_by_star
from training.strata import Stratum, strata
from training.windows import WindowTable, read_windows

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
        With at least one window that can be scored.
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
    star_balanced_accuracy : float or None
        Mean recall of the classes, by star.
    intervals : dict of str to Interval
        95 % intervals of the main figures over bootstrapped groups of stars.
    novelty_scores : dict of str to NoveltyScore
        The energy beside single quantities that the model gives, each as a detector of its own.
    reliability : Reliability or None
        Of the probabilities of known windows.
    p_values : PValueCalibration or None
    strata : dict of str to list of Stratum
        By number of epochs, signal-to-noise, period, class.
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
    star_balanced_accuracy: float | None
    intervals: dict[str, Interval]
    novelty_scores: dict[str, NoveltyScore]
    reliability: Reliability | None
    p_values: PValueCalibration | None
    strata: dict[str, list[Stratum]]


def evaluate_bundle(
    bundle: Path,
    data: Path,
    cache: Path,
    *,
    periods: str = SEARCH,
    stars: Stars = "auto",
    split: str | None = None,
    runtime: RuntimeName = "onnxruntime",
    threads: int = 1,
    processes: int = 1,
    scores_to: Path | None = None,
    progress: Progress = lambda _: None,
) -> Evaluation:
    """Open a bundle and evaluate it on a file.

    With ``stars="auto"`` and the bundle's own training data only the stars that it never saw are used:
    the validation part of its split and all NOVEL stars. ``split`` takes only the stars with that value in
    the column ``split``. ``scores_to`` gets the scores, one row a window, as parquet.

    Raises
    ------
    InputError
        If the data cannot be read, lack a column ``split`` that is asked for, or hold no such star.
    """
    scorer = open_scorer(bundle, runtime, threads=threads)
    table = read_windows(data)
    index, which = stars_to_judge(scorer, table, stars)
    if split is not None:
        index = index[np.isin(table.star_id[index], _stars_of(data, split))]
        which = f"{which}, split {split}"
        if len(index) == 0:
            msg = (
                f"{data}: no window to judge is left of split {split!r}; try --stars all, or another --split"
            )
            raise InputError(msg)
    found = periods_for(table, periods, cache, index=index, processes=processes, progress=progress)
    scored = score_windows(scorer, table, found.period_days, index, progress)
    if scores_to is not None:
        scored.write(scores_to)
    return judge(scorer, scored, found, table.data_digest, data_name=data.name, stars=which)


def stars_to_judge(scorer: Scorer, table: WindowTable, stars: Stars) -> tuple[IntArray, str]:
    """Return the windows to use and a word for them."""
    provenance = scorer.bundle.manifest.provenance
    if stars == "auto" and table.data_digest == provenance.data_digest:
        split = split_by_star(table, provenance.seed)
        return np.concatenate([split.validate, split.novel]), "validation split and NOVEL"
    return np.arange(len(table)), "all"


def _stars_of(data: Path, split: str) -> npt.NDArray[np.str_]:
    """Return the ids of the stars of one value of the column ``split``."""
    if "split" not in pq.read_schema(data).names:
        msg = f"{data}: column 'split' is missing, but --split {split} asks for it; leave --split out"
        raise InputError(msg)
    columns = pq.read_table(data, columns=["star_id", "split"]).to_pydict()
    pairs = list(zip(columns["star_id"], columns["split"], strict=True))
    chosen = [str(star) for star, value in pairs if str(value) == split]
    if not chosen:
        found = ", ".join(sorted({str(value) for value in columns["split"]}))
        msg = f"{data}: no star has split {split!r}; found {found}"
        raise InputError(msg)
    return np.array(chosen)


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
    scored = score_windows(scorer, table, periods.period_days, index, progress)
    return judge(scorer, scored, periods, table.data_digest, data_name=data_name, stars=stars)


def judge(
    scorer: Scorer,
    scored: ScoredWindows,
    periods: FoldPeriods,
    data_digest: str,
    *,
    data_name: str,
    stars: str,
) -> Evaluation:
    """Compare scores with labels."""
    manifest = scorer.bundle.manifest
    known = scored.take(scored.known)
    novel = scored.take(~scored.known)
    has_known, has_both = len(known) > 0, len(known) > 0 and len(novel) > 0
    by_star = _by_star(known) if has_known else None
    calibration = p_value_calibration(known.p_value, known.group) if has_known else None
    return Evaluation(
        model=f"{manifest.name} {manifest.version}",
        model_digest=scorer.bundle.digest,
        data_name=data_name,
        data_digest=data_digest,
        stars=stars,
        period_source=periods.source,
        search_digest=periods.search_digest,
        n_stars=len(set(scored.star_id.tolist())),
        classification=(
            classification_figures(known.label, known.predicted, manifest.classes) if has_known else None
        ),
        star_accuracy=by_star.accuracy if by_star else None,
        novelty=_novelty(scorer, known, novel) if has_both else None,
        p_value_fractions=p_value_fractions(known.p_value) if calibration else None,
        energy_spread=float(np.subtract(*np.percentile(scored.energy, [90, 10]))),
        star_balanced_accuracy=by_star.balanced_accuracy if by_star else None,
        intervals=bootstrap_intervals(scored),
        novelty_scores=novelty_scores(scored) if has_both else {},
        reliability=reliability(known.probabilities, known.label) if has_known else None,
        p_values=calibration,
        strata=strata(scored),
    )


def _by_star(known: ScoredWindows) -> ClassificationFigures:
    """Return the figures with one vote a star: the mean of the probabilities of its windows."""
    _, first, star = np.unique(known.star_id, return_index=True, return_inverse=True)
    summed: FloatArray = np.zeros((len(first), known.probabilities.shape[1]))
    np.add.at(summed, star, known.probabilities)
    return classification_figures(known.label[first], summed.argmax(axis=1), known.classes)


def _novelty(scorer: Scorer, known: ScoredWindows, novel: ScoredWindows) -> NoveltyFigures:
    thresholds = scorer.bundle.manifest.thresholds
    return NoveltyFigures(
        n_known=len(known),
        n_novel=len(novel),
        roc_auc=roc_auc(known.energy, novel.energy),
        roc_auc_reconstruction_error=roc_auc(known.euclidean, novel.euclidean),
        at_80=cut_figures(known.energy, novel.energy, thresholds.percentile_80),
        at_95=cut_figures(known.energy, novel.energy, thresholds.percentile_95),
    )
