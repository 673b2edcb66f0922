"""Pieces of an archive -> photometry records, through the stream's own cuts, times and magnitudes.

What a live alert says of a detection is never replaced: archived detections rank as previous ones, archived
forced photometry as forced, and all of it is older than any alert (``version`` is a small number, the
archive's revision).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from broker_plugin.bootstrap.objects import Known, ObjectTable
from broker_plugin.bootstrap.pieces import Apparent, Differences, Piece
from broker_plugin.decode import lsst, ztf
from broker_plugin.decode.alert import Alert, Rejected, Table
from broker_plugin.decode.columns import BAND_NAMES
from broker_plugin.lightcurve.epochs import merge, no_epochs
from broker_plugin.photometry import QualityCuts, measure
from broker_plugin.photometry.archive_times import bmjd_tdb_from
from broker_plugin.photometry.epochs import BoolArray, in_time_range
from broker_plugin.records.epoch import EpochArray, FloatArray, Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry

_TIME_COLUMN = {"ztf": ztf.SOURCE_COLUMNS.index["jd"], "lsst": lsst.SOURCE_COLUMNS.index["midpointMjdTai"]}
_FORCED_TIME = {"ztf": ztf.FORCED_COLUMNS.index["jd"], "lsst": lsst.SOURCE_COLUMNS.index["midpointMjdTai"]}
_WIDTH = {"ztf": len(ztf.SOURCE_COLUMNS), "lsst": len(lsst.SOURCE_COLUMNS)}
_MOST_EPOCHS = 20_000  # in one record, which Kafka takes up to 1 MB: 17 bytes an epoch


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of some pieces.

    Attributes
    ----------
    photometry : list of ObjectPhotometry
    rejected : Counter of str
        Epochs that are not used, by reason.
    unmatched : set of str
        The archive's ids that no object of the stream has.
    """

    photometry: list[ObjectPhotometry] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    unmatched: set[str] = field(default_factory=set)


class Converter:
    """Finds each piece's object and measures it.

    Parameters
    ----------
    cuts : QualityCuts
        Those of ingest.
    objects : ObjectTable, optional
        Without it the archive's ids are the stream's.
    revision : int
        Of the archive: of two of the same kind the higher one's values stay.
    """

    def __init__(self, cuts: QualityCuts, objects: ObjectTable | None = None, revision: int = 0) -> None:
        self._cuts = cuts
        self._objects = objects
        self._revision = revision

    def convert(self, pieces: Sequence[Piece]) -> Converted:
        """Return the records, in the order of the pieces."""
        result = Converted()
        known = [(piece, self._known(piece, result)) for piece in pieces]
        found = [(piece, whose) for piece, whose in known if whose is not None]
        differences = [(p, p.content, w) for p, w in found if isinstance(p.content, Differences)]
        measured = self._measured(differences, result)
        for piece, whose in found:
            if isinstance(piece.content, Apparent):
                bands = self._tabulated(piece.content, whose, result)
            else:
                bands = next(measured)
            result.photometry.extend(_records(piece, whose, bands))
        return result

    def _known(self, piece: Piece, result: Converted) -> Known | None:
        whose: Known | None = Known(piece.source_id, piece.ra, piece.dec)
        if self._objects is not None:
            whose = self._objects.find(piece.source_id, piece.ra, piece.dec)
            if whose is None:
                result.unmatched.add(piece.source_id)
                return None
            if np.isfinite(piece.ra) and not np.isfinite(whose.ra):
                whose = replace(whose, ra=piece.ra, dec=piece.dec)
        assert whose is not None
        if not (np.isfinite(whose.ra) and np.isfinite(whose.dec)):
            result.rejected["no_position"] += _rows(piece)
            return None
        return whose

    def _measured(
        self, found: Sequence[tuple[Piece, Differences, Known]], result: Converted
    ) -> Iterator[dict[str, EpochArray]]:
        """Yield the bands of each piece of differences, in order; all go through the arithmetic together."""
        alerts = [self._as_alert(piece, content, whose, result) for piece, content, whose in found]
        outcome = measure(alerts, self._cuts)
        rejected = Counter(outcome.epochs_rejected)
        for alert in alerts:  # the row that only tells the time, if there is one
            timed = np.isfinite(alert.sources[0, _TIME_COLUMN[alert.survey]])
            rejected["unknown_band" if timed else "time_out_of_range"] -= 1
        result.rejected.update(+rejected)
        for (_, content, _), measured in zip(found, outcome.results, strict=True):
            bands = {} if isinstance(measured, Rejected) else measured.bands
            yield {band: self._ranked(epochs, content.origin) for band, epochs in bands.items()}

    def _as_alert(self, piece: Piece, content: Differences, whose: Known, result: Converted) -> Alert:
        """Make an alert of a piece: a row that tells nothing but a time stands for its own measurement."""
        sources = content.sources
        if content.source_status is not None:
            bad = _bad_status(content.source_status, self._cuts)
            result.rejected.update(["procstatus"] * int(bad.sum()))
            sources = sources[~bad]
        column = _TIME_COLUMN[piece.survey]
        times = np.concatenate([sources[:, column], content.forced[:, _FORCED_TIME[piece.survey]]])
        finite = times[np.isfinite(times)]
        own = np.full((1, _WIDTH[piece.survey]), np.nan)
        own[0, column] = finite.max() if finite.size else np.nan
        if piece.survey == "ztf" and self._cuts.programs:
            own[0, ztf.SOURCE_COLUMNS.index["programid"]] = min(self._cuts.programs)
        return Alert(
            survey=piece.survey,
            schema_version="archive",
            object_id=whose.object_id,
            alert_id=piece.alert_id,
            ra=whose.ra,
            dec=whose.dec,
            solar_system_arcsec=float("nan"),
            sources=np.concatenate([own, sources]),
            forced=content.forced,
        )

    def _ranked(self, epochs: EpochArray, most: Origin) -> EpochArray:
        ranked = epochs.copy()
        withdrawn = epochs["origin"] == int(Origin.WITHDRAWN)
        ranked["origin"] = np.where(withdrawn, epochs["origin"], np.minimum(epochs["origin"], int(most)))
        ranked["version"] = self._revision
        return ranked

    def _tabulated(self, content: Apparent, whose: Known, result: Converted) -> dict[str, EpochArray]:
        time = bmjd_tdb_from(
            content.time, content.scale, whose.ra, whose.dec, start_of_seconds=content.start_of_seconds
        )
        reasons = np.full(len(time), "", dtype=object)
        for reason, where in self._doubts(content, time):
            reasons[where & (reasons == "")] = reason
        used = reasons == ""
        result.rejected.update(reasons[~used].tolist())
        bands = {}
        for band in np.unique(content.band[used]).tolist():
            rows = used & (content.band == band)
            epochs = make_epochs(
                time[rows],
                content.mag[rows],
                content.magerr[rows],
                origin=int(content.origin),
                version=self._revision,
            )
            bands[BAND_NAMES[band]] = merge(no_epochs(), epochs)
        return bands

    def _doubts(self, content: Apparent, time: FloatArray) -> Iterator[tuple[str, BoolArray]]:
        """Yield each reason not to use an epoch, and where it holds; the names are those of ingest."""
        cuts, quality = self._cuts, content.quality
        yield "time_out_of_range", ~in_time_range(time)
        yield from content.not_used.items()
        if "procstatus" in quality:
            yield "procstatus", _bad_status(quality["procstatus"], cuts)
        for name, least in (("rb", cuts.min_rb), ("drb", cuts.min_drb)):
            if name in quality:
                yield f"low_{name}", quality[name] < least
        yield "no_flux", np.isnan(content.mag) | np.isnan(content.magerr)
        yield "magnitude_out_of_range", ~((content.mag > cuts.min_mag) & (content.mag < cuts.max_mag))
        yield "magerr_out_of_range", ~((content.magerr > 0.0) & (content.magerr < cuts.max_magerr))


def _bad_status(status: FloatArray, cuts: QualityCuts) -> BoolArray:
    return ~(np.isnan(status) | np.isin(status, list(cuts.procstatus)))


def _records(piece: Piece, whose: Known, bands: dict[str, EpochArray]) -> list[ObjectPhotometry]:
    """Return the records of a piece: one, unless it is too large for one."""
    parts = max((-(-len(epochs) // _MOST_EPOCHS) for epochs in bands.values()), default=0)
    records = []
    for part in range(parts):
        cut = slice(part * _MOST_EPOCHS, (part + 1) * _MOST_EPOCHS)
        some = {band: epochs[cut] for band, epochs in bands.items() if len(epochs[cut])}
        last = max(float(epochs["time_mjd"][-1]) for epochs in some.values())
        records.append(
            ObjectPhotometry(piece.survey, whose.object_id, piece.alert_id, last, whose.ra, whose.dec, some)
        )
    return records


def _rows(piece: Piece) -> int:
    content = piece.content
    return len(content.time) if isinstance(content, Apparent) else len(content.sources) + len(content.forced)


def stacked(columns: Sequence[str], values: dict[str, FloatArray], n: int) -> Table:
    """Return a table of n rows with the named columns, NaN where there are no values."""
    table = np.full((n, len(columns)), np.nan)
    for index, name in enumerate(columns):
        if name in values:
            table[:, index] = values[name]
    return table
