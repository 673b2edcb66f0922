"""A rectangle with two scales that marks are drawn into."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
import numpy.typing as npt

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 46

_Column = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to a unit interval.

    Attributes
    ----------
    first, last : float
        Values at its ends; ``first`` may be the greater one.
    kind : {"linear", "log"}
    """

    first: float
    last: float
    kind: Literal["linear", "log"] = "linear"

    def at(self, values: _Column | float) -> npt.NDArray[np.float64]:
        """Return where values lie: 0 at ``first``, 1 at ``last``."""
        x = np.asarray(values, dtype=np.float64)
        first, last = self.first, self.last
        if self.kind == "log":
            x, first, last = np.log10(x), math.log10(first), math.log10(last)
        unit: npt.NDArray[np.float64] = (x - first) / (last - first)
        return unit

    def ticks(self, about: int) -> list[float]:
        """Return round values between the ends, about as many as asked for."""
        low, high = sorted((self.first, self.last))
        if self.kind == "log":
            decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
            steps = (1,) if math.log10(high / low) > 2 else (1, 2, 5)
            found = [step * 10.0**decade for decade in decades for step in steps]
            return [value for value in found if low <= value <= high]
        step = _round_step((high - low) / max(about, 1))
        return [n * step for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


class Axes:
    """A plot under construction.

    Parameters
    ----------
    x, y : Scale
        ``y.first`` is at the bottom.
    width, height : int
        Of the whole picture, in the units of its view box.
    """

    def __init__(self, x: Scale, y: Scale, *, width: int = 720, height: int = 300) -> None:
        self._x, self._y = x, y
        self._width, self._height = width, height
        self._inner_width, self._inner_height = width - _LEFT - _RIGHT, height - _TOP - _BOTTOM
        self._frame: list[str] = []
        self._inside: list[str] = []

    def label(self, x_label: str, y_label: str) -> None:
        """Draw both axes with ticks, grid and names."""
        bottom, right = _TOP + self._inner_height, _LEFT + self._inner_width
        x_ticks, y_ticks = self._x.ticks(7), self._y.ticks(5)
        for value, text in zip(x_ticks, _texts(x_ticks, self._x.kind), strict=True):
            at = _LEFT + float(self._x.at(value)) * self._inner_width
            self._frame.append(f'<path class="grid" d="M{at:.1f} {_TOP}V{bottom}"/>')
            self._frame.append(_text(at, bottom + 17, text, "middle"))
        for value, text in zip(y_ticks, _texts(y_ticks, self._y.kind), strict=True):
            at = _TOP + (1 - float(self._y.at(value))) * self._inner_height
            self._frame.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{right}"/>')
            self._frame.append(_text(_LEFT - 7, at + 4, text, "end"))
        self._frame.append(f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{right}"/>')
        self._frame.append(_text(_LEFT + self._inner_width / 2, self._height - 8, x_label, "middle", "name"))
        middle = _TOP + self._inner_height / 2
        self._frame.append(
            f'<text class="name" text-anchor="middle" transform="translate(15 {middle:.0f}) rotate(-90)">'
            f"{escape(y_label)}</text>"
        )

    def dots(self, x: _Column, y: _Column, class_: str, radius: float = 2.2) -> None:
        """Draw round marks: a path of strokes without length, so that a thousand are one element."""
        path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in self._points(x, y))
        self._inside.append(
            f'<path class="{class_}" fill="none" stroke-linecap="round" stroke-width="{2 * radius:g}" '
            f'd="{path}"/>'
        )

    def crosses(self, x: _Column, y: _Column, class_: str, half: float = 2.6) -> None:
        """Draw crosses."""
        size = 2 * half
        path = "".join(
            f"M{a - half:.1f} {b - half:.1f}l{size:g} {size:g}m0 -{size:g}l-{size:g} {size:g}"
            for a, b in self._points(x, y)
        )
        self._inside.append(f'<path class="{class_}" fill="none" d="{path}"/>')

    def error_bars(self, x: _Column, y: _Column, error: _Column, class_: str = "error") -> None:
        """Draw a vertical line of plus and minus one error through each point."""
        low, high = self._points(x, np.asarray(y) - error), self._points(x, np.asarray(y) + error)
        path = "".join(f"M{a:.1f} {b:.1f}V{d:.1f}" for (a, b), (_, d) in zip(low, high, strict=True))
        self._inside.append(f'<path class="{class_}" fill="none" d="{path}"/>')

    def line(self, x: _Column, y: _Column, class_: str) -> None:
        """Draw a line through points."""
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in self._points(x, y))
        self._inside.append(f'<polyline class="{class_}" fill="none" points="{points}"/>')

    def vertical(self, x: float, class_: str, title: str = "") -> None:
        """Draw a line over the whole height, with a text that shows when it is pointed at."""
        at = float(self._x.at(x)) * self._inner_width
        hint = f"<title>{escape(title)}</title>" if title else ""
        self._inside.append(
            f'<path class="{class_}" fill="none" d="M{at:.1f} 0V{self._inner_height}">{hint}</path>'
        )

    def text(self, x: float, y: float, text: str, class_: str, anchor: str = "start") -> None:
        """Write at a point of the scales."""
        ((a, b),) = self._points(np.array([x]), np.array([y]))
        self._inside.append(_text(a, b, text, anchor, class_))

    def shape(self, markup: str) -> None:
        """Add markup in the inner rectangle's own coordinates."""
        self._inside.append(markup)

    @property
    def inner_size(self) -> tuple[int, int]:
        """Return width and height of the inner rectangle."""
        return self._inner_width, self._inner_height

    def render(self, title: str, class_: str = "plot") -> str:
        """Return the SVG; the title is what a screen reader says."""
        return (
            f'<svg class="{class_}" viewBox="0 0 {self._width} {self._height}" role="img" '
            f'aria-label="{escape(title, quote=True)}" xmlns="http://www.w3.org/2000/svg">'
            + "".join(self._frame)
            # A nested viewport clips what lies outside of the scales.
            + f'<svg x="{_LEFT}" y="{_TOP}" width="{self._inner_width}" height="{self._inner_height}">'
            + "".join(self._inside)
            + "</svg></svg>"
        )

    def _points(self, x: _Column, y: _Column) -> list[tuple[float, float]]:
        a = self._x.at(x) * self._inner_width
        b = (1 - self._y.at(y)) * self._inner_height
        good = np.isfinite(a) & np.isfinite(b)
        # Far outside is outside all the same, and renderers overflow on wild numbers.
        return [
            (float(p), float(q))
            for p, q in zip(np.clip(a[good], -9999, 9999), np.clip(b[good], -9999, 9999), strict=True)
        ]


def padded(
    values: Sequence[_Column] | _Column, share: float = 0.06, least: float = 1e-3
) -> tuple[float, float]:
    """Return ends that hold all finite values with a margin; 0 and 1 where there is none."""
    flat = np.concatenate([np.asarray(v, dtype=np.float64).ravel() for v in values])
    flat = flat[np.isfinite(flat)]
    if not len(flat):
        return 0.0, 1.0
    margin = max(share * float(np.ptp(flat)), least)
    return float(flat.min()) - margin, float(flat.max()) + margin


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 1.0
    return next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)


def _texts(values: Sequence[float], kind: str) -> list[str]:
    if kind == "log":
        return [f"{value:g}".replace("-", "\N{MINUS SIGN}") for value in values]
    step = min((abs(b - a) for a, b in itertools.pairwise(values)), default=1.0)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}") for value in values]


def _text(x: float, y: float, text: str, anchor: str, class_: str = "tick") -> str:
    return f'<text class="{class_}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
