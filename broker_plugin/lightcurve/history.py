"""The stored photometry of one object in one band: a header and chunks of epochs by time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from broker_plugin.lightcurve import epochs as ep
from broker_plugin.lightcurve.header import BandHeader
from broker_plugin.records.epoch import EPOCH_DTYPE, EpochArray


class Store(Protocol):
    """Keyed bytes, as the runner's state of one partition."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set the value; None deletes."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under the prefix, in key order."""


@dataclass(frozen=True, slots=True)
class Update:
    """What a packet changed.

    Attributes
    ----------
    header : BandHeader
        Already stored, but for the window cursors.
    was : int
        Epochs before.
    added : ndarray of EPOCH_DTYPE
        Epochs in time slots that were not held before.
    n_repeated : int
        Epochs of exposures that were held already (they may have revised a value).
    n_expired : int
        Epochs older than the bounded state reaches.
    """

    header: BandHeader
    was: int
    added: EpochArray
    n_repeated: int
    n_expired: int


HEADERS = b"h/"
_CHUNKS = b"c/"


class BandHistory:
    """Photometry of one (object, band) in a store.

    Parameters
    ----------
    store : Store
    object_key : bytes
        As :func:`broker_plugin.records.photometry.object_key`.
    band : str
    """

    def __init__(self, store: Store, object_key: bytes, band: str) -> None:
        self._store = store
        name = object_key + b"/" + band.encode()
        self._header_key = HEADERS + name
        self._chunk_prefix = _CHUNKS + name + b"/"

    def header(self) -> BandHeader | None:
        """Return the stored header, or None for an object never seen in this band."""
        packed = self._store.get(self._header_key)
        return None if packed is None else BandHeader.unpack(packed)

    def put_header(self, header: BandHeader) -> None:
        """Store the header."""
        self._store.put(self._header_key, header.pack())

    def light_curve(self) -> EpochArray:
        """Return all held epochs, one per exposure, in strictly increasing time order."""
        chunks = [
            np.frombuffer(value, dtype=EPOCH_DTYPE) for _, value in self._store.scan(self._chunk_prefix)
        ]
        return ep.one_per_exposure(np.concatenate(chunks)) if chunks else ep.no_epochs()

    def add(self, incoming: EpochArray, *, ra: float, dec: float, version: int, max_epochs: int) -> Update:
        """Merge a packet's epochs into the store.

        Parameters
        ----------
        incoming : ndarray of EPOCH_DTYPE
            In any order; every epoch usable (see :func:`broker_plugin.lightcurve.epochs.usable`).
        ra, dec, version
            Of the packet.
        max_epochs : int
            Beyond this number the oldest epochs are let go.

        Returns
        -------
        Update
        """
        header = self.header()
        if header is None:
            header = BandHeader(ra, dec, version)
        was = header.n_epochs
        if (version, ra, dec) > (header.version, header.ra, header.dec):
            header = replace(header, ra=ra, dec=dec, version=version)

        late = ep.time_slots(incoming) <= header.floor_slot
        fresh = incoming[~late]
        counts = dict(header.chunk_counts)
        added: list[EpochArray] = []
        numbers = ep.buckets(fresh)
        for number in np.unique(numbers).tolist():
            part = fresh[numbers == number]
            held = self._chunk(number)
            merged = ep.merge(held, part)
            new = ~np.isin(ep.time_slots(merged), ep.time_slots(held))
            added.append(merged[new])
            if merged.tobytes() != held.tobytes():
                self._put_chunk(number, merged)
                counts[number] = len(ep.one_per_exposure(merged))
        header = replace(header, chunk_counts=tuple(sorted(counts.items())))
        header = self._let_go(header, max_epochs)
        self.put_header(header)
        new_epochs = np.concatenate(added) if added else ep.no_epochs()
        return Update(header, was, new_epochs, len(fresh) - len(new_epochs), int(late.sum()))

    def _let_go(self, header: BandHeader, max_epochs: int) -> BandHeader:
        """Drop the oldest beyond the bound: what stays is the newest ever seen, in whatever order it came."""
        while (excess := header.n_held - max_epochs) > 0:
            number, _ = header.chunk_counts[0]
            chunk = self._chunk(number)
            exposures = ep.one_per_exposure(chunk)
            dropped = min(excess, len(exposures))
            # Two slots of one exposure go together: the next slot is the same exposure's, too.
            floor_slot = int(ep.time_slots(exposures)[dropped - 1]) + 1
            kept = chunk[ep.time_slots(chunk) > floor_slot]
            self._put_chunk(number, kept)
            rest = header.chunk_counts[1:]
            if len(kept):
                rest = ((number, len(ep.one_per_exposure(kept))), *rest)
            header = replace(
                header, floor_slot=floor_slot, n_expired=header.n_expired + dropped, chunk_counts=rest
            )
        return header

    def _chunk(self, number: int) -> EpochArray:
        packed = self._store.get(self._chunk_key(number))
        return ep.no_epochs() if packed is None else np.frombuffer(packed, dtype=EPOCH_DTYPE)

    def _put_chunk(self, number: int, chunk: EpochArray) -> None:
        self._store.put(self._chunk_key(number), chunk.tobytes() if len(chunk) else None)

    def _chunk_key(self, number: int) -> bytes:
        return self._chunk_prefix + b"%06d" % number
