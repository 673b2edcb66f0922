"""Whose rows these are: an archive's names, or positions, to the stream's objects."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.catalogue.sphere import chord, unit_vectors
from broker_plugin.errors import InputError
from broker_plugin.filters.watchlist import DEFAULT_RADIUS_ARCSEC
from broker_plugin.records.epoch import FloatArray

_COLUMNS = ("object_id", "source_id", "ra", "dec")


@dataclass(frozen=True, slots=True)
class Known:
    """An object of the stream: its id, and where it is (degrees; NaN if the table does not say)."""

    object_id: str
    ra: float
    dec: float


class ObjectTable:
    """Objects of the stream by an archive's id, or by position.

    Parameters
    ----------
    ids : list of str
        The stream's.
    ra, dec : ndarray
        Degrees; NaN where they are not known.
    source_ids : list of str, optional
        The archive's, one each; without it positions decide.
    radius_arcsec : float
        Of the match by position; the nearest wins.
    digest : str
        Of the table's file.
    """

    def __init__(
        self,
        ids: list[str],
        ra: FloatArray,
        dec: FloatArray,
        *,
        source_ids: list[str] | None = None,
        radius_arcsec: float = DEFAULT_RADIUS_ARCSEC,
        digest: str = "",
    ) -> None:
        self.digest = f"{digest}/{radius_arcsec:g}"
        self._known = [Known(*row) for row in zip(ids, ra.tolist(), dec.tolist(), strict=True)]
        self._by_id = {known.object_id: known for known in self._known}
        self._by_source: Mapping[str, Known] | None = None
        self._tree: Any = None
        if source_ids is not None:
            self._by_source = dict(zip(source_ids, self._known, strict=True))
            return
        from scipy.spatial import cKDTree

        self._tree = cKDTree(unit_vectors(ra, dec))
        self._longest = float(chord(np.radians(radius_arcsec / 3600)))

    def find(self, source_id: str, ra: float, dec: float) -> Known | None:
        """Return the object of an archive's id and position, or None.

        Without a column of the archive's ids the position decides; rows that have none are found by the
        stream's own id.
        """
        if self._by_source is not None:
            return self._by_source.get(source_id)
        if not (np.isfinite(ra) and np.isfinite(dec)):
            return self._by_id.get(source_id)
        distance, index = self._tree.query(unit_vectors(ra, dec), distance_upper_bound=self._longest)
        return self._known[int(index)] if np.isfinite(distance) else None


def read_object_table(path: Path, radius_arcsec: float = DEFAULT_RADIUS_ARCSEC) -> ObjectTable:
    """Read a table of the stream's objects.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.parquet`` with ``object_id`` and either ``source_id`` (the archive's id) or ``ra`` and
        ``dec`` in degrees, or all of them.
    radius_arcsec : float

    Raises
    ------
    InputError
        Names the file, and the column or the row and value that is wrong.
    """
    import pandas as pd

    try:
        data = path.read_bytes()
        text = {"object_id": str, "source_id": str}  # 64-bit ids would not survive a column of floats
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=text)
    except (OSError, ValueError) as error:
        msg = f"object table {path} cannot be read: {error}"
        raise InputError(msg) from error
    has = set(table.columns)
    if "object_id" not in has or not ("source_id" in has or {"ra", "dec"} <= has):
        msg = (
            f"object table {path} has the columns {', '.join(map(str, table.columns))}; expected object_id, "
            "and source_id (the archive's id) or ra and dec (degrees)"
        )
        raise InputError(msg)
    unknown = [str(name) for name in table.columns if name not in _COLUMNS]
    if unknown:
        msg = f"object table {path}: unknown column {unknown[0]!r}; allowed are {', '.join(_COLUMNS)}"
        raise InputError(msg)
    place = {}
    for name, low, high in (("ra", 0.0, 360.0), ("dec", -90.0, 90.0)):
        if name not in has:
            place[name] = np.full(len(table), np.nan)
            continue
        place[name] = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)
        wrong = ~((place[name] >= low) & (place[name] <= high))
        if wrong.any():
            row = int(wrong.argmax())
            found = table[name].iloc[row]
            where = f"object table {path}, row {row + 1}"
            msg = f"{where}: {name} is {found!r}, expected {low:g} to {high:g} degrees"
            raise InputError(msg)
    return ObjectTable(
        table["object_id"].astype(str).tolist(),
        place["ra"],
        place["dec"],
        source_ids=table["source_id"].astype(str).tolist() if "source_id" in has else None,
        radius_arcsec=radius_arcsec,
        digest=hashlib.sha256(data).hexdigest()[:16],
    )
