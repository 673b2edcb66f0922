"""From a table of stars to the file that is matched against: checked, sorted along the sky, written once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from broker_plugin.catalogue import layout
from broker_plugin.catalogue.cells import cells_of
from broker_plugin.catalogue.source import read_source
from broker_plugin.errors import InputError


def build_catalogue(
    source: Path,
    out: Path,
    *,
    name: str | None = None,
    rename: Mapping[str, str] | None = None,
    missing: Sequence[float] = (),
) -> pa.Schema:
    """Write a catalogue; the file appears whole or not at all.

    Takes about 10 s and 300 bytes of memory a row for each million of rows or so; it is done once.

    Parameters
    ----------
    source : Path
        CSV or parquet, see :func:`broker_plugin.catalogue.source.read_source`.
    out : Path
    name : str, optional
        Under which annotations name it; by default that of the source, without suffix.
    rename, missing
        See :func:`broker_plugin.catalogue.source.read_source`.

    Returns
    -------
    pyarrow.Schema
        Of the file; its metadata hold name and digest.

    Raises
    ------
    InputError
        The source is wrong, or the file cannot be written.
    """
    columns = read_source(source, rename=rename, missing=missing)
    ra, dec = (columns[axis].to_numpy() for axis in layout.POSITION)
    cells = cells_of(ra, dec, layout.DEPTH)
    # Ties by the table's own order: equal tables make equal files.
    order = pa.array(np.argsort(cells, kind="stable"))
    ordered = {layout.CELL: pa.array(cells[order.to_numpy()])}
    del cells
    for column in list(columns):
        ordered[column] = pc.take(columns.pop(column), order)
    if layout.CLASS in ordered:
        ordered[layout.CLASS] = ordered[layout.CLASS].dictionary_encode()
    batch = pa.RecordBatch.from_pydict(ordered)
    batch = batch.replace_schema_metadata(
        {
            layout.FORMAT_KEY: layout.FORMAT,
            layout.NAME_KEY: (name or source.stem).encode(),
            layout.SOURCE_KEY: source.name.encode(),
            layout.DIGEST_KEY: layout.content_digest(batch).encode(),
        }
    )
    _write(batch, out)
    return batch.schema


def _write(batch: pa.RecordBatch, out: Path) -> None:
    unfinished = out.with_name(out.name + f".{os.getpid()}.part")
    try:
        with pa.OSFile(str(unfinished), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
            writer.write_batch(batch)
        unfinished.replace(out)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        msg = f"{out} cannot be written: {error.strerror or error}"
        raise InputError(msg) from error
