"""Positions on the sky: separations, sexagesimal text, and links to those who know more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from urllib.parse import quote, urlencode

_LINK_RADIUS_ARCSEC = 3  # somewhat wider than ZTF's association of alerts (1.5 arcsec)
_FIELD_OF_VIEW_DEG = 0.05


@dataclass(frozen=True, slots=True)
class Link:
    """A page about the object or its position, on somebody else's server."""

    name: str
    url: str
    what: str


def separation_arcsec(ra: float, dec: float, ra_0: float, dec_0: float) -> float:
    """Return the great-circle distance of two positions in degrees (haversine: exact at small angles)."""
    dec_r, dec_0r = math.radians(dec), math.radians(dec_0)
    half = math.sin((dec_r - dec_0r) / 2) ** 2
    half += math.cos(dec_r) * math.cos(dec_0r) * math.sin(math.radians(ra - ra_0) / 2) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(half)))) * 3600


def sexagesimal(ra: float, dec: float) -> str:
    """Return a position in degrees as ``hh:mm:ss.ss ±dd:mm:ss.s``."""
    centiseconds = round((ra % 360) / 15 * 360_000) % (24 * 360_000)
    seconds, centi = divmod(centiseconds, 100)
    tenths = round(abs(dec) * 36_000)
    arcsec, tenth = divmod(tenths, 10)
    right_ascension = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{centi:02d}"
    sign = "-" if math.copysign(1.0, dec) < 0 else "+"
    return f"{right_ascension} {sign}{arcsec // 3600:02d}:{arcsec // 60 % 60:02d}:{arcsec % 60:02d}.{tenth}"


def links(survey: str, object_id: str, ra: float, dec: float) -> tuple[Link, ...]:
    """Return pages about an object: by its id where that broker knows the survey's ids, else by position."""
    cone: dict[str, str | int] = {"ra": f"{ra:.6f}", "dec": f"{dec:.6f}", "radius": _LINK_RADIUS_ARCSEC}
    target = f"{ra:.6f} {dec:+.6f}"
    by_id = survey == "ztf" and object_id.startswith("ZTF")
    name = quote(object_id, safe="")
    lsst = survey == "lsst"
    alerce = (
        f"https://alerce.online/object/{name}"
        if by_id
        else f"https://alerce.online/?{urlencode({**cone, 'page': 1})}"
    )
    fink_host = "https://lsst.fink-portal.org" if lsst else "https://ztf.fink-portal.org"
    fink = f"{fink_host}/{name}" if by_id or lsst else f"{fink_host}/?{_fink(cone)}"
    lasair_host = "https://lasair.lsst.ac.uk" if lsst else "https://lasair-ztf.lsst.ac.uk"
    lasair = (
        f"{lasair_host}/objects/{name}/" if by_id or lsst else f"{lasair_host}/conesearch/?{urlencode(cone)}"
    )
    simbad = {"Coord": target, "CooFrame": "ICRS", "Radius": _LINK_RADIUS_ARCSEC, "Radius.unit": "arcsec"}
    aladin = {"target": target, "fov": _FIELD_OF_VIEW_DEG}
    return (
        Link("ALeRCE", alerce, "light curve, stamps and classes of another broker"),
        Link("Fink", fink, "light curve and classes of another broker"),
        Link("Fink cone", f"{fink_host}/?{_fink(cone)}", "what Fink has at this position"),
        Link("Lasair", lasair, "light curve and context of another broker"),
        Link(
            "Simbad",
            f"https://simbad.cds.unistra.fr/simbad/sim-coo?{urlencode(simbad)}",
            "known objects here",
        ),
        Link("Aladin Lite", f"https://aladin.cds.unistra.fr/AladinLite/?{urlencode(aladin)}", "the sky here"),
    )


def _fink(cone: dict[str, str | int]) -> str:
    return urlencode({"action": "conesearch", **cone})
