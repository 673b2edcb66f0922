"""Objects and positions that somebody waits for, from a file.

Positions are looked up in a k-d tree of unit vectors (scipy): a great-circle distance is a chord, exact at
every declination and across RA 0, and a look-up among a million positions takes some microseconds.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.catalogue.sphere import chord, unit_vectors

DEFAULT_RADIUS_ARCSEC = 1.5
"""Half again as wide as ZTF's and LSST's own association of sources with objects."""

_ID, _SURVEY, _RA, _DEC, _RADIUS = "object_id", "survey", "ra", "dec", "radius_arcsec"
_COLUMNS = (_ID, _SURVEY, _RA, _DEC, _RADIUS)
_MOST_PROBLEMS = 20  # more of them are counted, not listed


@dataclass(frozen=True, slots=True)
class Row:
    """What one line asks for: an object, a position, or either.

    Attributes
    ----------
    object_id : str or None
    survey : str or None
        Of the object id; None stands for any.
    position : (float, float, float) or None
        RA and Dec in degrees, radius in arcsec.
    """

    object_id: str | None
    survey: str | None
    position: tuple[float, float, float] | None


class Watchlist:
    """Rows, ready to be asked.

    Parameters
    ----------
    rows : iterable of Row
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        kept = tuple(rows)
        self.n_rows = len(kept)
        self._ids = frozenset((row.survey, row.object_id) for row in kept if row.object_id is not None)
        positions = [row.position for row in kept if row.position is not None]
        self._tree: Any = None
        if positions:
            from scipy.spatial import cKDTree

            ra, dec, radius = np.array(positions, dtype=np.float64).T
            self._tree = cKDTree(unit_vectors(ra, dec))
            self._chords = chord(np.radians(radius / 3600))
            self._longest_chord = float(self._chords.max())

    @property
    def has_positions(self) -> bool:
        """Return whether any row asks for a position."""
        return self._tree is not None

    def holds_object(self, survey: str, object_id: str) -> bool:
        """Return whether a row names the object."""
        return (survey, object_id) in self._ids or (None, object_id) in self._ids

    def holds_position(self, ra: float, dec: float) -> bool:
        """Return whether a row's circle holds the position, in degrees."""
        if self._tree is None:
            return False
        point = unit_vectors(np.float64(ra), np.float64(dec))
        near = self._tree.query_ball_point(point, self._longest_chord)
        distances = np.linalg.norm(self._tree.data[near] - point, axis=-1)
        return bool(np.any(distances <= self._chords[near]))


def read_watchlist(path: Path, radius_arcsec: float = DEFAULT_RADIUS_ARCSEC) -> tuple[Watchlist, list[str]]:
    """Read a watchlist.

    Parameters
    ----------
    path : Path
        CSV whose header names ``object_id`` (and ``survey``), or ``ra`` and ``dec`` (and ``radius_arcsec``),
        or both kinds; other columns are ignored. Without a header: one object id a line. Empty lines and
        lines that begin with ``#`` are passed over.
    radius_arcsec : float
        Of positions without a radius of their own.

    Returns
    -------
    watchlist : Watchlist
        Of the rows that are right.
    problems : list of str
        What is wrong, with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        return Watchlist(()), [f"watchlist {path} cannot be read: {reason}"]
    rows: list[Row] = []
    problems: list[str] = []
    for number, outcome in _rows(text, radius_arcsec):
        if isinstance(outcome, Row):
            rows.append(outcome)
        else:
            problems.append(f"watchlist {path}, line {number}: {outcome}")
    if not rows and not problems:
        problems.append(f"watchlist {path} names no object and no position")
    if len(problems) > _MOST_PROBLEMS:
        more = len(problems) - _MOST_PROBLEMS
        problems = [*problems[:_MOST_PROBLEMS], f"watchlist {path}: {more} more lines are wrong"]
    return Watchlist(rows), problems


def _rows(text: str, radius_arcsec: float) -> Iterator[tuple[int, Row | str]]:
    """Yield each line's number and what it asks for, or what is wrong with it."""
    columns: list[str] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]))]
        if columns is None:
            header = [cell.lower() for cell in cells]
            if _ID in header or {_RA, _DEC} <= set(header):
                columns = header
                continue
            if len(cells) > 1:
                found = ", ".join(cells)
                yield number, f"found {found!r}, expected a header with object_id, or with ra and dec"
                return
            columns = [_ID]
        yield number, _row(dict(zip(columns, cells, strict=False)), radius_arcsec)


def _row(cells: dict[str, str], radius_arcsec: float) -> Row | str:
    named = {name: cells.get(name, "") for name in _COLUMNS}
    position = None
    if named[_RA] or named[_DEC]:
        try:
            ra, dec = float(named[_RA]), float(named[_DEC])
            radius = float(named[_RADIUS]) if named[_RADIUS] else radius_arcsec
        except ValueError:
            return (
                f"ra {named[_RA]!r}, dec {named[_DEC]!r}, radius {named[_RADIUS]!r}: expected degrees, arcsec"
            )
        if not (0 <= ra <= 360 and -90 <= dec <= 90 and 0 < radius <= 3600 and math.isfinite(radius)):
            return (
                f"ra {ra:g}, dec {dec:g}, radius {radius:g}: expected 0 to 360 and -90 to 90 degrees, "
                "more than 0 and at most 3600 arcsec"
            )
        position = (ra, dec, radius)
    if not named[_ID] and position is None:
        return "neither an object id nor a position"
    return Row(named[_ID] or None, named[_SURVEY].lower() or None, position)
