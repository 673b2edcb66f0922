"""The local catalogue of known periods."""

from __future__ import annotations

from pathlib import Path

from broker_plugin.errors import InputError

_COLUMNS = ("survey", "object_id", "period_days")


def load_period_catalogue(path: Path) -> dict[tuple[str, str], float]:
    """Read known periods by (survey, object_id).

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.parquet`` with the columns survey, object_id, period_days.

    Raises
    ------
    InputError
        Names the file, and the column or the row and value that is wrong.
    """
    import pandas as pd  # here: workers without a catalogue need not wait for it

    try:
        if path.suffix == ".parquet":
            table = pd.read_parquet(path)
        else:
            # Ids are text: a 64-bit integer would not survive a column of floats.
            table = pd.read_csv(path, dtype={"survey": str, "object_id": str})
    except (OSError, ValueError) as error:
        msg = f"period catalogue {path} cannot be read: {error}"
        raise InputError(msg) from error
    missing = [name for name in _COLUMNS if name not in table.columns]
    if missing:
        msg = f"period catalogue {path} lacks column {missing[0]!r}; found {list(table.columns)}"
        raise InputError(msg)
    periods = pd.to_numeric(table["period_days"], errors="coerce")
    bad = ~(periods > 0) | (periods == float("inf"))
    if bad.any():
        row = int(bad.to_numpy().argmax())
        found = table["period_days"].iloc[row]
        msg = f"period catalogue {path}, row {row + 1}: period_days is {found}, expected a positive number"
        raise InputError(msg)
    keys = zip(table["survey"].astype(str), table["object_id"].astype(str), strict=True)
    return dict(zip(keys, periods.astype(float).tolist(), strict=True))
