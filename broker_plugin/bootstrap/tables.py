"""Rows of CSV, parquet and JSON files, some at a time, from any row on."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

from broker_plugin.bootstrap.layout import Layout, Rows
from broker_plugin.errors import InputError

CHUNK_ROWS = 5000
_GZIP_MAGIC = b"\x1f\x8b"


def iter_rows(
    path: Path, layouts: Sequence[Layout], start_row: int = 0, *, ignore_unknown: bool = False
) -> Iterator[tuple[Layout, Rows]]:
    """Yield the rows of a table, some at a time; their columns have the first names of the layout.

    Parameters
    ----------
    path : Path
        ``.parquet``, ``.json`` (a list of objects), or CSV, gzipped or not.
    layouts : sequence of Layout
        The first one whose required columns are all there is used; else the first one tells what is missing.
    start_row : int
        Pass over so many rows.
    ignore_unknown : bool
        Unknown columns are passed over.

    Raises
    ------
    InputError
        The file cannot be read, or its columns are not those of the format.
    """
    readers = {".parquet": _parquet, ".json": _json}
    read = readers.get(path.suffix, _csv)
    with _guard(path):
        yield from read(path, layouts, start_row, ignore_unknown)


def read_json(path: Path) -> Any:
    """Return a JSON file's content; InputError if it is none."""
    with _guard(path), open_text(path) as stream:
        return json.load(stream)


@contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open a text file, gzipped or not."""
    with path.open("rb") as raw:
        zipped = raw.read(2) == _GZIP_MAGIC
        raw.seek(0)
        binary: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
        with io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
            yield text


def _csv(
    path: Path, layouts: Sequence[Layout], start_row: int, ignore_unknown: bool
) -> Iterator[tuple[Layout, Rows]]:
    with open_text(path) as stream:
        reader = csv.reader(line for line in stream if line.strip() and not line.startswith("#"))
        header = [name.strip() for name in next(reader, [])]
        layout, chosen = _choose(path, layouts, header, ignore_unknown)
        places = {ours: header.index(theirs) for ours, theirs in chosen.items()}
        for _ in islice(reader, start_row):
            pass
        first = start_row
        while lines := list(islice(reader, CHUNK_ROWS)):
            columns = {
                name: [line[place] if place < len(line) else None for line in lines]
                for name, place in places.items()
            }
            rows = Rows(path, first, columns)
            for index, line in enumerate(lines):
                if len(line) != len(header):
                    rows.note(index, "the row", f"{len(line)} values", f"{len(header)} as in the heading")
            yield layout, rows
            first += len(lines)


def _parquet(
    path: Path, layouts: Sequence[Layout], start_row: int, ignore_unknown: bool
) -> Iterator[tuple[Layout, Rows]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        layout, chosen = _choose(path, layouts, file.schema_arrow.names, ignore_unknown)
        first = 0
        for batch in file.iter_batches(CHUNK_ROWS, columns=list(chosen.values())):
            skipped = min(max(start_row - first, 0), batch.num_rows)
            if skipped < batch.num_rows:
                kept = batch.slice(skipped)
                columns = {ours: _arrow_values(kept.column(theirs)) for ours, theirs in chosen.items()}
                yield layout, Rows(path, first + skipped, columns)
            first += batch.num_rows


def _arrow_values(column: Any) -> Any:
    """Return numpy numbers where nothing is missing, else Python's values: 64-bit ids stay whole."""
    import pyarrow as pa

    plain = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
    if plain and (column.null_count == 0 or pa.types.is_floating(column.type)):
        return column.to_numpy(zero_copy_only=False)
    return column.to_pylist()


def _json(
    path: Path, layouts: Sequence[Layout], start_row: int, ignore_unknown: bool
) -> Iterator[tuple[Layout, Rows]]:
    records = read_json(path)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        msg = f"{path}: a JSON {type(records).__name__}; expected a list of objects, one a row"
        raise InputError(msg)
    names = list(dict.fromkeys(name for record in records for name in record))
    layout, chosen = _choose(path, layouts, names, ignore_unknown)
    for first in range(start_row, len(records), CHUNK_ROWS):
        some = records[first : first + CHUNK_ROWS]
        columns = {ours: [record.get(theirs) for record in some] for ours, theirs in chosen.items()}
        yield layout, Rows(path, first, columns)


def _choose(
    path: Path, layouts: Sequence[Layout], found: Sequence[str], ignore_unknown: bool
) -> tuple[Layout, dict[str, str]]:
    there = set(found)
    fitting = (each for each in layouts if all(not there.isdisjoint(names) for names in each.required))
    layout = next(fitting, layouts[0])
    return layout, layout.choose(path, found, ignore_unknown=ignore_unknown)


@contextmanager
def _guard(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except (OSError, EOFError, ValueError, csv.Error) as error:  # pyarrow's and json's errors are ValueErrors
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        msg = f"{path} cannot be read ({reason}); fetch it again, or mend --format"
        raise InputError(msg) from error
