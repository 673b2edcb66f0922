"""The epochs of one window as the store keeps them: 24 bytes each."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.records.window import Window

CURVE_DTYPE = np.dtype(
    [
        ("time_mjd", "<f8"),  # barycentric MJD (TDB), days
        ("mag", "<f4"),
        ("magerr", "<f4"),
        ("phase", "<f4"),  # of the network's fold; NaN where the record has none
        ("reconstruction_mag", "<f4"),  # NaN where the record has none
    ]
)
"""Layout of ``curves.data``; part of the store's version."""

Curve = npt.NDArray[np.void]
"""Shape (n,), :data:`CURVE_DTYPE`, in time order."""


def curve_of_novelty(record: dict[str, Any]) -> Curve:
    """Return the columns of epochs of a novelty record; raises ValueError for unequal lengths."""
    return _curve({name: record[name] for name in CURVE_DTYPE.names or ()})


def curve_of_window(window: Window) -> Curve:
    """Return a window's epochs, without phase and reconstruction."""
    missing = np.full(len(window.epochs), np.nan)
    columns = {name: window.epochs[name] for name in ("time_mjd", "mag", "magerr")}
    return _curve({**columns, "phase": missing, "reconstruction_mag": missing})


def pack(curve: Curve) -> bytes:
    """Return the curve as stored; columns one after the other compress better than epochs."""
    return zlib.compress(
        b"".join(np.ascontiguousarray(curve[n]).tobytes() for n in CURVE_DTYPE.names or ()), 1
    )


def unpack(data: bytes) -> Curve:
    """Return what :func:`pack` packed."""
    raw = zlib.decompress(data)
    curve: Curve = np.empty(len(raw) // CURVE_DTYPE.itemsize, dtype=CURVE_DTYPE)
    start = 0
    for name in CURVE_DTYPE.names or ():
        kind = CURVE_DTYPE[name]
        curve[name] = np.frombuffer(raw, kind, len(curve), start)
        start += len(curve) * kind.itemsize
    curve.setflags(write=False)
    return curve


def _curve(columns: dict[str, Any]) -> Curve:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) != 1:
        msg = f"columns of unequal length: {lengths}"
        raise ValueError(msg)
    curve: Curve = np.empty(lengths["time_mjd"], dtype=CURVE_DTYPE)
    for name, column in columns.items():
        curve[name] = column
    return curve
