"""Evaluations as text for people: the terminal, the model card, the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.evaluate import Evaluation
from training.metrics import ClassificationFigures, CutFigures, NoveltyFigures
from training.reliability import PValueCalibration, Reliability
from training.strata import Stratum

_FEW_SEEDS = 2


def evaluation_text(evaluation: Evaluation) -> str:
    """Return an evaluation as a page of Markdown tables."""
    lines = [
        f"Model {evaluation.model}, {evaluation.n_stars} stars of {evaluation.data_name} "
        f"({evaluation.stars}), periods: {evaluation.period_source}.",
        "",
    ]
    if evaluation.classification is not None:
        lines += _classification(evaluation.classification, evaluation.star_accuracy)
    if evaluation.novelty is not None:
        lines += _novelty(evaluation.novelty)
    if evaluation.p_value_fractions is not None:
        lines += ["| p-value at most | known windows |", "|---|---|"]
        lines += [f"| {level} | {fraction:.4f} |" for level, fraction in evaluation.p_value_fractions.items()]
        lines.append("")
    return "\n".join(lines)


def details_text(evaluation: Evaluation) -> str:
    """Return what :func:`evaluation_text` leaves out: intervals, single scores, reliability, parts."""
    lines: list[str] = []
    if evaluation.intervals:
        rows = [
            (name.replace("_", " "), f"{one.value:.4f}", f"{one.low:.4f} to {one.high:.4f}")
            for name, one in evaluation.intervals.items()
        ]
        lines += ["## Intervals (95 %, bootstrap over groups of stars)", ""]
        lines += markdown_table(("figure", "value", "interval"), rows)
    if evaluation.novelty_scores:
        rows = [
            (
                name + (" (low is novel)" if one.lower_is_novel else ""),
                f"{one.roc_auc:.3f}",
                f"{one.average_precision:.3f}",
            )
            for name, one in evaluation.novelty_scores.items()
        ]
        lines += ["## Each quantity as a novelty detector", ""]
        lines += markdown_table(("score", "ROC AUC", "average precision"), rows)
    if evaluation.p_values is not None:
        lines += _p_values(evaluation.p_values)
    if evaluation.reliability is not None:
        lines += _reliability(evaluation.reliability)
    for name, parts in evaluation.strata.items():
        lines += [f"## By {name}", "", *_strata(name, parts)]
    return "\n".join(lines)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a Markdown table as lines, an empty one after it."""
    table = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return [*table, *(f"| {' | '.join(row)} |" for row in rows), ""]


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure, or a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def spread(values: Sequence[float | None], digits: int = 3) -> str:
    """Return mean and standard deviation of a figure over seeds or folds."""
    found = np.array([value for value in values if value is not None], dtype=float)
    if len(found) == 0:
        return "-"
    if len(found) < _FEW_SEEDS:
        return f"{found[0]:.{digits}f}"
    return f"{found.mean():.{digits}f} ± {found.std(ddof=1):.{digits}f}"


def _classification(figures: ClassificationFigures, star_accuracy: float | None) -> list[str]:
    names = list(figures.recall)
    lines = [
        f"Windows of known classes: {figures.n_windows}. Accuracy {figures.accuracy:.4f}, "
        f"balanced {figures.balanced_accuracy:.4f}"
        + (f"; by star {star_accuracy:.4f}." if star_accuracy is not None else "."),
        "",
    ]
    rows = [
        (
            name,
            str(figures.support[name]),
            number(figures.recall[name]),
            *(str(count) for count in figures.confusion[row]),
        )
        for row, name in enumerate(names)
    ]
    header = ("true class", "windows", "recall", *(f"as {name}" for name in names))
    return [*lines, *markdown_table(header, rows)]


def _novelty(figures: NoveltyFigures) -> list[str]:
    return [
        f"Novelty: {figures.n_novel} windows of other kinds against {figures.n_known} known. "
        f"ROC AUC of the energy {figures.roc_auc:.3f}; of the reconstruction error alone "
        f"{figures.roc_auc_reconstruction_error:.3f}.",
        "",
        *markdown_table(
            ("cut", "energy", "precision", "recall", "F1", "known windows above"),
            [_cut_row("80 %", figures.at_80), _cut_row("95 %", figures.at_95)],
        ),
    ]


def _cut_row(name: str, cut: CutFigures) -> tuple[str, ...]:
    return (
        name,
        f"{cut.threshold:.2f}",
        number(cut.precision),
        *(f"{value:.3f}" for value in (cut.recall, cut.f1, cut.false_alarm_rate)),
    )


def _p_values(calibration: PValueCalibration) -> list[str]:
    rows = [
        (level, f"{fraction:.4f}", "{:.4f} to {:.4f}".format(*calibration.intervals[level]))
        for level, fraction in calibration.fractions.items()
    ]
    return [
        f"## p-values of {calibration.n_windows} known windows in {calibration.n_groups} groups of stars",
        "",
        *markdown_table(("p at most", "windows", "95 % interval"), rows),
    ]


def _reliability(found: Reliability) -> list[str]:
    rows = [
        (
            f"{one.low:.1f} to {one.high:.1f}",
            str(one.n_windows),
            number(one.mean_probability),
            number(one.accuracy),
        )
        for one in found.bins
    ]
    return [
        "## Reliability of the probabilities",
        "",
        f"Expected calibration error {found.expected_calibration_error:.4f}, Brier score {found.brier:.4f}, "
        f"log loss {found.log_loss:.4f}.",
        "",
        *markdown_table(("highest probability", "windows", "mean", "accuracy"), rows),
    ]


def _strata(name: str, parts: Sequence[Stratum]) -> list[str]:
    rows = [
        (
            part.name,
            str(part.n_known),
            str(part.n_novel),
            number(part.accuracy),
            number(part.balanced_accuracy),
            number(part.false_novel_rate),
            number(part.roc_auc),
        )
        for part in parts
    ]
    header = (name, "known", "novel", "accuracy", "balanced", "known with p <= 0.05", "novelty ROC AUC")
    return markdown_table(header, rows)
