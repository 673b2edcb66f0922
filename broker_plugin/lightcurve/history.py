"""The stored photometry of one object in one band: a header and chunks of epochs by time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from broker_plugin.lightcurve import epochs as ep
from broker_plugin.lightcurve.header import BandHeader
from broker_plugin.lightcurve.plain import EPOCH_BYTES, ORIGIN_AT, PlainEpochs, merged_chunk
from broker_plugin.records.epoch import EPOCH_DTYPE, EpochArray


class Store(Protocol):
    """Keyed bytes, as the runner's state of one partition."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None."""

    def put(self, key: bytes, value: bytes | None) -> None:
        """Set the value; None deletes."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) under the prefix, in key order."""


class Update(NamedTuple):
    """What a packet changed.

    Attributes
    ----------
    header : BandHeader
        Already stored, but for the window cursors.
    was : int
        Epochs before.
    added : bytes
        Epochs in time slots that were not held before, EPOCH_DTYPE.
    n_repeated : int
        Epochs of exposures that were held already (they may have revised a value).
    n_expired : int
        Epochs older than the bounded state reaches.
    withdrawn : ndarray of EPOCH_DTYPE
        Exposures that were in the light curve and are not any more, as they were.
    is_new : bool
        Whether nothing was held of the object in this band.
    """

    header: BandHeader
    was: int
    added: bytes
    n_repeated: int
    n_expired: int
    withdrawn: EpochArray
    is_new: bool

    @property
    def n_epochs(self) -> int:
        """Return how many epochs the packet had."""
        return len(self.added) // EPOCH_BYTES + self.n_repeated + self.n_expired

    @property
    def origins(self) -> bytes:
        """Return the origin of each epoch that was added."""
        return self.added[ORIGIN_AT::EPOCH_BYTES]


_NONE = ep.no_epochs()
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
        """Return all held epochs, one per exposure, in strictly increasing time order, withdrawn ones not."""
        chunks = [
            np.frombuffer(value, dtype=EPOCH_DTYPE) for _, value in self._store.scan(self._chunk_prefix)
        ]
        return ep.live(ep.one_per_exposure(np.concatenate(chunks))) if chunks else ep.no_epochs()

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
        held_header = self.header()
        header = BandHeader(ra, dec, version) if held_header is None else held_header
        was = header.n_epochs
        if (version, ra, dec) > (header.version, header.ra, header.dec):
            header = header._replace(ra=ra, dec=dec, version=version)

        late = ep.time_slots(incoming) <= header.floor_slot
        fresh = ep.without_rank_of_withdrawals(incoming[~late])
        counts, withdrawn_counts = dict(header.chunk_counts), dict(header.withdrawn_counts)
        added: list[EpochArray] = []
        withdrawn: list[EpochArray] = []
        numbers = ep.buckets(fresh)
        for number in np.unique(numbers).tolist():
            part = fresh[numbers == number]
            held = self._chunk(number)
            merged = ep.merge(held, part)
            new = ~np.isin(ep.time_slots(merged), ep.time_slots(held))
            added.append(merged[new])
            if merged.tobytes() != held.tobytes():
                self._put_chunk(number, merged)
                exposures = ep.one_per_exposure(merged)
                counts[number] = len(exposures)
                withdrawn_counts.pop(number, None)
                if n_withdrawn := len(exposures) - len(ep.live(exposures)):
                    withdrawn.append(ep.newly_withdrawn(held, merged))
                    withdrawn_counts[number] = n_withdrawn
        header = header._replace(
            chunk_counts=tuple(sorted(counts.items())),
            withdrawn_counts=tuple(sorted(withdrawn_counts.items())),
        )
        header = self._let_go(header, max_epochs)
        self.put_header(header)
        return Update(
            header,
            was,
            b"".join([epochs.tobytes() for epochs in added]),
            len(fresh) - sum(map(len, added)),
            int(late.sum()),
            np.concatenate(withdrawn) if withdrawn else _NONE,
            held_header is None,
        )

    def add_plain(
        self, incoming: PlainEpochs, *, ra: float, dec: float, version: int, max_epochs: int
    ) -> Update:
        """Do what :meth:`add` does, faster; see there."""
        packed_header = self._store.get(self._header_key)
        held = None if packed_header is None else BandHeader.unpack(packed_header)
        if held is not None and held.withdrawn_counts:
            epochs: EpochArray = np.frombuffer(incoming.packed, dtype=EPOCH_DTYPE)
            return self.add(epochs, ra=ra, dec=dec, version=version, max_epochs=max_epochs)
        header = BandHeader(ra, dec, version) if held is None else held
        fresh = incoming.in_time_order()
        n_late = bisect_right(fresh.slots, header.floor_slot)
        more: dict[int, int] = {}
        added: list[bytes] = []
        start, stop = n_late, len(fresh.slots)
        while start < stop:
            number = fresh.slots[start] // ep.SLOTS_PER_BUCKET
            end = bisect_left(fresh.slots, (number + 1) * ep.SLOTS_PER_BUCKET, start)
            key = self._chunk_key(number)
            merged = merged_chunk(self._store.get(key) or b"", fresh.part(start, end))
            start = end
            if merged is None:
                continue
            self._store.put(key, merged.packed)
            if merged.new:
                more[number] = merged.n_more
                added.append(merged.new)
        new = b"".join(added)
        after = _moved(header, ra, dec, version, more)
        if after.n_held > max_epochs:
            after = self._let_go(after, max_epochs)
        self.put_header(after)
        n_repeated = stop - n_late - len(new) // EPOCH_BYTES
        return Update(after, header.n_epochs, new, n_repeated, n_late, _NONE, held is None)

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
            withdrawn = dict(header.withdrawn_counts)
            withdrawn.pop(number, None)
            if len(kept):
                left = ep.one_per_exposure(kept)
                rest = ((number, len(left)), *rest)
                if n_withdrawn := len(left) - len(ep.live(left)):
                    withdrawn[number] = n_withdrawn
            header = header._replace(
                floor_slot=floor_slot,
                n_expired=header.n_expired + dropped,
                chunk_counts=rest,
                withdrawn_counts=tuple(sorted(withdrawn.items())),
            )
        return header

    def _chunk(self, number: int) -> EpochArray:
        packed = self._store.get(self._chunk_key(number))
        return ep.no_epochs() if packed is None else np.frombuffer(packed, dtype=EPOCH_DTYPE)

    def _put_chunk(self, number: int, chunk: EpochArray) -> None:
        self._store.put(self._chunk_key(number), chunk.tobytes() if len(chunk) else None)

    def _chunk_key(self, number: int) -> bytes:
        return self._chunk_prefix + b"%06d" % number


def _moved(header: BandHeader, ra: float, dec: float, version: int, more: dict[int, int]) -> BandHeader:
    """Return the header after a packet, with so many exposures more in some chunks."""
    if (version, ra, dec) <= (header.version, header.ra, header.dec):
        ra, dec, version = header.ra, header.dec, header.version
        if not more:
            return header
    counts = header.chunk_counts
    if more:
        held = dict(counts)
        for number, n in more.items():
            held[number] = held.get(number, 0) + n
        counts = tuple(sorted(held.items()))
    return BandHeader(
        ra,
        dec,
        version,
        header.floor_slot,
        header.n_expired,
        header.due,
        header.window_digest,
        header.chunk_end_mjd,
        counts,
        header.withdrawn_counts,
    )
