"""The file of a catalogue: Arrow IPC, one batch, rows along the HEALPix curve, so that a region is a range.

Every column is an array of the file itself (memory-mapped, nothing is read before it is asked for), and any
Arrow library reads it. Missing numbers are NaN and missing words are empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

FORMAT = b"broker-plugin catalogue 1"
FORMAT_KEY, NAME_KEY, DIGEST_KEY, SOURCE_KEY = b"format", b"name", b"digest", b"source"

DEPTH = 24
"""HEALPix depth of the sort (nested numbers, 0.01 arcsec): the cells of any lesser depth are ranges of it."""

CELL = "healpix_24"
POSITION = ("ra", "dec")
IDS = "star_id"
CLASS = "class"
PERIOD = "period"


def sorted_by_cell(cells: np.ndarray) -> bool:
    """Return whether the numbers never fall."""
    return bool((cells[1:] >= cells[:-1]).all())


def content_digest(columns: pa.RecordBatch) -> str:
    """Return the sha256 of names and values of all columns, hexadecimal."""
    digest = hashlib.sha256()
    for name, column in zip(columns.schema.names, columns.columns, strict=True):
        digest.update(f"{name}/{len(column)}/".encode())
        for part in _values(column):
            digest.update(part)
    return digest.hexdigest()


def _values(column: pa.Array) -> Iterator[bytes | memoryview]:
    """Yield what a column without nulls holds, without the padding of its buffers."""
    if isinstance(column, pa.DictionaryArray):
        yield "\n".join(column.dictionary.to_pylist()).encode()
        column = column.indices
    if pa.types.is_large_string(column.type):
        _, offsets, text = column.buffers()
        ends = np.frombuffer(offsets, dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        yield (ends - ends[0]).tobytes()
        if text is not None:
            yield memoryview(text)[int(ends[0]) : int(ends[-1])]
    else:
        yield column.to_numpy().tobytes()
