"""The report's figures as SVG: the paper's Fig. 2 and 3, and those that judge calibration and novelty."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from broker_plugin.records.epoch import FloatArray
from training.report.results import Results

_BLUE, _ORANGE, _GREEN, _GREY = "#0072b2", "#d55e00", "#009e73", "#777777"  # told apart by every eye
_COLOURS = (_BLUE, _ORANGE, _GREEN, "#cc79a7", "#e69f00", "#56b4e9", _GREY)
_LOSSES = (
    ("reconstruction_loss", "reconstruction loss"),
    ("cross_entropy", "cross-entropy"),
    ("energy", "mean energy of a batch"),
    ("val_accuracy", "accuracy, validation stars"),
)


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG with the sentence under it."""

    name: str
    caption: str
    svg: bytes


def all_figures(results: Results) -> list[Drawing]:
    """Return the figures in the order of the report."""
    draw: tuple[tuple[str, str, Callable[[Results], Figure | None]], ...] = (
        (
            "confusion",
            "Fig. 2 of the paper, left: confusion matrix of the first seed's validation windows, one row a "
            "true class; colour and upper number are the fraction of the row, below it the windows.",
            _confusion,
        ),
        ("losses", "Fig. 2 of the paper, right: losses while training, one line a model.", _losses),
        (
            "energies",
            "Fig. 3 of the paper: energies of training, validation and NOVEL windows (first seed), each "
            "normalised, with the 80th and 95th percentile of the training energies. Windows beyond an edge "
            "are counted in the last bin.",
            _energies,
        ),
        ("roc", "Novelty: ROC curves on the NOVEL windows, first seed, with their areas.", _roc),
        (
            "calibration",
            "Left: fraction of known validation windows with a p-value of at most p, each seed; the diagonal "
            "is perfect. Right: accuracy against the highest probability, bins of at least ten windows.",
            _calibration,
        ),
        (
            "parts",
            "Accuracy by number of epochs, signal-to-noise and period; bars are means over seeds.",
            _parts,
        ),
        ("leave-one-out", "Novelty when a class is left out of the training: ROC AUC.", _leave_one_out),
    )
    drawings = []
    with rc_context(
        {"svg.hashsalt": "report", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        for name, caption, function in draw:
            figure = function(results)
            if figure is not None:
                drawings.append(Drawing(name, caption, _svg(figure)))
    return drawings


def _svg(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return buffer.getvalue()


def _confusion(results: Results) -> Figure | None:
    found = results.joint[0].evaluation.classification
    if found is None:
        return None
    names = list(found.recall)
    counts = np.array(found.confusion, dtype=float)
    total = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    figure = Figure(figsize=(6.2, 5.4))
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row in range(len(names)):
        for column in range(len(names)):
            if counts[row, column]:
                dark = share[row, column] > 0.5
                axes.text(
                    column,
                    row,
                    f"{share[row, column]:.2f}\n{counts[row, column]:.0f}",
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if dark else "black",
                )
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="fraction of the true class", shrink=0.8)
    return figure


def _losses(results: Results) -> Figure:
    figure = Figure(figsize=(9.5, 5.6), layout="constrained")
    models = results.of_kind("main", "paper")
    for position, (key, words) in enumerate(_LOSSES, start=1):
        axes = figure.add_subplot(2, 2, position)
        for index, model in enumerate(models):
            values = [entry[key] for entry in model.history if key in entry]
            style = "-" if model.variant.kind == "main" else "--"
            axes.plot(
                range(1, len(values) + 1),
                values,
                style,
                color=_COLOURS[index % len(_COLOURS)],
                label=model.variant.words,
                marker="o" if len(values) < 5 else None,
            )
        axes.set_xlabel("epoch")
        axes.set_ylabel(words)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    labelled = figure.axes[0].get_legend_handles_labels()
    figure.legend(*labelled, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
    return figure


def _energies(results: Results) -> Figure | None:
    scores, first = results.first_scores, results.joint[0].evaluation
    if first.novelty is None:
        return None
    everything = np.concatenate([scores.train.energy, scores.validate.energy, scores.novel.energy])
    low = np.percentile(everything, 0.1)
    high = max(np.percentile(scores.novel.energy, 97), np.percentile(scores.validate.energy, 99.5))
    bins = np.linspace(low, high, 60)
    figure = Figure(figsize=(8.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    parts = (
        (scores.train.energy, _GREY, "training", "stepfilled"),
        (scores.validate.energy, _BLUE, "validation, known", "step"),
        (scores.novel.energy, _ORANGE, "NOVEL", "step"),
    )
    for energy, colour, label, kind in parts:
        axes.hist(
            np.clip(energy, low, high),
            bins=bins.tolist(),
            density=True,
            histtype=kind,  # type: ignore[arg-type]
            color=colour,
            alpha=0.35 if kind == "stepfilled" else 1.0,
            linewidth=1.6,
            label=f"{label} ({len(energy)})",
        )
    axes.set_yscale("log")
    for percentile, cut, style in ((80, first.novelty.at_80, ":"), (95, first.novelty.at_95, "--")):
        axes.axvline(cut.threshold, color="black", linestyle=style, label=f"{percentile} % of training")
    axes.set_xlabel("energy; what lies beyond the ends is in the first and the last bin")
    axes.set_ylabel("fraction per unit of energy")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def _roc(results: Results) -> Figure | None:
    scores = results.first_scores
    known, novel = scores.validate, scores.novel
    if len(novel) == 0:
        return None
    truth = np.concatenate([np.zeros(len(known)), np.ones(len(novel))])
    curves = {
        "energy": (known.energy, novel.energy),
        "reconstruction error": (known.euclidean, novel.euclidean),
        "1 - highest probability": (1 - known.probabilities.max(axis=1), 1 - novel.probabilities.max(axis=1)),
    }
    figure = Figure(figsize=(5.4, 5.0), layout="constrained")
    axes = figure.add_subplot()
    areas = results.joint[0].evaluation.novelty_scores
    for colour, (name, (of_known, of_novel)) in zip(_COLOURS, curves.items(), strict=False):
        false, true, _ = roc_curve(truth, np.concatenate([of_known, of_novel]))
        axes.plot(false, true, color=colour, label=f"{name}: {areas[name].roc_auc:.3f}")
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":", linewidth=1)
    axes.set_xlabel("known windows called novel")
    axes.set_ylabel("NOVEL windows found")
    axes.set_aspect("equal")
    axes.legend(frameon=False, loc="lower right")
    return figure


def _calibration(results: Results) -> Figure:
    figure = Figure(figsize=(9.5, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, model in zip(_COLOURS, results.joint, strict=False):
        label = f"seed {model.variant.training.seed}"
        if model.evaluation.p_values is not None:
            fractions = model.evaluation.p_values.fractions
            levels: FloatArray = np.array([float(level) for level in fractions])
            left.plot(levels, list(fractions.values()), color=colour, marker=".", label=label)
        if model.evaluation.reliability is not None:
            bins = [one for one in model.evaluation.reliability.bins if one.n_windows >= 10]
            mean, right_share = [one.mean_probability for one in bins], [one.accuracy for one in bins]
            right.plot(mean, right_share, color=colour, marker=".", label=label)
    left.set_xscale("log")
    left.set_yscale("log")
    left.plot([0.008, 1], [0.008, 1], color=_GREY, linestyle=":")
    left.set_xlabel("p")
    left.set_ylabel("known windows with a p-value of at most p")
    left.legend(frameon=False)
    right.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
    right.set_xlabel("highest probability")
    right.set_ylabel("accuracy")
    return figure


def _parts(results: Results) -> Figure:
    first = results.joint[0].evaluation.strata
    names = [name for name in first if name != "true class"]
    figure = Figure(figsize=(9.5, 3.6), layout="constrained")
    for position, name in enumerate(names, start=1):
        axes = figure.add_subplot(1, len(names), position)
        labels = [part.name for part in first[name] if part.accuracy is not None]
        values = [
            [
                part.accuracy
                for model in results.joint
                for part in model.evaluation.strata.get(name, [])
                if part.name == label and part.accuracy is not None
            ]
            for label in labels
        ]
        means: Any = [np.mean(found) for found in values]
        errors: Any = [np.std(found) for found in values]
        axes.bar(range(len(labels)), means, yerr=errors, color=_BLUE, alpha=0.8, capsize=3)
        axes.set_xticks(range(len(labels)), labels, rotation=25, ha="right")
        axes.set_ylim(0, 1)
        axes.set_title(name, fontsize=9)
        if position == 1:
            axes.set_ylabel("accuracy, known windows")
    return figure


def _leave_one_out(results: Results) -> Figure | None:
    models = [model for model in results.of_kind("without") if model.evaluation.novelty is not None]
    if not models:
        return None
    scores = ("energy", "reconstruction error", "1 - highest probability")
    figure = Figure(figsize=(8.5, 3.8), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(scores)
    places: FloatArray = np.arange(len(models), dtype=np.float64)
    for index, name in enumerate(scores):
        values = [model.evaluation.novelty_scores[name].roc_auc for model in models]
        axes.bar(places + (index - 1) * width, values, width, color=_COLOURS[index], label=name)
    axes.axhline(0.5, color=_GREY, linestyle=":")
    axes.set_xticks(places, [model.variant.words.removeprefix("without ") for model in models])
    axes.set_xlabel("class left out")
    axes.set_ylabel("ROC AUC")
    axes.set_xlim(-0.6, max(3, len(models) - 1) + 0.6)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.15))
    return figure
