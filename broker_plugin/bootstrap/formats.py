"""The formats by name, and what a person may say about one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker_plugin.bootstrap.brokers import alerce, fink, lasair
from broker_plugin.bootstrap.lsst_tables import read_visits, tables
from broker_plugin.bootstrap.pieces import Chunk
from broker_plugin.bootstrap.plain import plain
from broker_plugin.bootstrap.ztf_forced import forced_service
from broker_plugin.bootstrap.ztf_release import release
from broker_plugin.errors import ConfigurationError
from broker_plugin.photometry.archive_times import TimeScale


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What the files do not say themselves.

    Attributes
    ----------
    survey : str or None
        Of a plain table without such a column.
    object_id : str or None
        Of a file that holds one object and does not name it.
    time_scale : TimeScale or None
        Of a plain table's ``time``.
    start_of_seconds : float
        Its times are starts of exposures of this length; 0: middles.
    is_forced : bool
        A plain table holds forced photometry.
    visits : Path or None
        LSST: table of ``visit`` (or ``visitId``) and ``expMidptMJD``.
    ignore_columns : bool
        Pass over columns that are not known.
    """

    survey: str | None = None
    object_id: str | None = None
    time_scale: TimeScale | None = None
    start_of_seconds: float = 0.0
    is_forced: bool = False
    visits: Path | None = None
    ignore_columns: bool = False


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of archive.

    Attributes
    ----------
    name : str
    what : str
        For a person.
    own_ids : bool
        Its ids are its own, not the stream's: it needs a table of objects.
    suffixes : tuple of str
        Of its files in a folder.
    """

    name: str
    what: str
    own_ids: bool
    suffixes: tuple[str, ...]


_TABLES = (".csv", ".csv.gz", ".parquet")

FORMATS: Mapping[str, Format] = {
    form.name: form
    for form in (
        Format("alerts", "alert archives of ZTF or LSST (ztf_public_*.tar.gz), folders, packets", False, ()),
        Format("ztf-dr", "ZTF data release light curves as IRSA gives them (CSV, parquet)", True, _TABLES),
        Format("ztf-forced", "answers of ZTF's forced photometry service (text)", True, (".txt",)),
        Format("lsst", "DiaSource, ForcedSource or ForcedSourceOnDiaObject tables", False, _TABLES),
        Format("alerce", "ALeRCE light curves (JSON)", False, (".json",)),
        Format("lasair", "Lasair objects of ZTF (JSON)", False, (".json",)),
        Format(
            "fink", "Fink objects of ZTF with i: columns (JSON, parquet, CSV)", False, (".json", *_TABLES)
        ),
        Format("plain", "survey, object_id, band, time, mag, magerr (CSV, parquet)", False, _TABLES),
        Format("photometry", "what `bootstrap --to` wrote (Avro)", False, (".avro",)),
    )
}

Reader = Callable[[Path, int], Iterator[Chunk]]
"""``read(path, start_row)`` yields the rows from there on, some at a time."""


def open_format(name: str, options: ReadOptions) -> Reader:
    """Return the reader of a format of tables.

    Raises
    ------
    ConfigurationError
        The format needs to be told something.
    InputError
        The table of visits cannot be used.
    """
    skip = options.ignore_columns
    if name == "ztf-dr":
        return lambda path, start: release(path, start, ignore_unknown=skip)
    if name == "ztf-forced":
        return lambda path, start: forced_service(
            path, start, object_id=options.object_id, ignore_unknown=skip
        )
    if name == "lsst":
        visits = None if options.visits is None else read_visits(options.visits)
        return lambda path, start: tables(path, start, visits=visits)
    if name == "plain":
        scale = options.time_scale
        if scale is None:
            msg = f"format plain needs a time scale, one of {', '.join(TimeScale)}"
            raise ConfigurationError(msg)
        return lambda path, start: plain(
            path,
            start,
            scale=scale,
            start_of_seconds=options.start_of_seconds,
            survey=options.survey,
            is_forced=options.is_forced,
            ignore_unknown=skip,
        )
    brokers = {"alerce": alerce, "lasair": lasair, "fink": fink}
    read = brokers[name]
    return lambda path, start: read(path, start, object_id=options.object_id)
