"""Pictures as inline SVG for a page: no library, no script, colours left to the page's style sheet.

The classes that a style sheet gives a colour: ``data``, ``error``, ``model``, ``chosen``, ``rejected``,
``axis``, ``grid``, ``quiet``, ``self``, ``c0`` to ``c9`` (class of a star).
"""

from broker_plugin.plots.svg.curves import folded_svg, light_curve_svg
from broker_plugin.plots.svg.mix import mix_svg
from broker_plugin.plots.svg.plane import PlanePoint, plane_svg
from broker_plugin.plots.svg.spectrum import Mark, spectrum_svg

__all__ = [
    "Mark",
    "PlanePoint",
    "folded_svg",
    "light_curve_svg",
    "mix_svg",
    "plane_svg",
    "spectrum_svg",
]
