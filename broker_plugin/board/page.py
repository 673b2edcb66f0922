"""Everything that the page of one light curve shows, as values and pictures."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker_plugin.board import listing
from broker_plugin.board.curve import Curve, unpack
from broker_plugin.board.intake import stored_record
from broker_plugin.board.labels import labels_of
from broker_plugin.board.listing import Place, Row
from broker_plugin.board.model import Examined, PageModel
from broker_plugin.board.periodogram import periodogram
from broker_plugin.board.selection import Selection
from broker_plugin.board.sky import Link, links, sexagesimal
from broker_plugin.errors import BundleError
from broker_plugin.features.external import external_features
from broker_plugin.period import PeriodSettings
from broker_plugin.plots.svg import Mark, PlanePoint, folded_svg, light_curve_svg, plane_svg, spectrum_svg
from broker_plugin.records.annotation import Neighbour
from broker_plugin.records.color import means_from_record
from broker_plugin.records.match import match_from_record

_NEAREST = 5


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store holds of a light curve, read in one go.

    Attributes
    ----------
    row : Row
    place : Place
        In the list that the reader came from.
    annotations : sequence of sqlite3.Row
        Newest first.
    labels : sequence of sqlite3.Row
        Newest first.
    other_bands : list of str
    record : dict
        The annotation that is shown.
    curve : Curve or None
        Its epochs, if they are kept.
    """

    row: Row
    place: Place
    annotations: Sequence[sqlite3.Row]
    labels: Sequence[sqlite3.Row]
    other_bands: list[str]
    record: dict[str, Any]
    curve: Curve | None


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Where the window lies among the training stars, or why that is not known.

    Attributes
    ----------
    svg : str
    nearest : tuple of Neighbour
    are_stars : bool
        Whether ``nearest`` are stars; else they are components of the mixture.
    note : str
        What to know before believing it.
    """

    svg: str = ""
    nearest: tuple[Neighbour, ...] = ()
    are_stars: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """The page; pictures are SVG, empty where there is nothing to draw."""

    stored: Stored
    position: str
    links: tuple[Link, ...]
    light_curve: str
    folded: str
    fold_days: float
    refolded: bool
    spectrum: str
    neighbourhood: Neighbourhood


def read_object(
    connection: sqlite3.Connection, selection: Selection, key: str, annotation_id: str | None
) -> Stored | None:
    """Read a light curve and one of its annotations, by default the latest; None if there is none."""
    row = listing.object_row(connection, key)
    if row is None:
        return None
    annotations = listing.history(connection, key)
    wanted = annotation_id or row.values["annotation_id"]
    shown = next((a for a in annotations if a["annotation_id"] == wanted), None)
    if shown is None:
        return None
    data = connection.execute("SELECT data FROM curves WHERE window_id = ?", (shown["window_id"],)).fetchone()
    return Stored(
        row=row,
        place=listing.place(connection, selection, key),
        annotations=annotations,
        labels=labels_of(connection, key),
        other_bands=listing.other_bands(
            connection, row.values["survey"], row.values["object_id"], row.values["band"]
        ),
        record=stored_record(shown["record"]),
        curve=unpack(data["data"]) if data is not None else None,
    )


def build_page(
    stored: Stored, model: PageModel, settings: PeriodSettings, fold_days: float | None
) -> ObjectPage:
    """Draw everything.

    Parameters
    ----------
    stored : Stored
    model : PageModel
    settings : PeriodSettings
        Of the stream's search: the periodogram covers what it covered.
    fold_days : float, optional
        Fold with this period instead of the annotation's own.
    """
    record, curve = stored.record, stored.curve
    own_days = float(record["period"]["fold_days"])
    refolded = fold_days is not None and fold_days != own_days
    days = fold_days if fold_days is not None else own_days
    examined, problem = _examine(model, record, curve)
    light_curve = folded = spectrum = ""
    if curve is not None:
        phase, reconstruction = _fold(curve, examined, days, refolded=refolded)
        in_time = reconstruction if not refolded else _fold(curve, examined, own_days, refolded=False)[1]
        columns = curve["time_mjd"], curve["mag"], curve["magerr"]
        light_curve = light_curve_svg(*columns, in_time, record["band"])
        folded = folded_svg(phase, *columns[1:], reconstruction, band=record["band"], period_days=days)
        spectrum = _spectrum(record, curve, settings)
    return ObjectPage(
        stored=stored,
        position=sexagesimal(record["ra"], record["dec"]),
        links=links(record["survey"], record["object_id"], record["ra"], record["dec"]),
        light_curve=light_curve,
        folded=folded,
        fold_days=days,
        refolded=refolded,
        spectrum=spectrum,
        neighbourhood=_neighbourhood(record, examined, problem),
    )


def _examine(model: PageModel, record: dict[str, Any], curve: Curve | None) -> tuple[Examined | None, str]:
    """Score the window; return the result, or None and why."""
    if curve is None:
        return None, "no light curve is kept of this annotation"
    try:
        known = external_features(
            # Records that were stored by an earlier version have neither.
            match_from_record(record.get("catalogue_match")),
            means_from_record(record.get("band_means")),
        )
        examined = model.examine(record["window_id"], curve, float(record["period"]["fold_days"]), known)
    except BundleError as error:
        return None, f"the model cannot be used: {error}"
    return examined, "" if examined is not None else "the network does not take this window"


def _fold(
    curve: Curve, examined: Examined | None, days: float, *, refolded: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return phase and reconstruction of each epoch; the network saw its own fold only."""
    if not refolded and np.isfinite(curve["phase"]).all():
        return curve["phase"], curve["reconstruction_mag"]
    if not refolded and examined is not None:
        return examined.score.phase, examined.score.reconstruction_mag
    faintest = curve["time_mjd"][int(np.nanargmax(curve["mag"]))]
    return ((curve["time_mjd"] - faintest) / days) % 1.0, None


def _spectrum(record: dict[str, Any], curve: Curve, settings: PeriodSettings) -> str:
    found = periodogram(curve, settings)
    if found is None:
        return ""
    period = record["period"]
    marks = [
        Mark(
            candidate["period_days"],
            f"{'chosen' if number == 0 else 'rejected'}: {candidate['period_days']:.6g} d, "
            f"{candidate['kind']}, score {candidate['score']:.3g}",
            chosen=number == 0,
        )
        for number, candidate in enumerate(period["candidates"])
    ]
    if not marks:
        marks = [Mark(period["fold_days"], f"{period['fold_days']:.6g} d ({period['method']})", chosen=True)]
    return spectrum_svg(found.period_days, found.power, marks)


def _neighbourhood(record: dict[str, Any], examined: Examined | None, problem: str) -> Neighbourhood:
    published = tuple(Neighbour(**star) for star in record.get("neighbours", ()))
    if examined is None:
        return Neighbourhood(nearest=published, are_stars=bool(published), note=problem)
    plane = examined.plane
    regions = [PlanePoint(c.name, c.index, c.centre, c.outline) for c in plane.components]
    svg = plane_svg(regions, plane.star_points, plane.star_classes, examined.point)
    stars = published or examined.score.neighbours
    note = ""
    if examined.digest != record["model_digest"]:
        note = (
            f"The annotation was made by {record['model_name']} {record['model_version']} "
            f"({record['model_digest'][:8]}); this is where {examined.name} {examined.version} "
            f"({examined.digest[:8]}), the page's own, puts the window: energy {examined.score.energy:.2f}, "
            f"{examined.score.predicted_class}."
        )
    nearest = stars or plane.nearest_components(examined.score.z, _NEAREST)
    return Neighbourhood(svg, nearest, bool(stars), note)
