"""What is known of an object in one band without reading its epochs: 80 bytes and 6 for each chunk."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# layout version, ra, dec, version, floor slot, expired, due, window digest, chunk end, chunks
_FIXED = struct.Struct("<BddqqIIQdH")
_CHUNK = struct.Struct("<iH")
_LAYOUT = 1
_NO_FLOOR = -(2**63)


@dataclass(frozen=True, slots=True)
class BandHeader:
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
        (number of the chunk of state, exposures in it), ascending.
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

    @property
    def n_held(self) -> int:
        """Return the number of exposures in the state."""
        return sum(count for _, count in self.chunk_counts)

    @property
    def n_epochs(self) -> int:
        """Return the number of exposures so far, those let go included."""
        return self.n_held + self.n_expired

    def pack(self) -> bytes:
        """Return the bytes of the state value."""
        fixed = _FIXED.pack(
            _LAYOUT,
            self.ra,
            self.dec,
            self.version,
            self.floor_slot,
            self.n_expired,
            self.due,
            self.window_digest,
            self.chunk_end_mjd,
            len(self.chunk_counts),
        )
        return fixed + b"".join(_CHUNK.pack(*chunk) for chunk in self.chunk_counts)

    @classmethod
    def unpack(cls, data: bytes) -> BandHeader:
        """Read :meth:`pack`'s bytes; raises ValueError on another layout."""
        if len(data) < _FIXED.size or data[0] != _LAYOUT:
            msg = f"state header of {len(data)} bytes with layout {data[:1].hex()}, expected layout {_LAYOUT}"
            raise ValueError(msg)
        _, ra, dec, version, floor_slot, n_expired, due, digest, chunk_end, n_chunks = _FIXED.unpack_from(
            data
        )
        chunks = tuple(_CHUNK.unpack_from(data, _FIXED.size + _CHUNK.size * i) for i in range(n_chunks))
        return cls(ra, dec, version, floor_slot, n_expired, due, digest, chunk_end, chunks)
