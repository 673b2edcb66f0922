"""One picture of a whole run against the truth: classes, energies, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from broker_plugin.plots.style import KNOWN, MODEL, NOVEL, new_figure, plain, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINEAR = 5.0  # energies below this are drawn evenly, above it by decades


@dataclass(frozen=True, slots=True)
class ScoredObject:
    """A light curve's annotation next to the truth.

    Attributes
    ----------
    survey, object_id, band : str
    truth : str
        The class or, for kinds that the model has never seen, the kind.
    known : bool
        Whether the truth is one of the model's classes.
    predicted : str
    energy : float
    novel : bool
        What the plugin said.
    """

    survey: str
    object_id: str
    band: str
    truth: str
    known: bool
    predicted: str
    energy: float
    novel: bool


def plot_summary(
    scored: Sequence[ScoredObject],
    classes: Sequence[str],
    threshold: float,
    counts: Mapping[str, str],
    path: Path,
    *,
    title: str,
) -> None:
    """Draw confusion matrix, energies and counts.

    Parameters
    ----------
    scored : sequence of ScoredObject
        Must not be empty.
    classes : sequence of str
        The model's classes, in the order of the matrix.
    threshold : float
        Energy at or above which the plugin calls a light curve novel.
    counts : mapping of str to str
        What happened, in order: short name and formatted value; room for about ten.
    path : Path
        The PNG, 1200 by 800 pixels.
    title : str
    """
    figure = new_figure()
    figure.text(0.03, 0.955, title, fontsize=17, fontweight="bold", va="center")
    grid = figure.add_gridspec(
        2, 2, width_ratios=(1.25, 1.0), left=0.12, right=0.97, bottom=0.1, top=0.86, hspace=0.35, wspace=0.2
    )
    _draw_matrix(figure.add_subplot(grid[:, 0]), scored, classes)
    _draw_energies(figure.add_subplot(grid[0, 1]), scored, threshold)
    _draw_counts(figure.add_subplot(grid[1, 1]), counts)
    save(figure, path)


def confusion(
    scored: Sequence[ScoredObject], classes: Sequence[str]
) -> tuple[list[str], list[str], np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """Count truth against answer.

    Returns
    -------
    rows : list of str
        The classes that occur, in order, then the unseen kinds in alphabetical order.
    columns : list of str
        The classes, then ``"novel"``: an annotation called novel counts there only.
    matrix : ndarray of int64, shape (rows, columns)
    """
    present = {item.truth for item in scored}
    rows = [name for name in classes if name in present]
    rows += sorted({item.truth for item in scored if not item.known} - set(classes))
    columns = [*classes, "novel"]
    matrix = np.zeros((len(rows), len(columns)), dtype=np.int64)
    for item in scored:
        answer = "novel" if item.novel else item.predicted
        matrix[rows.index(item.truth), columns.index(answer)] += 1
    return rows, columns, matrix


def _draw_matrix(axes: Axes, scored: Sequence[ScoredObject], classes: Sequence[str]) -> None:
    rows, columns, matrix = confusion(scored, classes)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.15, aspect="auto")
    for (row, column), count in np.ndenumerate(matrix):
        if count:
            colour = "white" if shares[row, column] > 0.6 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=10, color=colour)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), [name.replace("_", " ") for name in rows])
    axes.axvline(len(classes) - 0.5, color=MODEL, lw=1.5)
    n_known = sum(name in classes for name in rows)
    if 0 < n_known < len(rows):
        axes.axhline(n_known - 0.5, color=MODEL, lw=1.5)
    axes.set_xlabel("said by the plugin", fontsize=11)
    axes.set_ylabel("true (below the line: never seen in training)", fontsize=11)
    axes.set_title("light curves: truth against answer", fontsize=12, loc="left")
    axes.tick_params(labelsize=10, length=0)


def _draw_energies(axes: Axes, scored: Sequence[ScoredObject], threshold: float) -> None:
    from matplotlib.ticker import MaxNLocator

    # Energies span decades on the novel side and cross zero: bins are even in arcsinh.
    energies = np.arcsinh(np.array([*(item.energy for item in scored), threshold]) / _LINEAR)
    edges = _LINEAR * np.sinh(np.linspace(energies.min(), energies.max() + 1e-9, 41))
    for known, colour, hatch, label in (
        (True, KNOWN, "", "classes of the training"),
        (False, NOVEL, "///", "kinds never seen"),
    ):
        values = [item.energy for item in scored if item.known is known]
        if values:
            axes.hist(
                values,
                bins=edges.tolist(),
                color=colour,
                alpha=0.75,
                hatch=hatch,
                label=label,
                edgecolor="white",
            )
    axes.axvline(threshold, color=MODEL, lw=1.6, ls="--", label=f"threshold {threshold:.2f}")
    axes.set_xscale("asinh", linear_width=_LINEAR)
    low, high = float(edges[0]), float(edges[-1])
    steps = [10.0**power for power in range(1, 7)] + ([5.0, 20.0, 50.0] if high < 500 else [])
    ticks = sorted(tick for step in (0.0, *steps) for tick in {step, -step} if low <= tick <= high)
    axes.set_xticks(ticks, [f"{tick:,.0f}".replace("-", "\N{MINUS SIGN}") for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("energy (higher: less like any training star)", fontsize=11)
    axes.set_ylabel("light curves", fontsize=11)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title("novelty", fontsize=12, loc="left")
    axes.legend(fontsize=9.5, framealpha=0.9, edgecolor="none")
    plain(axes)


def _draw_counts(axes: Axes, counts: Mapping[str, str]) -> None:
    axes.axis("off")
    step = min(0.1, 1.0 / max(len(counts), 1))
    for number, (name, value) in enumerate(counts.items()):
        height = 1.0 - step * number
        axes.text(0.0, height, name, fontsize=11, va="top", color="#555555", transform=axes.transAxes)
        axes.text(1.0, height, value, fontsize=11, va="top", ha="right", transform=axes.transAxes)
