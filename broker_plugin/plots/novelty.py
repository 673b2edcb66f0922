"""What a follow-up astronomer wants to see of a novelty before asking anybody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from broker_plugin.plots.style import CLASS_NAMES, DATA, MODEL, MUTED, new_figure, plain, save
from broker_plugin.records.annotation import Annotation, Novelty
from broker_plugin.records.epoch import Float32Array, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINE = 140  # characters that fit the width


def plot_novelty(novelty: Novelty, path: Path) -> None:
    """Draw the light curve in time, folded with its reconstruction, and the class probabilities.

    Parameters
    ----------
    novelty : Novelty
    path : Path
        The PNG, 1200 by 800 pixels; missing folders are made.
    """
    figure = new_figure()
    grid = figure.add_gridspec(
        2, 2, width_ratios=(2.6, 1.0), left=0.075, right=0.975, bottom=0.08, top=0.83, hspace=0.32, wspace=0.3
    )
    name, position, score, period = _header(novelty.annotation)
    figure.text(0.075, 0.955, name, fontsize=17, fontweight="bold", va="center")
    figure.text(0.975, 0.955, position, fontsize=12, va="center", ha="right")
    figure.text(0.075, 0.915, score, fontsize=12, va="center")
    figure.text(0.075, 0.88, period, fontsize=12, va="center")

    _draw_in_time(figure.add_subplot(grid[0, 0]), novelty)
    _draw_folded(figure.add_subplot(grid[1, 0]), novelty)
    _draw_probabilities(figure.add_subplot(grid[0, 1]), novelty.annotation)
    _draw_candidates(figure.add_subplot(grid[1, 1]), novelty.annotation)
    save(figure, path)


def _header(annotation: Annotation) -> tuple[str, str, str, str]:
    """Return the four texts above the panels."""
    survey = annotation.survey.upper()
    identifier = annotation.object_id
    if not identifier.startswith(survey):
        identifier = f"{survey} {identifier}"
    name = f"{identifier}   {annotation.band} band"
    position = f"RA {annotation.ra:.5f}°   Dec {_number(annotation.dec, '+.5f')}°   (J2000)"
    p_value = "not calibrated" if annotation.p_value is None else f"{annotation.p_value:.2g}"
    nearest = annotation.probabilities[annotation.predicted_class]
    score = (
        f"{'NOVEL' if annotation.novel else 'not novel'}    energy {_number(annotation.energy, '.2f')}"
        f"    above {annotation.energy_percentile:.1f} % of known stars    p-value {p_value}"
        f"    nearest class {annotation.predicted_class} ({nearest:.0%})"
    )
    report = annotation.period
    significance = f"log₁₀ false-alarm probability {_number(report.log10_false_alarm, '.1f')}"
    if report.value_days is None:
        period = f"no significant period ({significance}); folded at {_days(report.fold_days)}"
    else:
        found_by = report.method if report.method == "catalogue" else f"{report.method}; {significance}"
        period = f"period {_days(report.value_days)} ({found_by})"
    if annotation.quality_flags:
        period += f"    flags: {', '.join(flag.replace('_', ' ') for flag in annotation.quality_flags)}"
    if len(period) > _LINE:
        period = f"{period[:_LINE]} …"
    return name, position, score, period


def _number(value: float, style: str) -> str:
    return format(value, style).replace("-", "\N{MINUS SIGN}")


def _days(value: float) -> str:
    return f"{value:.6g} d"


def _draw_in_time(axes: Axes, novelty: Novelty) -> None:
    _points(axes, novelty.time_mjd, novelty.mag, novelty.magerr)
    _reconstruction(axes, novelty.time_mjd, novelty.reconstruction_mag)
    axes.set_xlabel("time, barycentric MJD (TDB)", fontsize=11)
    axes.ticklabel_format(axis="x", useOffset=False, style="plain")
    _magnitudes(axes, novelty)


def _draw_folded(axes: Axes, novelty: Novelty) -> None:
    # Two cycles, so that no feature is cut at the edge.
    phase = np.concatenate([novelty.phase, novelty.phase + 1.0])
    _points(axes, phase, np.tile(novelty.mag, 2), np.tile(novelty.magerr, 2), label="observed")
    _reconstruction(axes, phase, np.tile(novelty.reconstruction_mag, 2), label="the network's reconstruction")
    axes.set_xlim(0.0, 2.0)
    axes.set_xlabel(f"phase at {_days(novelty.annotation.period.fold_days)}, two cycles", fontsize=11)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, fontsize=10, frameon=False, borderaxespad=0.2
    )
    _magnitudes(axes, novelty)


def _points(
    axes: Axes, x: FloatArray, mag: Float32Array, magerr: Float32Array, label: str | None = None
) -> None:
    axes.errorbar(
        x,
        mag,
        magerr,
        fmt="o",
        ms=3.2,
        color=DATA,
        ecolor=MUTED,
        elinewidth=0.7,
        alpha=0.85,
        label=label,
        zorder=2,
    )


def _reconstruction(axes: Axes, x: FloatArray, mag: Float32Array, label: str | None = None) -> None:
    # Marks and no line: the network gives a value for each epoch, and nothing between.
    axes.plot(x, mag, "x", ms=4.0, mew=1.0, color=MODEL, label=label, zorder=3)


def _magnitudes(axes: Axes, novelty: Novelty) -> None:
    """Let brightness increase upwards, and let no single wild error bar decide the scale."""
    drawn = np.concatenate([novelty.mag, novelty.reconstruction_mag]).astype(np.float64)
    drawn = drawn[np.isfinite(drawn)]
    typical_error = float(np.nanmedian(novelty.magerr)) if len(novelty.magerr) else 0.0
    margin = max(0.06 * float(np.ptp(drawn)), 1.5 * typical_error, 1e-3)
    axes.set_ylim(float(drawn.max()) + margin, float(drawn.min()) - margin)
    axes.set_ylabel(f"{novelty.annotation.band} magnitude", fontsize=11)
    axes.yaxis.get_major_formatter().set_useOffset(False)  # type: ignore[attr-defined]  # ScalarFormatter
    plain(axes)


def _draw_probabilities(axes: Axes, annotation: Annotation) -> None:
    names = list(annotation.probabilities)
    values = [annotation.probabilities[name] for name in names]
    colours = [DATA if name == annotation.predicted_class else MUTED for name in names]
    axes.barh(range(len(names)), values, color=colours, height=0.7)
    for row, value in enumerate(values):
        axes.text(min(value, 1.0) + 0.02, row, f"{value:.2f}", va="center", fontsize=10)
    axes.set_yticks(range(len(names)), [CLASS_NAMES.get(name, name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.18)
    axes.set_xticks([0.0, 0.5, 1.0])
    axes.set_title("class probabilities", fontsize=11, loc="left")
    plain(axes)


def _draw_candidates(axes: Axes, annotation: Annotation) -> None:
    """List the periods that were compared, so that a reader can disagree."""
    axes.axis("off")
    axes.set_title("periods compared", fontsize=11, loc="left")
    rows = [("period / d", "kind", "score")]
    rows += [(f"{c.period_days:.6g}", c.kind, f"{c.score:.3g}") for c in annotation.period.candidates[:7]]
    for number, row in enumerate(rows):
        colour = "black" if number else "#555555"
        height = 0.97 - 0.085 * number
        for x, text, side in zip((0.34, 0.42, 1.0), row, ("right", "left", "right"), strict=True):
            axes.text(x, height, text, ha=side, va="top", fontsize=10, color=colour, transform=axes.transAxes)
    near = "".join(f"near {n.star_class} {n.star_id}\n" for n in annotation.neighbours[:1])
    footer = (
        f"{near}{annotation.n_epochs} epochs of {annotation.n_epochs_total}\n"
        f"mean {annotation.mean_mag:.2f}, deviation {annotation.std_mag:.3f} mag\n"
        f"model {annotation.model_name} {annotation.model_version}"
    )
    axes.text(
        0.0,
        0.0,
        footer,
        fontsize=9.5,
        color="#555555",
        va="bottom",
        transform=axes.transAxes,
        linespacing=1.5,
    )
