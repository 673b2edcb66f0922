r"""Equations become SVG while the site is built: no script and no font has to be fetched to read them.

Arithmatex leaves ``<span class="arithmatex">\(...\)</span>`` and ``<div class="arithmatex">\[...\]</div>``;
ziamath sets them in STIX Two Math, in the colour of the text around them.
"""

from __future__ import annotations

import html as escaping
import re

import ziamath

_SIZE = 16.0  # px; widths are given in em, so that an equation grows with the text
_EQUATION = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\s*'
    r"(?:\\\((?P<inline>.*?)\\\)|\\\[(?P<display>.*?)\\\])\s*</(?P=tag)>",
    re.DOTALL,
)
_DRAWN_SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)" viewBox="([-\d.]+) ([-\d.]+)')


def set_equations(html: str) -> str:
    """Return the page with its equations drawn.

    Raises
    ------
    ValueError
        An equation that cannot be set; the build fails with its text.
    """
    return _EQUATION.sub(_set, html)


def _set(match: re.Match[str]) -> str:
    inline = match["inline"] is not None
    latex = escaping.unescape(match["inline"] if inline else match["display"]).strip()
    try:
        svg = ziamath.Latex(latex, size=_SIZE, color="currentColor", inline=inline).svg()
    except Exception as error:
        msg = f"equation {latex!r} cannot be set: {error}"
        raise ValueError(msg) from error
    size = _DRAWN_SIZE.search(svg)
    if size is None:
        msg = f"equation {latex!r}: the SVG does not tell its size"
        raise ValueError(msg)
    width, height, _, top = map(float, size.groups())
    below = height + top  # what lies under the baseline
    style = f"width:{width / _SIZE:.3f}em;height:{height / _SIZE:.3f}em;vertical-align:{-below / _SIZE:.3f}em"
    label = escaping.escape(latex, quote=True)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{style}" ', 1)
    return svg if inline else f'<div class="equation">{svg}</div>'
