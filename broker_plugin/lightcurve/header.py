"""What is known of an object in one band without reading its epochs: 80 bytes and 6 for each chunk."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

# layout version, ra, dec, version, floor slot, expired, due, window digest, chunk end, chunks
_FIXED = struct.Struct("<BddqqIIQdH")
_FIXED_COUNTS = struct.Struct("<33xI20xH")  # of these, what was let go and how many chunks there are
_CHUNK = struct.Struct("<iH")
_LAYOUT = 1
_WITH_WITHDRAWALS = 2  # the same, then the withdrawn exposures: only where there are any
_COUNT = struct.Struct("<H")
_NO_FLOOR = -(2**63)


class BandHeader(NamedTuple):
    """Counts and cursors of one (object, band).

    Attributes
    ----------
    ra, dec : float
        Of the newest packet, degrees.
    version : int
        Of the newest packet (see ``EPOCH_DTYPE``).
    floor_slot : int
        Epochs at or below this time slot were let go to keep the state bounded and are not taken again.
    n_expired : int
        How many were let go.
    due : int
        Windows are numbered by the number of epochs at which they fall due; this is the last one emitted.
    window_digest : int
        Of the last window emitted: epochs that come late and old raise the level without a new window.
    chunk_end_mjd : float
        Last epoch of the last disjoint chunk emitted; minus infinity before the first.
    chunk_counts : tuple of (int, int)
        (number of the chunk of state, exposures in it), ascending. Withdrawn ones count: what the bounded
        state lets go must not depend on whether a withdrawal came before or after its epoch.
    withdrawn_counts : tuple of (int, int)
        (number of the chunk of state, withdrawn exposures in it), ascending, chunks without left away.
    """

    ra: float
    dec: float
    version: int
    floor_slot: int = _NO_FLOOR
    n_expired: int = 0
    due: int = 0
    window_digest: int = 0
    chunk_end_mjd: float = float("-inf")
    chunk_counts: tuple[tuple[int, int], ...] = ()
    withdrawn_counts: tuple[tuple[int, int], ...] = ()

    @property
    def n_held(self) -> int:
        """Return the number of exposures in the state, withdrawn ones included."""
        return sum([count for _, count in self.chunk_counts])

    @property
    def n_exposures(self) -> int:
        """Return the number of exposures so far, those let go and those withdrawn included."""
        return self.n_held + self.n_expired

    @property
    def n_epochs(self) -> int:
        """Return the number of exposures so far, those let go included, without the withdrawn ones held."""
        if not self.withdrawn_counts:
            return self.n_held + self.n_expired
        return self.n_exposures - sum(count for _, count in self.withdrawn_counts)

    def pack(self) -> bytes:
        """Return the bytes of the state value."""
        flat = [number for chunk in self.chunk_counts for number in chunk]
        packed = _layout(len(self.chunk_counts)).pack(
            _WITH_WITHDRAWALS if self.withdrawn_counts else _LAYOUT,
            self.ra,
            self.dec,
            self.version,
            self.floor_slot,
            self.n_expired,
            self.due,
            self.window_digest,
            self.chunk_end_mjd,
            len(self.chunk_counts),
            *flat,
        )
        if not self.withdrawn_counts:
            return packed
        withdrawn = b"".join(_CHUNK.pack(*chunk) for chunk in self.withdrawn_counts)
        return packed + _COUNT.pack(len(self.withdrawn_counts)) + withdrawn

    @classmethod
    def unpack(cls, data: bytes) -> BandHeader:
        """Read :meth:`pack`'s bytes; raises ValueError on another layout."""
        if len(data) < _FIXED.size or data[0] not in (_LAYOUT, _WITH_WITHDRAWALS):
            known = f"{_LAYOUT} or {_WITH_WITHDRAWALS}"
            msg = f"state header of {len(data)} bytes with layout {data[:1].hex()}, expected layout {known}"
            raise ValueError(msg)
        _, ra, dec, version, floor_slot, n_expired, due, digest, chunk_end, n_chunks = _FIXED.unpack_from(
            data
        )
        chunks = _chunks(data, _FIXED.size, n_chunks)
        withdrawn: tuple[tuple[int, int], ...] = ()
        if data[0] == _WITH_WITHDRAWALS:
            at = _FIXED.size + _CHUNK.size * n_chunks
            withdrawn = _chunks(data, at + _COUNT.size, _COUNT.unpack_from(data, at)[0])
        return cls(ra, dec, version, floor_slot, n_expired, due, digest, chunk_end, chunks, withdrawn)


def _chunks(data: bytes, start: int, count: int) -> tuple[tuple[int, int], ...]:
    chunks: tuple[tuple[int, int], ...] = tuple(_CHUNK.iter_unpack(data[start : start + _CHUNK.size * count]))
    if len(chunks) != count:
        msg = f"state header of {len(data)} bytes ends within its {count} chunks"
        raise ValueError(msg)
    return chunks


def packed_epochs(data: bytes) -> int:
    """Return ``BandHeader.unpack(data).n_epochs``, faster: it is asked of every object at every start."""
    if len(data) < _FIXED.size or data[0] != _LAYOUT:
        return BandHeader.unpack(data).n_epochs
    n_expired, n_chunks = _FIXED_COUNTS.unpack_from(data)
    n_held: int = sum(_counts(n_chunks).unpack_from(data, _FIXED.size))
    return n_held + int(n_expired)


@lru_cache(maxsize=256)
def _layout(n_chunks: int) -> struct.Struct:
    return struct.Struct(str(_FIXED.format) + _CHUNK.format.lstrip("<") * n_chunks)


@lru_cache(maxsize=256)
def _counts(n_chunks: int) -> struct.Struct:
    return struct.Struct("<" + "4xH" * n_chunks)
