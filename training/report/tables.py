"""The report's tables: a heading, a sentence, columns and rows of text; HTML and Markdown show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.evaluate import Evaluation
from training.report.results import ModelResults, Results
from training.reproduce.actions import Z_FEATURES
from training.reproduce.variants import (
    PAPER_CONDITIONS,
    PAPER_CONDITIONS_SEQUENTIAL,
    PAPER_JOINT,
    PAPER_SEQUENTIAL,
)
from training.text_tables import number

_FEW_SEEDS = 2


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading; the first column is a name, the others are figures."""

    heading: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def all_tables(results: Results) -> list[Table]:
    """Return the tables in the order of the report, without the empty ones."""
    tables = [
        table_2(results),
        _classification(results),
        _recalls(results),
        _novelty(results),
        _baselines(results),
        _leave_one_out(results),
        _comparisons(results),
        _folds(results),
        _p_values(results),
        *_parts(results),
        _period_recovery(results),
        _period_methods(results),
    ]
    return [table for table in tables if table.rows]


def spread(values: Sequence[float | None], digits: int = 3) -> str:
    """Return mean and standard deviation of a figure over seeds or folds."""
    found = np.array([value for value in values if value is not None], dtype=float)
    if len(found) == 0:
        return "-"
    if len(found) < _FEW_SEEDS:
        return f"{found[0]:.{digits}f}"
    return f"{found.mean():.{digits}f} ± {found.std(ddof=1):.{digits}f}"


def table_2(results: Results) -> Table:
    """Return the paper's Table 2 with our figures beside it."""
    columns = {
        "joint": (
            [results.named(PAPER_CONDITIONS)],
            [results.named(PAPER_JOINT)],
            results.joint,
        ),
        "sequential": (
            [results.named(PAPER_CONDITIONS_SEQUENTIAL)],
            [results.named(PAPER_SEQUENTIAL)],
            [],
        ),
    }
    found = {
        mode: [[model for model in models if model is not None] for models in parts]
        for mode, parts in columns.items()
    }
    rows: list[tuple[str, ...]] = [
        ("joint training, accuracy", "0.988 (0.991)", *(_accuracy(models) for models in found["joint"])),
        ("sequential, accuracy", "0.967 (0.966)", *(_accuracy(models) for models in found["sequential"])),
        ("random forest on z, accuracy", "0.992 (0.994)", *(_forest(models) for models in found["joint"])),
    ]
    paper = {
        ("joint", 95): ("0.885 (0.898)", "0.815 (0.957)", "0.848 (0.927)"),
        ("joint", 80): ("0.686 (0.700)", "0.941 (0.991)", "0.793 (0.821)"),
        ("sequential", 95): ("0.875 (0.896)", "0.778 (0.933)", "0.824 (0.914)"),
    }
    for (mode, percentile), published in paper.items():
        for name, of_paper in zip(("precision", "recall", "f1"), published, strict=True):
            words = "F1" if name == "f1" else name
            figures = (_cut(models, percentile, name) for models in found[mode])
            rows.append((f"{mode}, novelty at {percentile} %, {words}", of_paper, *figures))
    return Table(
        "Table 2 of Tsang & Schultz (2019)",
        "Theirs: ASAS-SN, in brackets with Gaia and WISE colours, which these data lack. Beside it, on these "
        "data: the paper's recipe under its own conditions (catalogue periods, split by sequence: windows of "
        "one star on both sides, so too good); the same recipe as a stream meets stars (periods found on "
        "each window, split by star); our recipe, likewise, with the standard deviation over the seeds. "
        "Precision depends on how many novel windows there are among all: judging by their figures about a "
        f"third in the paper, here {_novel_share(results)}.",
        ("", "paper", "its recipe and conditions", "its recipe, by star", "ours, by star"),
        rows,
    )


def _novel_share(results: Results) -> str:
    novelty = results.joint[0].evaluation.novelty
    if novelty is None:
        return "none"
    return f"{100 * novelty.n_novel / (novelty.n_novel + novelty.n_known):.0f} %"


def _accuracy(models: Sequence[ModelResults]) -> str:
    found = [model.evaluation.classification for model in models]
    return spread([one.accuracy for one in found if one is not None])


def _forest(models: Sequence[ModelResults]) -> str:
    found = [model.baselines[Z_FEATURES] for model in models if Z_FEATURES in model.baselines]
    return spread([one.classification.accuracy for one in found])


def _cut(models: Sequence[ModelResults], percentile: int, name: str) -> str:
    found = [model.evaluation.novelty for model in models]
    return spread([getattr(getattr(one, f"at_{percentile}"), name) for one in found if one is not None])


def _classification(results: Results) -> Table:
    rows = []
    columns = (("found on each window", "evaluation"), ("of the catalogue (saw the label)", "catalogue"))
    for words, attribute in columns:
        evaluations: list[Evaluation] = [
            one for model in results.joint if (one := getattr(model, attribute)) is not None
        ]
        if evaluations:
            rows.append((f"our recipe, periods {words}", *_class_figures(evaluations)))
    for model in results.of_kind("paper"):
        rows.append((model.variant.words, *_class_figures([model.evaluation])))
    return Table(
        "Classification",
        "On validation stars, over the seeds. One window of 200 epochs at a time, and by star the mean over "
        "its windows. Catalogue periods were chosen with the class in hand. The paper's conditions: "
        "catalogue periods and a split by sequence.",
        ("model", "accuracy", "balanced", "accuracy by star", "balanced by star", "calibration error"),
        rows,
    )


def _class_figures(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    found = [one.classification for one in evaluations if one.classification is not None]
    return (
        spread([one.accuracy for one in found]),
        spread([one.balanced_accuracy for one in found]),
        spread([one.star_accuracy for one in evaluations]),
        spread([one.star_balanced_accuracy for one in evaluations]),
        spread([one.reliability.expected_calibration_error for one in evaluations if one.reliability]),
    )


def _recalls(results: Results) -> Table:
    first = results.joint[0].evaluation.classification
    if first is None:
        return Table("", "", (), ())
    rows = []
    for name in first.recall:
        found = [m.evaluation.classification for m in results.joint if m.evaluation.classification]
        blind = spread([one.recall[name] for one in found])
        catalogue = [m.catalogue.classification for m in results.joint if m.catalogue is not None]
        named = spread([one.recall[name] for one in catalogue if one is not None])
        rows.append((name, str(first.support[name]), blind, named))
    return Table(
        "Recall by class",
        "Our recipe, over the seeds.",
        ("class", "windows (first seed)", "periods found", "catalogue periods"),
        rows,
    )


def _novelty(results: Results) -> Table:
    rows = []
    names = results.joint[0].evaluation.novelty_scores
    for name in names:
        found = [model.evaluation.novelty_scores[name] for model in results.joint]
        words = name + (" (low is novel)" if found[0].lower_is_novel else "")
        rows.append(
            (words, spread([one.roc_auc for one in found]), spread([one.average_precision for one in found]))
        )
    return Table(
        "Novelty: what the model gives",
        "NOVEL windows, never trained on, against known validation windows; our recipe, over the seeds. "
        "Quantities without a natural sense are turned to the side that fits: an upper bound.",
        ("score", "ROC AUC", "average precision"),
        rows,
    )


def _baselines(results: Results) -> Table:
    rows = []
    models = [model for model in results.joint if model.baselines]
    names = models[0].baselines if models else {}
    for name in names:
        found = [model.baselines[name] for model in models]
        accuracy = spread([one.classification.accuracy for one in found])
        balanced = spread([one.classification.balanced_accuracy for one in found])
        rows.append((f"{name}: random forest", accuracy, balanced, "-", "-"))
        for detector in found[0].detectors:
            of = [one.detectors[detector] for one in found]
            rows.append(
                (
                    f"{name}: {detector}",
                    "-",
                    "-",
                    spread([one.score.roc_auc for one in of]),
                    spread([one.at_95.f1 for one in of]),
                )
            )
        for feature, score in list(found[0].single_features.items())[:1]:
            rows.append((f"{name}: best single feature, {feature}", "-", "-", number(score.roc_auc), "-"))
    grid = results.settings.get("forest_grid")
    return Table(
        "Baselines",
        f"Same stars, same splits; forests by the grid {grid!r}, chosen on inner folds by star. Detectors "
        "are cut at the 95th percentile of held-out known windows. The best single feature is chosen with "
        "the answer in hand, on the first seed.",
        ("features: method", "accuracy", "balanced", "novelty ROC AUC", "F1 at 95 %"),
        rows,
    )


def _leave_one_out(results: Results) -> Table:
    rows: list[tuple[str, ...]] = []
    aucs: dict[str, list[float]] = {}
    models = results.of_kind("without")
    for model in models:
        if model.evaluation.novelty is None:
            continue
        detectors = {
            f"{features}: {name}": one.score.roc_auc
            for features, figures in model.baselines.items()
            for name, one in figures.detectors.items()
            if "catalogue" not in features
        }
        best = max(detectors, key=lambda name: detectors[name], default="")
        energy = model.evaluation.novelty.roc_auc
        error = model.evaluation.novelty.roc_auc_reconstruction_error
        unsure = model.evaluation.novelty_scores["1 - highest probability"].roc_auc
        for name, value in {"energy": energy, "error": error, "unsure": unsure}.items():
            aucs.setdefault(name, []).append(value)
        rows.append(
            (
                model.variant.words,
                str(model.evaluation.novelty.n_novel),
                number(energy),
                number(error),
                number(unsure),
                number(detectors.get(best)),
                best or "-",
            )
        )
    if rows:
        means = [number(float(np.mean(aucs[name]))) for name in ("energy", "error", "unsure")]
        rows.append(("mean", "-", *means, "-", "-"))
    return Table(
        "Novelty: one class left out",
        "ROC AUC of finding all windows of a class that was never trained on among validation windows of the "
        "others; short recipe, first seed. The best baseline is the best of all detectors on all feature "
        "sets, chosen with the answer in hand.",
        ("", "windows", "energy", "rec. error", "1 - max p", "best baseline", "which"),
        rows,
    )


def _comparisons(results: Results) -> Table:
    rows = []
    for model in results.of_kind("short"):
        figures = model.evaluation.classification
        novelty = model.evaluation.novelty
        rows.append(
            (
                model.variant.words,
                number(figures.accuracy if figures else None),
                number(figures.balanced_accuracy if figures else None),
                number(novelty.roc_auc if novelty else None),
                number(novelty.at_95.f1 if novelty else None),
                f"{model.seconds / 60:.0f} min",
            )
        )
    return Table(
        "What each choice does",
        f"All with {results.settings.get('short_epochs')} epochs and the first seed; one change at a time "
        "from the first row, those of lambda from the paper's recipe.",
        ("model", "accuracy", "balanced", "novelty ROC AUC", "F1 at 95 %", "training"),
        rows,
    )


def _folds(results: Results) -> Table:
    evaluations = [model.evaluation for model in results.of_kind("fold")]
    rows = []
    if evaluations:
        found = [one.classification for one in evaluations if one.classification is not None]
        novelty = [one.novelty.roc_auc for one in evaluations if one.novelty is not None]
        rows = [
            ("accuracy", spread([one.accuracy for one in found])),
            ("balanced accuracy", spread([one.balanced_accuracy for one in found])),
            ("novelty ROC AUC", spread(novelty)),
            *((f"recall {name}", spread([one.recall[name] for one in found])) for name in found[0].recall),
        ]
    return Table(
        f"{len(evaluations)}-fold cross-validation by star",
        "Short recipe; every known star is validated once. Mean and standard deviation over the folds.",
        ("", "mean ± sd"),
        rows,
    )


def _p_values(results: Results) -> Table:
    found = [model.evaluation.p_values for model in results.joint if model.evaluation.p_values]
    rows = (
        [(level, spread([one.fractions[level] for one in found], 4)) for level in found[0].fractions]
        if found
        else []
    )
    return Table(
        "Calibration of the p-values",
        "Fraction of known validation windows, whose stars were used neither to train nor to calibrate, with "
        "a p-value of at most the level; over the seeds.",
        ("p at most", "known windows"),
        rows,
    )


def _parts(results: Results) -> list[Table]:
    first = results.joint[0].evaluation
    tables = []
    for name, parts in first.strata.items():
        rows = []
        for part in parts:
            found = [
                one
                for model in results.joint
                for one in model.evaluation.strata.get(name, [])
                if one.name == part.name
            ]
            rows.append(
                (
                    part.name,
                    str(part.n_known),
                    str(part.n_novel),
                    spread([one.accuracy for one in found]),
                    spread([one.balanced_accuracy for one in found]),
                    spread([one.false_novel_rate for one in found]),
                    spread([one.roc_auc for one in found]),
                )
            )
        tables.append(
            Table(
                f"By {name}",
                "Our recipe, over the seeds; windows of the first seed.",
                ("", "known", "novel", "accuracy", "balanced", "known with p ≤ 0.05", "novelty ROC AUC"),
                rows,
            )
        )
    return tables


def _period_recovery(results: Results) -> Table:
    rows = [
        (
            one.superclass,
            str(one.n),
            number(one.exact),
            number(one.within_factor_2),
            number(one.half),
            number(one.double),
            number(one.within_5_percent),
            number(one.significant),
            f"{one.milliseconds:.0f} ms",
        )
        for one in results.recovery
    ]
    return Table(
        "Found periods",
        "Search on single windows of 200 epochs against the column 'period'; fractions within 1 % if not "
        "said otherwise. Times are wall-clock of one process on a machine that may have been busy.",
        ("class", "windows", "P", "P, P/2 or 2P", "P/2", "2P", "P within 5 %", "significant", "a window"),
        rows,
    )


def _period_methods(results: Results) -> Table:
    rows = []
    everything = results.recovery_same + results.recovery_astropy
    for method in dict.fromkeys(one.method for one in everything):
        of = [one for one in everything if one.method == method]
        n = np.array([one.n for one in of], dtype=float)

        def mean(name: str, of: list = of, n: np.ndarray = n) -> float:  # type: ignore[type-arg]
            return float(np.average([getattr(one, name) for one in of], weights=n))

        rows.append(
            (
                method,
                str(int(n.sum())),
                number(mean("exact")),
                number(mean("within_factor_2")),
                f"{mean('milliseconds'):.0f} ms",
            )
        )
    return Table(
        "Found periods against astropy",
        "The same windows of all classes, the same frequency grid; astropy's highest peak, fast methods.",
        ("method", "windows", "P", "P, P/2 or 2P", "a window"),
        rows,
    )
