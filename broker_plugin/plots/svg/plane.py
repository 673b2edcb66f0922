"""Points in a plane of the latent space, one of them the object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.plots.svg.axes import Axes, Scale, padded

_Points = npt.NDArray[np.floating]
_FARTHEST = 2.5  # an object farther out than this many widths of the known region is shown by an arrow


@dataclass(frozen=True, slots=True)
class PlanePoint:
    """A region of a class.

    Attributes
    ----------
    name : str
    index : int
        Of the class: its colour.
    centre : (float, float)
    outline : ndarray, shape (k, 2), float
    """

    name: str
    index: int
    centre: tuple[float, float]
    outline: _Points


def plane_svg(
    regions: Sequence[PlanePoint],
    stars: _Points,
    star_classes: npt.NDArray[np.integer],
    here: tuple[float, float],
) -> str:
    """Draw regions, stars and the object.

    Parameters
    ----------
    regions : sequence of PlanePoint
    stars : ndarray, shape (n, 2), float
        May be empty.
    star_classes : ndarray, shape (n,), int
    here : (float, float)
        The object; an arrow at the edge says where it lies when it is far out.
    """
    known = np.concatenate([*(region.outline for region in regions), stars])
    (left, right), (low, high) = padded([known[:, 0]]), padded([known[:, 1]])
    drawn, far = _clipped(here, (left, right), (low, high))
    x = Scale(*padded([np.array([left, right, drawn[0]])], 0.03))
    y = Scale(*padded([np.array([low, high, drawn[1]])], 0.03))
    axes = Axes(x, y, width=720, height=480)
    axes.label("first discriminant axis [σ within a class]", "second [σ]")
    for index in sorted(set(star_classes.tolist())):
        chosen = stars[star_classes == index]
        axes.dots(
            chosen[:, 0], chosen[:, 1], f"star c{index % 10}" if index >= 0 else "star quiet", radius=1.3
        )
    for region in regions:
        axes.line(region.outline[:, 0], region.outline[:, 1], f"region c{region.index % 10}")
    for region in regions:
        axes.text(*region.centre, region.name, f"region c{region.index % 10}", "middle")
    axes.crosses(np.array([drawn[0]]), np.array([drawn[1]]), "self", half=7)
    axes.dots(np.array([drawn[0]]), np.array([drawn[1]]), "self", radius=4)
    if far:
        axes.text(
            *drawn,
            f"  far out: ({here[0]:.0f}, {here[1]:.0f}) σ",
            "self",
            "end" if drawn[0] > x.last / 2 else "start",
        )
    return axes.render(
        f"The object at ({here[0]:.1f}, {here[1]:.1f}) in the plane that parts the classes best, "
        "among the regions of " + ", ".join(region.name for region in regions)
    )


def _clipped(
    here: tuple[float, float], x: tuple[float, float], y: tuple[float, float]
) -> tuple[tuple[float, float], bool]:
    """Return where to draw the object, and whether that is nearer than it lies."""
    reach = []
    for value, (low, high) in zip(here, (x, y), strict=True):
        middle, half = (low + high) / 2, (high - low) / 2
        reach.append(abs(value - middle) / half / _FARTHEST)
    shrink = max(1.0, *reach)
    middles = ((x[0] + x[1]) / 2, (y[0] + y[1]) / 2)
    drawn = tuple(middle + (value - middle) / shrink for value, middle in zip(here, middles, strict=True))
    return (drawn[0], drawn[1]), not math.isclose(shrink, 1.0)
