"""Colours, names and the canvas that all plots share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_PIXELS, HEIGHT_PIXELS, _DPI = 1200, 800, 100

# Okabe & Ito (2008): told apart by colour-blind readers; each use differs in shape or hatching, too.
DATA = "#0072B2"
MODEL = "#D55E00"
NOVEL = "#CC79A7"
KNOWN = "#56B4E9"
MUTED = "#8C8C8C"

CLASS_NAMES = {
    "CEPH": "Cepheid",
    "DSCT": "δ Scuti",
    "ECL": "eclipsing",
    "M": "Mira",
    "ROT": "rotating",
    "RRAB": "RR Lyrae ab",
    "RRCD": "RR Lyrae c, d",
    "SR": "semiregular",
}


def new_figure() -> Figure:
    """Return an empty figure that belongs to no window system and no global state: safe in any thread."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_PIXELS / _DPI, HEIGHT_PIXELS / _DPI), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def plain(axes: Axes) -> None:
    """Take away what shows no data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10)


def save(figure: Figure, path: Path) -> None:
    """Write the PNG whole or not at all: a reader who watches the folder never sees half a picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    # No time and no version inside: equal data give equal files.
    figure.savefig(partial, format="png", metadata={"Software": None})
    partial.replace(path)
