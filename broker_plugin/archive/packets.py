"""The packets of archives, directories and single files, one after the other."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

from broker_plugin.archive.sources import Source, find_sources
from broker_plugin.archive.tar import count_members, read_members
from broker_plugin.archive.times import AlertClock
from broker_plugin.errors import InputError

Order = Literal["archive", "time"]


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet as it lies in an archive, sound or not.

    Attributes
    ----------
    name : str
        Of the member or the file.
    source : str
        The archive or the file that it comes from.
    payload : bytes
    """

    name: str
    source: str
    payload: bytes


def iter_packets(paths: Sequence[Path | str], *, order: Order = "archive") -> Iterator[Packet]:
    """Yield all packets under the paths; the same paths give the same order.

    Paths in the order given, directories sorted by name to any depth. Packets are not looked into: broken
    ones are yielded, for the stream to judge.

    Parameters
    ----------
    paths : sequence of Path or str
        Archives (tar, tar.gz), packets, or directories of either.
    order : str
        ``"archive"``: as the members lie. ``"time"``: each archive, and the packets of each directory, by the
        alerts' own times, ties as they lie; a packet without a time stays behind its predecessor. Archives
        pass through a temporary file then, not through memory.

    Raises
    ------
    InputError
        At the call for a path that is not there; while iterating for an archive that is damaged.
    """
    sources = find_sources([Path(path) for path in paths])
    return _in_order(sources) if order == "archive" else _by_time(sources)


def count_packets(paths: Sequence[Path | str]) -> int:
    """Count what :func:`iter_packets` yields, without reading the packets (archives are decompressed).

    Raises
    ------
    InputError
        As :func:`iter_packets`.
    """
    sources = find_sources([Path(path) for path in paths])
    return sum(count_members(source.path) if source.is_archive else 1 for source in sources)


def _in_order(sources: Iterable[Source]) -> Iterator[Packet]:
    for source in sources:
        yield from _packets_of(source)


def _by_time(sources: Iterable[Source]) -> Iterator[Packet]:
    clock = AlertClock()
    for _, group in groupby(
        sources, key=lambda source: source.path if source.is_archive else source.path.parent
    ):
        yield from _sorted_by_time(_in_order(group), clock)


def _sorted_by_time(packets: Iterable[Packet], clock: AlertClock) -> Iterator[Packet]:
    """Spool the packets to disk, then give them out by time; in memory are only their places."""
    with tempfile.TemporaryFile() as spool:
        places: list[tuple[float, int, int, str, str]] = []
        last = -math.inf
        for packet in packets:
            time_mjd = clock.time(packet.payload)
            last = time_mjd if time_mjd is not None else last
            places.append((last, spool.tell(), len(packet.payload), packet.name, packet.source))
            spool.write(packet.payload)
        for _, start, size, name, source in sorted(places, key=lambda place: place[:2]):
            spool.seek(start)
            yield Packet(name, source, spool.read(size))


def _packets_of(source: Source) -> Iterator[Packet]:
    if source.is_archive:
        for name, payload in read_members(source.path):
            yield Packet(name, str(source.path), payload)
        return
    try:
        payload = source.path.read_bytes()
    except OSError as error:
        msg = f"{source.path}: {error.strerror}; mend its permissions, or leave it out"
        raise InputError(msg) from error
    yield Packet(source.path.name, str(source.path), payload)
