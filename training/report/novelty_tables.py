"""Tables of novelty, its calibration, and the baselines."""

from __future__ import annotations

import numpy as np

from training.report.results import Results
from training.report.table import Table
from training.text_tables import number, spread


def novelty_table(results: Results) -> Table:
    """Return every score of the model as a detector."""
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


def baseline_table(results: Results) -> Table:
    """Return forests and detectors on every set of features."""
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
        f"Same stars, same splits. Forests of the first seed by the grid {grid!r}, chosen on inner folds by "
        "star, those of the others without a search. Detectors are cut at the 95th percentile of held-out "
        "known windows. The best single feature is chosen with the answer in hand, on the first seed.",
        ("features: method", "accuracy", "balanced", "novelty ROC AUC", "F1 at 95 %"),
        rows,
    )


def leave_one_out_table(results: Results) -> Table:
    """Return how well each class is found that was never trained on."""
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


def p_value_table(results: Results) -> Table:
    """Return how many known windows have a p-value below each level."""
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
