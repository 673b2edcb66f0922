"""A catalogue as astronomers have it, CSV or parquet, read and checked; what is wrong has its row named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from broker_plugin.catalogue.layout import CLASS, IDS, PERIOD, POSITION
from broker_plugin.errors import InputError
from broker_plugin.records.epoch import FloatArray
from broker_plugin.records.match import PHOTOMETRIC

COLUMNS = (*POSITION, IDS, CLASS, PERIOD, *PHOTOMETRIC)
"""Names that are known; ra and dec must be there. They are those of ``training.data``, too."""

_WORDS = (IDS, CLASS)
_RANGES: Mapping[str, tuple[float, float]] = {
    "ra": (0.0, 360.0),
    "dec": (-90.0, 90.0),
    PERIOD: (1e-5, 1e6),  # days; a pulsating white dwarf to a century and more
    "gaia_abs_g_mag": (-20.0, 35.0),
    "gaia_bp_rp": (-10.0, 20.0),
    "wise_w_rp": (-20.0, 35.0),
}
"""Beyond these it is no measurement but a stand-in for "not known", or another unit."""


def read_source(
    path: Path, *, rename: Mapping[str, str] | None = None, missing: Sequence[float] = ()
) -> dict[str, pa.Array]:
    """Read the known columns of a table.

    Parameters
    ----------
    path : Path
        ``.parquet``, or CSV with a header.
    rename : mapping of str to str, optional
        The table's own name by ours, e.g. ``{"period": "P"}``.
    missing : sequence of float
        Numbers that stand for "not known" in every column but the position.

    Returns
    -------
    dict of str to pyarrow.Array
        In the order of :data:`COLUMNS`; numbers float64 with NaN where not known, ids and classes text with
        "" where not known. Without ids in the table, the row numbers, from 1, are the ids.

    Raises
    ------
    InputError
        Names the file, and the column or row and value.
    """
    names = {name: (rename or {}).get(name, name) for name in COLUMNS}
    unknown = sorted(set(rename or {}) - set(COLUMNS))
    if unknown:
        msg = f"column {unknown[0]!r} is not known; expected some of {', '.join(COLUMNS)}"
        raise InputError(msg)
    found = _header(path)
    required = {*POSITION, *(rename or {})}
    lacking = [names[name] for name in COLUMNS if name in required and names[name] not in found]
    if lacking:
        listed = ", ".join(found[:20])
        msg = (
            f"{path}: column {lacking[0]!r} is missing; found {listed}; name yours with "
            f"--column {next(ours for ours, theirs in names.items() if theirs == lacking[0])}=NAME"
        )
        raise InputError(msg)
    table = _table(path, [names[name] for name in COLUMNS if names[name] in found], names)
    if table.num_rows == 0:
        msg = f"{path}: no rows; expected one star a row"
        raise InputError(msg)
    columns: dict[str, pa.Array] = {}
    for name in COLUMNS:
        if names[name] in found:
            column = table[names[name]]
            columns[name] = (
                _words(path, name, column) if name in _WORDS else _numbers(path, name, column, missing)
            )
    if IDS not in columns:
        columns[IDS] = pc.cast(pa.array(np.arange(1, table.num_rows + 1)), pa.large_string())
    return columns


def unused_columns(path: Path, rename: Mapping[str, str] | None = None) -> list[str]:
    """Return the columns of a table that :func:`read_source` passes over: a typo shows here."""
    used = {(rename or {}).get(name, name) for name in COLUMNS}
    return [name for name in _header(path) if name not in used]


def _header(path: Path) -> list[str]:
    try:
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        with pcsv.open_csv(path) as reader:
            return list(reader.schema.names)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"{path}: cannot be read ({error}); expected CSV with a header, or parquet"
        raise InputError(msg) from error


def _table(path: Path, wanted: list[str], names: Mapping[str, str]) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path, columns=wanted)
        # Ids are text: a 64-bit integer would not survive a column of floats, nor 007 one of integers.
        # Numbers are read as text, too, so that a bad one can be told with its row.
        options = pcsv.ConvertOptions(
            include_columns=wanted,
            column_types={names[name]: pa.large_string() for name in COLUMNS},
            strings_can_be_null=True,
            null_values=["", "nan", "NaN", "NULL", "null", "None"],
        )
        return pcsv.read_csv(path, convert_options=options)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"{path}: cannot be read ({error}); expected CSV with a header, or parquet"
        raise InputError(msg) from error


def _words(path: Path, name: str, column: pa.ChunkedArray) -> pa.Array:
    if name == IDS and pa.types.is_floating(column.type):
        msg = f"{path}: column {name} holds {column.type}, which rounds long ids; expected integers or text"
        raise InputError(msg)
    try:
        text = pc.cast(column, pa.large_string()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        msg = f"{path}: column {name}: {column.type} cannot be read as text ({error})"
        raise InputError(msg) from error
    text = pc.utf8_trim_whitespace(pc.fill_null(text, ""))
    if name == IDS:
        empty = pc.equal(text, "").to_numpy(zero_copy_only=False)
        if empty.any():
            raise _wrong(path, name, int(empty.argmax()), "", "expected an id for every star")
    return text


def _numbers(path: Path, name: str, column: pa.ChunkedArray, missing: Sequence[float]) -> pa.Array:
    values = _floats(path, name, column)
    if name not in POSITION:
        values[np.isin(values, np.asarray(missing, dtype=np.float64))] = np.nan
        if name == PERIOD:
            values[values == 0] = np.nan  # catalogues write 0 for "no period"
    low, high = _RANGES[name]
    wrong = ~((values >= low) & (values <= high))
    if name not in POSITION:
        wrong &= ~np.isnan(values)
    if wrong.any():
        row = int(wrong.argmax())
        hint = "" if name in POSITION else "; if it stands for 'not known', give --missing"
        raise _wrong(path, name, row, float(values[row]), f"expected {low:g} to {high:g}{hint}")
    return pa.array(values)


def _floats(path: Path, name: str, column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a float64 copy, NaN for null."""
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    try:
        if text:
            column = pc.utf8_trim_whitespace(column)
        numbers = pc.cast(column, pa.float64()).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        if text:
            for row, cell in enumerate(column.to_pylist()):
                if cell is not None and not _is_number(cell):
                    raise _wrong(path, name, row, cell, "expected a number, or nothing") from error
        msg = f"{path}: column {name}: {column.type} cannot be read as numbers ({error})"
        raise InputError(msg) from error
    values: FloatArray = pc.fill_null(numbers, np.nan).to_numpy(zero_copy_only=False).copy()
    return values


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _wrong(path: Path, name: str, row: int, value: object, expected: str) -> InputError:
    return InputError(f"{path}: row {row + 1}, column {name}: found {value!r:.60}, {expected}")
