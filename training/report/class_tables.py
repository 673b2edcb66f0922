"""Tables of how well the classes are told apart."""

from __future__ import annotations

from collections.abc import Sequence

from training.evaluate import Evaluation
from training.report.results import Results
from training.report.table import Table
from training.text_tables import number, spread


def classification_table(results: Results) -> Table:
    """Return accuracy, balanced accuracy and calibration error of our recipe and the paper's."""
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


def recall_table(results: Results) -> Table:
    """Return the recall of every class."""
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


def comparison_table(results: Results) -> Table:
    """Return the figures of the short models, each with one choice changed."""
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


def fold_table(results: Results) -> Table:
    """Return the figures of the k-fold cross-validation."""
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


def part_tables(results: Results) -> list[Table]:
    """Return a table for each way in which windows are parted."""
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
