"""Photometry records of a whole batch, read straight into one array of epochs.

A record of the photometry topic is small and there are a thousand a second: building a list of Python floats
for each column, then an array of each list, costs ten times as much as the bytes are worth. In Avro's body
doubles and floats are little-endian and stand side by side, so that a column is a slice of the record.
What is not laid out as this program writes it (another schema, another framing, arrays in several blocks,
damage) is left to :func:`broker_plugin.records.codec.decode_photometry`, which knows or refuses it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from broker_plugin.records import schemas
from broker_plugin.records.codec import decode_photometry
from broker_plugin.records.epoch import EpochArray, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.records.wire import read_long

_KNOWN_LAYOUT = 1  # version of the schema
_POSITION = struct.Struct("<3d")  # time of the alert, right ascension, declination


class BandRows(NamedTuple):
    """The rows of one band of one record in :attr:`PhotometryBatch.epochs`."""

    band: str
    start: int
    stop: int


class PacketHead(NamedTuple):
    """One record but for its epochs; the fields are those of :class:`ObjectPhotometry`.

    ``version`` is that of all its epochs.
    """

    survey: str
    object_id: str
    alert_id: str
    alert_time_mjd: float
    ra: float
    dec: float
    version: int
    bands: tuple[BandRows, ...]


@dataclass(frozen=True, slots=True)
class PhotometryBatch:
    """What the values of a batch hold.

    Attributes
    ----------
    packets : tuple of PacketHead or ValueError
        One for each value, in order; the error is the one that decoding it alone raises.
    epochs : ndarray of EPOCH_DTYPE
        Of all packets, one band after the other.
    """

    packets: tuple[PacketHead | ValueError, ...]
    epochs: EpochArray


def decode_photometry_batch(values: Sequence[bytes | None]) -> PhotometryBatch:
    """Decode records from the photometry topic; each as :func:`decode_photometry` decodes it alone."""
    columns = _Columns()
    packets: list[PacketHead | ValueError] = []
    for value in values:
        data = value or b""
        packet = _read_known_layout(data, columns)
        if packet is None:
            try:
                packet = columns.take(decode_photometry(data))
            except ValueError as error:
                packets.append(error)
                continue
        packets.append(packet)
    return PhotometryBatch(tuple(packets), columns.epochs())


class _Columns:
    """Bytes of the columns of all bands so far."""

    def __init__(self) -> None:
        self.time_mjd: list[bytes] = []
        self.mag: list[bytes] = []
        self.magerr: list[bytes] = []
        self.origin: list[bytes] = []
        self.versions: list[int] = []
        self.lengths: list[int] = []
        self.size = 0

    def take(self, photometry: ObjectPhotometry) -> PacketHead:
        """Append a record that was decoded by itself."""
        rows: list[BandRows] = []
        version = 0
        for band, epochs in photometry.bands.items():
            rows.append(BandRows(band, self.size, self.size + len(epochs)))
            self.time_mjd.append(epochs["time_mjd"].tobytes())
            self.mag.append(epochs["mag"].tobytes())
            self.magerr.append(epochs["magerr"].tobytes())
            self.origin.append(epochs["origin"].tobytes())
            version = int(epochs["version"][0]) if len(epochs) else version
            self.lengths.append(len(epochs))
            self.size += len(epochs)
        self.versions += [version] * len(rows)
        names = ("survey", "object_id", "alert_id", "alert_time_mjd", "ra", "dec")
        head = {name: getattr(photometry, name) for name in names}
        return PacketHead(**head, version=version, bands=tuple(rows))

    def epochs(self) -> EpochArray:
        """Return all epochs, one array."""
        return make_epochs(
            np.frombuffer(b"".join(self.time_mjd), dtype="<f8"),
            np.frombuffer(b"".join(self.mag), dtype="<f4"),
            np.frombuffer(b"".join(self.magerr), dtype="<f4"),
            origin=np.frombuffer(b"".join(self.origin), dtype=np.uint8),
            version=np.repeat(np.array(self.versions, dtype=np.int64), self.lengths),
        )


@cache
def _known_head() -> bytes:
    """Return the bytes that a record of the known layout starts with."""
    return schemas.single_object_head("photometry", _KNOWN_LAYOUT)


def _read_known_layout(data: bytes, columns: _Columns) -> PacketHead | None:
    """Read a record of the known layout and append its columns; None, and nothing appended, for another."""
    head = _known_head()
    if not data.startswith(head):
        return None
    try:
        return _read_body(data, len(head), columns)
    except (IndexError, OverflowError, UnicodeDecodeError, struct.error):
        return None


def _read_body(data: bytes, at: int, columns: _Columns) -> PacketHead | None:
    texts: list[str] = []
    for _ in range(3):
        length = data[at]
        if length & 0x81:  # negative, or longer than 63 bytes
            return None
        at += 1
        texts.append(data[at : at + (length >> 1)].decode())
        at += length >> 1
    alert_time, ra, dec = _POSITION.unpack_from(data, at)
    version, at = read_long(data, at + _POSITION.size)
    n_bands = data[at]
    if n_bands & 0x81:
        return None
    at += 1
    rows: list[BandRows] = []
    found: list[tuple[bytes, bytes, bytes, bytes]] = []
    start = columns.size
    for _ in range(n_bands >> 1):
        band = _read_band(data, at)
        if band is None:
            return None
        name, columns_of_band, at = band
        stop = start + len(columns_of_band[-1])
        rows.append(BandRows(name, start, stop))
        found.append(columns_of_band)
        start = stop
    # The end of the bands: reading it shows that nothing before was cut off.
    if (n_bands and data[at]) or len({row.band for row in rows}) < len(rows):
        return None
    for time_mjd, mag, magerr, origin in found:
        columns.time_mjd.append(time_mjd)
        columns.mag.append(mag)
        columns.magerr.append(magerr)
        columns.origin.append(origin)
        columns.versions.append(version)
        columns.lengths.append(len(origin))
    columns.size = start
    survey, object_id, alert_id = texts
    return PacketHead(survey, object_id, alert_id, alert_time, ra, dec, version, tuple(rows))


def _read_band(data: bytes, at: int) -> tuple[str, tuple[bytes, bytes, bytes, bytes], int] | None:
    """Return a band's name, its columns, and where it ends."""
    length = data[at]
    if length & 0x81:
        return None
    at += 1 + (length >> 1)
    name = data[at - (length >> 1) : at].decode()
    count, body = read_long(data, at)
    if count <= 0:
        return None
    written = data[at:body]  # the count stands before each column, after the end of the one before
    n_written = len(written)
    mag_at = body + 8 * count + 1 + n_written
    magerr_at = mag_at + 4 * count + 1 + n_written
    origin_at = magerr_at + 4 * count + 1 + n_written
    between = b"\0" + written
    for column_at in (mag_at, magerr_at, origin_at):
        if data[column_at - n_written - 1 : column_at] != between:
            return None
    end = origin_at + count
    columns = (
        data[body : body + 8 * count],
        data[mag_at : mag_at + 4 * count],
        data[magerr_at : magerr_at + 4 * count],
        data[origin_at:end],
    )
    return name, columns, end
