"""What a local catalogue knows of an object, by position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

PHOTOMETRIC = ("gaia_abs_g_mag", "gaia_bp_rp", "wise_w_rp")
"""Tsang & Schultz (2019): Gaia's absolute G magnitude, Gaia's BP - RP, the Wesenheit magnitude W_RP."""


@dataclass(frozen=True, slots=True)
class CatalogueMatch:
    """The catalogue's nearest star within the radius; what the catalogue does not know is None.

    Attributes
    ----------
    star_id : str
        As in the catalogue.
    separation_arcsec : float
        Between the newest alert and the catalogue's position.
    ambiguous : bool
        Whether a second star of the catalogue lies within the radius.
    known_class : str or None
        In the catalogue's own words.
    period_days : float or None
    gaia_abs_g_mag, gaia_bp_rp, wise_w_rp : float or None
        Magnitudes, see :data:`PHOTOMETRIC`.
    """

    star_id: str
    separation_arcsec: float
    ambiguous: bool
    known_class: str | None = None
    period_days: float | None = None
    gaia_abs_g_mag: float | None = None
    gaia_bp_rp: float | None = None
    wise_w_rp: float | None = None


def match_record(match: CatalogueMatch | None) -> dict[str, Any] | None:
    """Return the match as it stands in a record."""
    if match is None:
        return None
    record = asdict(match)
    record["class"] = record.pop("known_class")  # a keyword in Python, and the field's name for readers
    return record


def match_from_record(record: Mapping[str, Any] | None) -> CatalogueMatch | None:
    """Build the match from a record's."""
    if record is None:
        return None
    fields = dict(record)
    fields["known_class"] = fields.pop("class")
    return CatalogueMatch(**fields)
