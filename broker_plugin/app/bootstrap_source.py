"""The files that a person names for a bootstrap, and the photometry in them, some rows at a time."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

from broker_plugin.archive.packets import iter_packets
from broker_plugin.archive.sources import find_sources
from broker_plugin.bootstrap import FORMATS, BadRow, Converter, ObjectTable, ReadOptions, open_format
from broker_plugin.bootstrap.photometry_file import read_photometry_file
from broker_plugin.decode.alert import Alert, Malformed, Rejected
from broker_plugin.decode.decoder import Decoder
from broker_plugin.errors import ConfigurationError, InputError
from broker_plugin.photometry import QualityCuts, measure
from broker_plugin.records.photometry import ObjectPhotometry

_PACKETS = 200  # with thirty days of history each, about as many epochs as a chunk of a table has
_RECORDS = 200
_END_BYTES = 1 << 20

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Unit:
    """What is loaded, and resumed, by itself: a file, or the loose packets of a folder.

    Attributes
    ----------
    name : str
    paths : tuple of Path
    """

    name: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """The photometry of some rows.

    Attributes
    ----------
    end_row, rows : int
        So many rows (packets, objects) of the unit are dealt with, and these here.
    photometry : tuple of ObjectPhotometry
    rejected : Counter of str
        Epochs, or alerts, that are not used, by reason.
    bad : tuple of BadRow
    unmatched : frozenset of str
        The archive's ids that no object of the stream has.
    """

    end_row: int
    rows: int
    photometry: tuple[ObjectPhotometry, ...]
    rejected: Counter[str] = field(default_factory=Counter)
    bad: tuple[BadRow, ...] = ()
    unmatched: frozenset[str] = frozenset()


class ArchiveSource:
    """Reads archives of one format.

    Parameters
    ----------
    form : str
        A name of :data:`broker_plugin.bootstrap.FORMATS`.
    cuts : QualityCuts
        Those of ingest.
    options : ReadOptions
    objects : ObjectTable, optional
    revision : int
        See :class:`broker_plugin.bootstrap.Converter`.
    decoder : Decoder, optional
        Of alert packets.

    Raises
    ------
    ConfigurationError
        The format needs to be told something.
    InputError
        A table that was named cannot be used.
    """

    def __init__(
        self,
        form: str,
        cuts: QualityCuts,
        options: ReadOptions,
        *,
        objects: ObjectTable | None = None,
        revision: int = 0,
        decoder: Decoder | None = None,
    ) -> None:
        known = FORMATS[form]
        if known.own_ids and objects is None and options.object_id is None:
            msg = (
                f"format {form}: its ids are not the stream's objects; name a table of object_id and "
                "source_id, or of object_id, ra and dec, with --objects"
            )
            raise ConfigurationError(msg)
        self._format = known
        self._cuts = cuts
        self._converter = Converter(cuts, objects, revision)
        self._decoder = decoder or Decoder()
        self._read = None if form in ("alerts", "photometry") else open_format(form, options)
        settings = {"format": form, "revision": revision, "objects": objects.digest if objects else None}
        settings |= {"cuts": asdict(cuts), "options": asdict(options)}
        self._settings = json.dumps(settings, sort_keys=True, default=_plainly)

    def units(self, paths: Sequence[Path]) -> list[Unit]:
        """Return what lies under the paths, in the order given; by name within a folder.

        Raises
        ------
        InputError
            A path is not there, or a folder holds nothing of the format.
        """
        if self._format.name == "alerts":
            return list(_alert_units(paths))
        units = []
        for path in paths:
            files = [path]
            if path.is_dir():
                files = sorted(each for each in path.rglob("*") if each.name.endswith(self._format.suffixes))
            if not files or not files[0].exists():
                kinds = ", ".join(f"*{suffix}" for suffix in self._format.suffixes)
                form = self._format.name
                msg = f"{path}: nothing of format {form} there; expected a file, or a folder with {kinds}"
                raise InputError(msg)
            units += [Unit(str(file), (file,)) for file in files]
        return units

    def key(self, unit: Unit) -> str:
        """Return a name of the unit's content under these settings, wherever it lies."""
        digest = hashlib.sha256(self._settings.encode())
        try:
            for path in unit.paths:
                size = path.stat().st_size
                digest.update(str(size).encode())
                with path.open("rb") as stream:
                    digest.update(stream.read(_END_BYTES))
                    stream.seek(max(0, size - _END_BYTES))
                    digest.update(stream.read(_END_BYTES))
        except OSError as error:
            msg = f"{error.filename or unit.name}: {error.strerror}; mend its permissions, or leave it out"
            raise InputError(msg) from error
        return digest.hexdigest()[:40]

    def batches(self, unit: Unit, start_row: int = 0) -> Iterator[Batch]:
        """Yield the unit's photometry from a row on.

        Raises
        ------
        InputError
            The file cannot be read, or its columns are not those of the format.
        """
        if self._format.name == "alerts":
            yield from self._alerts(unit, start_row)
        elif self._format.name == "photometry":
            records = islice(read_photometry_file(unit.paths[0]), start_row, None)
            for some in _some(records, _RECORDS):
                start_row += len(some)
                yield Batch(start_row, len(some), some)
        else:
            assert self._read is not None
            for chunk in self._read(unit.paths[0], start_row):
                converted = self._converter.convert(chunk.pieces)
                yield Batch(
                    chunk.end_row,
                    chunk.rows,
                    tuple(converted.photometry),
                    chunk.dropped + converted.rejected,
                    chunk.bad,
                    frozenset(converted.unmatched),
                )

    def _alerts(self, unit: Unit, start_row: int) -> Iterator[Batch]:
        packets = islice(iter_packets(unit.paths), start_row, None)
        for some in _some(packets, _PACKETS):
            entries = [(packet, entry) for packet in some for entry in self._decoder.decode(packet.payload)]
            measured = measure([entry for _, entry in entries if isinstance(entry, Alert)], self._cuts)
            rejected = Counter(measured.epochs_rejected)
            found = []
            for result in (*measured.results, *(e for _, e in entries if isinstance(e, Rejected))):
                if isinstance(result, ObjectPhotometry):
                    found.append(result)
                else:
                    rejected[f"alert: {result.reason}"] += 1
            numbers = {id(packet): start_row + i for i, packet in enumerate(some, start=1)}
            bad = [
                BadRow(Path(packet.source), numbers[id(packet)], packet.name, entry.detail, "an alert packet")
                for packet, entry in entries
                if isinstance(entry, Malformed)
            ]
            start_row += len(some)
            yield Batch(start_row, len(some), tuple(found), rejected, tuple(bad))


def _alert_units(paths: Sequence[Path]) -> Iterator[Unit]:
    for path in paths:
        sources = find_sources([path])
        for loose, some in groupby(
            sources, key=lambda source: None if source.is_archive else source.path.parent
        ):
            if loose is None:
                yield from (Unit(str(source.path), (source.path,)) for source in some)
            else:
                yield Unit(str(loose), tuple(source.path for source in some))


def _some(values: Iterable[_T], n: int) -> Iterator[tuple[_T, ...]]:
    remaining = iter(values)
    while some := tuple(islice(remaining, n)):
        yield some


def _plainly(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)
