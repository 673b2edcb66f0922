"""What a reader makes of a part of an archive, before anybody asks whose it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from broker_plugin.decode.alert import Table
from broker_plugin.photometry.archive_times import TimeScale
from broker_plugin.photometry.epochs import BoolArray, IntArray
from broker_plugin.records.epoch import FloatArray, Origin


@dataclass(frozen=True, slots=True, eq=False)
class Differences:
    """Measurements against a reference image, in the columns of an alert: they go the alerts' own way.

    Attributes
    ----------
    sources, forced : ndarray, shape (n, columns), float64
        As of :class:`broker_plugin.decode.Alert`.
    origin : Origin
        Of the sources, at most ``PREVIOUS``: a detection that comes live is final.
    source_status : ndarray or None
        ``procstatus`` of the sources, where they are forced photometry; NaN where it is not known.
    """

    sources: Table
    forced: Table
    origin: Origin = Origin.PREVIOUS
    source_status: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Apparent:
    """Apparent magnitudes as somebody else made them; arrays of shape (n,).

    Attributes
    ----------
    time : ndarray, float64
        Days, on the scale.
    scale : TimeScale
    start_of_seconds : float
        See :func:`broker_plugin.photometry.archive_times.bmjd_tdb_from`.
    band : ndarray, int64
        Index in :data:`broker_plugin.decode.columns.BAND_NAMES`.
    mag, magerr : ndarray, float64
    not_used : mapping of str to ndarray of bool
        By reason, the first one counts.
    quality : mapping of str to ndarray of float64
        ``rb``, ``drb``, ``procstatus``, where they are known: the cuts of ingest apply to them.
    origin : Origin
    """

    time: FloatArray
    scale: TimeScale
    start_of_seconds: float
    band: IntArray
    mag: FloatArray
    magerr: FloatArray
    not_used: Mapping[str, BoolArray] = field(default_factory=dict)
    quality: Mapping[str, FloatArray] = field(default_factory=dict)
    origin: Origin = Origin.PREVIOUS


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Rows of one object.

    Attributes
    ----------
    survey : str
        ``"ztf"`` or ``"lsst"``.
    source_id : str
        As the archive names it.
    ra, dec : float
        Degrees, J2000; NaN where the archive does not say.
    content : Differences or Apparent
    alert_id : str
        Of the newest alert among the rows; ``"0"`` where there is none.
    """

    survey: str
    source_id: str
    ra: float
    dec: float
    content: Differences | Apparent
    alert_id: str = "0"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that holds something else than it should.

    Attributes
    ----------
    path : Path
    row : int
        From 1, headings not counted.
    column : str
    found, expected : str
    """

    path: Path
    row: int
    column: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}, row {self.row}: {self.column} is {self.found!r:.60}, expected {self.expected}"


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some rows of a file.

    Attributes
    ----------
    end_row : int
        So many rows of the file are dealt with, these among them.
    rows : int
        Here.
    pieces : tuple of Piece
    bad : tuple of BadRow
        Rows that are in no piece.
    dropped : Counter of str
        Rows that a reader leaves out already, by reason.
    """

    end_row: int
    rows: int
    pieces: tuple[Piece, ...]
    bad: tuple[BadRow, ...] = ()
    dropped: Counter[str] = field(default_factory=Counter)
