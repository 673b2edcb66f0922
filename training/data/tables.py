"""Columns of CSV, whitespace and parquet tables; errors name file, row, column and value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from broker_plugin.errors import InputError
from broker_plugin.records.epoch import FloatArray
from training.data.description import Column, Separator

_LIMIT_SIGNS = (">", "<")  # ASAS-SN writes an upper limit as ">15.31"
_EMPTY = ("", "nan", "none", "null", "na", "--", "...")


def read_columns(
    path: Path, columns: Sequence[Column], separator: Separator, comment: str | None
) -> pd.DataFrame:
    """Read some columns of a table, cells as text (or as parquet holds them), named by ``str(column)``.

    Columns that are given by number belong to a file without a header. Lists in a parquet (one row a star)
    become one row an epoch.

    Raises
    ------
    InputError
        If the file cannot be read or lacks a column.
    """
    names = list(dict.fromkeys(str(column) for column in columns))
    numbered = [isinstance(column, int) for column in columns]
    if any(numbered) and not all(numbered):
        msg = f"{path}: columns given by name and by number at once ({', '.join(names)}); use one way"
        raise InputError(msg)
    try:
        table = (
            pd.read_parquet(path)
            if path.suffix == ".parquet"
            else pd.read_csv(
                path,
                sep=r"\s+" if separator == "whitespace" else separator,
                comment=comment,
                header=None if all(numbered) else 0,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
            )
        )
    except (OSError, ValueError, pa.ArrowInvalid) as error:  # pandas' ParserError is a ValueError
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        msg = f"{path}: cannot be read as a table ({reason}); separator {separator!r}, comment {comment!r}"
        raise InputError(msg) from error
    if all(numbered):
        table.columns = pd.Index([str(number + 1) for number in range(table.shape[1])])
    else:
        table.columns = table.columns.str.strip()
    for name in names:
        if name not in table.columns:
            found = ", ".join(map(str, table.columns[:20]))
            msg = f"{path}: column {name!r} is missing; found {found or 'no column'}"
            raise InputError(msg)
    table = table[names]
    nested = [
        name for name in names if len(table) and isinstance(table[name].iloc[0], np.ndarray | list | tuple)
    ]
    return table.explode(nested, ignore_index=True) if nested else table


def numbers(path: Path, cells: pd.Series, column: Column, missing: Iterable[float] = ()) -> FloatArray:
    """Return the cells of one column as float64, shape (n,); NaN for empty cells, limits and ``missing``.

    Raises
    ------
    InputError
        At the first cell that is something else; rows are counted from 1 after header and comments.
    """
    values = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan).copy()
    for row in np.flatnonzero(np.isnan(values)):
        cell = cells.iloc[row]
        text = "" if cell is None or cell is pd.NA else str(cell).strip()
        if text.lower() not in _EMPTY and not text.startswith(_LIMIT_SIGNS):
            msg = (
                f"{path}: row {row + 1}, column {column!r}: {text!r}; expected a number, "
                "an empty cell or a limit such as '>15.3'"
            )
            raise InputError(msg)
    for value in missing:
        values[np.isclose(values, value, rtol=0, atol=1e-9)] = np.nan
    return values


def words(cells: pd.Series) -> npt.NDArray[np.object_]:
    """Return the cells of one column as stripped text, empty where missing; 17.0 of an integer id is 17."""
    if pd.api.types.is_float_dtype(cells):
        whole = cells.dropna()
        if (whole == np.floor(whole)).all():
            cells = cells.astype("Int64")
    text = cells.astype("string").fillna("").str.strip()
    return np.asarray(text.to_numpy(dtype=object))
