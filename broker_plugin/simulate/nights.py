"""Write a night as the ZTF archive does: one tar.gz, one ``<id>.avro`` a packet; equal input, equal bytes."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from broker_plugin.simulate.packets import AlertPacket

_COMPRESSION = 1  # packets repeat much of each other; more effort gains 10 % and costs three times the time
_MJD_UNIX_EPOCH = 40587
_STEMS = {"ztf": "ztf_public", "lsst": "lsst"}


@dataclass(frozen=True, slots=True)
class Disorder:
    """How a night's packets depart from one each, in order and whole; fractions of their number."""

    duplicate_fraction: float = 0.0
    out_of_order_fraction: float = 0.0
    damaged_fraction: float = 0.0


def night_date(night: int) -> dt.date:
    """Return the UTC date of an integer MJD."""
    return dt.date(1970, 1, 1) + dt.timedelta(days=night - _MJD_UNIX_EPOCH)


def night_mjd(date: dt.date) -> int:
    """Return the integer MJD of a UTC date."""
    return date.toordinal() - dt.date(1970, 1, 1).toordinal() + _MJD_UNIX_EPOCH


def arrange_night(
    rng: np.random.Generator, packets: Sequence[AlertPacket], disorder: Disorder
) -> list[AlertPacket]:
    """Put a night's packets in the order of the archive, with the disorder that streams have.

    1. In the order of time, then of their ids.
    2. Some of them change places.
    3. Some come a second time, some a second time cut short, anywhere later.
    """
    arranged = sorted(packets, key=lambda packet: (packet.time_mjd, packet.alert_id))
    moved = np.flatnonzero(rng.random(len(arranged)) < disorder.out_of_order_fraction)
    for source, target in zip(moved, rng.permutation(len(arranged))[: moved.size], strict=True):
        arranged.insert(int(target), arranged.pop(int(source)))
    again = [packet for packet in arranged if rng.random() < disorder.duplicate_fraction]
    cut = [_cut_short(rng, packet) for packet in arranged if rng.random() < disorder.damaged_fraction]
    for packet in again + cut:
        first = next(i for i, other in enumerate(arranged) if other.alert_id == packet.alert_id)
        arranged.insert(int(rng.integers(first + 1, len(arranged) + 1)), packet)
    return arranged


def write_night(folder: Path, survey: str, night: int, packets: Sequence[AlertPacket]) -> Path:
    """Write a night's archive, empty or not, and return its path.

    Parameters
    ----------
    folder : Path
        Must exist.
    survey : str
        ``"ztf"`` or ``"lsst"``.
    night : int
        UTC date as an integer MJD.
    packets : sequence of AlertPacket
        In the order in which they are written.
    """
    path = folder / f"{_STEMS[survey]}_{night_date(night):%Y%m%d}.tar.gz"
    with (
        path.open("wb") as raw,
        # Without a file name and a clock in its header, gzip gives equal bytes for equal input.
        gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for packet in packets:
            member = tarfile.TarInfo(f"{packet.alert_id}.avro")
            member.size = len(packet.payload)
            member.mtime = int((packet.time_mjd - _MJD_UNIX_EPOCH) * 86400)
            archive.addfile(member, io.BytesIO(packet.payload))
    return path


def _cut_short(rng: np.random.Generator, packet: AlertPacket) -> AlertPacket:
    length = int(rng.integers(1, len(packet.payload)))
    return AlertPacket(packet.alert_id, packet.time_mjd, packet.payload[:length])
