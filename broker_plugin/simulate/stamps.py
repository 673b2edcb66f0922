"""Cut-outs that are gzipped FITS images, of a chosen size."""

from __future__ import annotations

import gzip

import numpy as np

_SIDE_PIXELS = 63  # ZTF's cut-outs
_FITS_BLOCK = 2880


def make_stamp(rng: np.random.Generator, size_bytes: int) -> bytes:
    """Return a gzipped FITS image of a star on sky noise, about as long as asked.

    Parameters
    ----------
    rng : Generator
    size_bytes : int
        Length wanted; a 63 x 63 float image compresses to about 14 kB, smaller sizes get smaller images.
    """
    side = int(np.clip(np.sqrt(max(size_bytes - 250, 1) / 3.55), 1, _SIDE_PIXELS))
    offset = np.arange(side) - side // 2
    star = 200.0 * np.exp(-0.5 * (offset[:, None] ** 2 + offset[None, :] ** 2) / 1.2**2)
    image = (star + rng.normal(0, 5, (side, side))).astype(">f4")
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                  -32",
        "NAXIS   =                    2",
        f"NAXIS1  = {side:20d}",
        f"NAXIS2  = {side:20d}",
        "END",
    ]
    header = "".join(card.ljust(80) for card in cards).ljust(_FITS_BLOCK).encode("ascii")
    data = image.tobytes()
    data += b"\0" * (-len(data) % _FITS_BLOCK)
    return gzip.compress(header + data, compresslevel=6, mtime=0)
