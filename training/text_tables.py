"""Evaluations as text for people: the terminal and the model card."""

from __future__ import annotations

from training.evaluate import Evaluation
from training.metrics import ClassificationFigures, CutFigures, NoveltyFigures


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


def _classification(figures: ClassificationFigures, star_accuracy: float | None) -> list[str]:
    names = list(figures.recall)
    lines = [
        f"Windows of known classes: {figures.n_windows}. Accuracy {figures.accuracy:.4f}, "
        f"balanced {figures.balanced_accuracy:.4f}"
        + (f"; by star {star_accuracy:.4f}." if star_accuracy is not None else "."),
        "",
        "| true class | windows | recall | " + " | ".join(f"as {name}" for name in names) + " |",
        "|---" * (3 + len(names)) + "|",
    ]
    for row, name in enumerate(names):
        recall = figures.recall[name]
        counts = " | ".join(str(count) for count in figures.confusion[row])
        shown = "-" if recall is None else f"{recall:.3f}"
        lines.append(f"| {name} | {figures.support[name]} | {shown} | {counts} |")
    return [*lines, ""]


def _novelty(figures: NoveltyFigures) -> list[str]:
    return [
        f"Novelty: {figures.n_novel} windows of other kinds against {figures.n_known} known. "
        f"ROC AUC of the energy {figures.roc_auc:.3f}; of the reconstruction error alone "
        f"{figures.roc_auc_reconstruction_error:.3f}.",
        "",
        "| cut | energy | precision | recall | F1 | known windows above |",
        "|---|---|---|---|---|---|",
        _cut_row("80 %", figures.at_80),
        _cut_row("95 %", figures.at_95),
        "",
    ]


def _cut_row(name: str, cut: CutFigures) -> str:
    precision = "-" if cut.precision is None else f"{cut.precision:.3f}"
    row = (
        name,
        f"{cut.threshold:.2f}",
        precision,
        *(f"{v:.3f}" for v in (cut.recall, cut.f1, cut.false_alarm_rate)),
    )
    return f"| {' | '.join(row)} |"
