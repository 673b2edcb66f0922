"""A catalogue that is open: asked by position, the nearest star within a radius is the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from broker_plugin.catalogue import layout
from broker_plugin.catalogue.cells import Cells, cells_of, depth_for, with_neighbours
from broker_plugin.catalogue.sphere import angle_arcsec, unit_vectors
from broker_plugin.errors import InputError
from broker_plugin.records.epoch import FloatArray
from broker_plugin.records.match import PHOTOMETRIC, CatalogueMatch

_CURE = "build it with `broker-plugin catalogue build`"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Stars, sorted along the sky; the arrays are the file's own pages, read as they are asked for.

    Attributes
    ----------
    path : Path
    name : str
        What annotations call it.
    digest : str
        sha256 of what it holds.
    cells : ndarray, shape (n,), int64
        HEALPix cell of each star, never falling.
    numbers : mapping of str to ndarray, shape (n,), float64
        ra and dec [deg], and what there is of period [d] and photometry [mag]; NaN where not known.
    batch : pyarrow.RecordBatch
        All columns; ids and classes are taken from here.
    """

    path: Path
    name: str
    digest: str
    cells: Cells
    numbers: Mapping[str, FloatArray]
    batch: pa.RecordBatch

    def __len__(self) -> int:
        return len(self.cells)

    def match(
        self, ra: npt.ArrayLike, dec: npt.ArrayLike, radius_arcsec: float
    ) -> list[CatalogueMatch | None]:
        """Return the nearest star of each position within the radius, None where there is none.

        Parameters
        ----------
        ra, dec : array_like, shape (n,)
            Degrees; a position that is not finite, or beyond a pole, has no match.
        radius_arcsec : float
            Positive, at most :data:`broker_plugin.catalogue.cells.MAX_RADIUS_ARCSEC`.
        """
        alpha, delta = (np.atleast_1d(np.asarray(axis, dtype=np.float64)) for axis in (ra, dec))
        found: list[CatalogueMatch | None] = [None] * len(alpha)
        asked = np.flatnonzero(np.isfinite(alpha) & (np.abs(delta) <= 90))
        if asked.size == 0:
            return found
        alpha, delta = alpha[asked] % 360, delta[asked]
        owner, row = self._near(alpha, delta, radius_arcsec)
        if row.size == 0:
            return found
        stars = unit_vectors(self.numbers["ra"][row], self.numbers["dec"][row])
        between = np.linalg.norm(stars - unit_vectors(alpha, delta)[owner], axis=1)
        separation = angle_arcsec(between)
        inside = separation <= radius_arcsec
        owner, row, separation = owner[inside], row[inside], separation[inside]
        order = np.lexsort((row, separation, owner))
        owners = owner[order].tolist()
        for at, (position, star) in enumerate(zip(owners, order.tolist(), strict=True)):
            if at == 0 or owners[at - 1] != position:
                found[int(asked[position])] = self._report(
                    int(row[star]), float(separation[star]), ambiguous=owners[at + 1 : at + 2] == [position]
                )
        return found

    def _near(self, ra: FloatArray, dec: FloatArray, radius_arcsec: float) -> tuple[Cells, Cells]:
        """Return (position, row) of every star in the cells around each position."""
        depth = depth_for(radius_arcsec, layout.DEPTH)
        shift = 2 * (layout.DEPTH - depth)
        block = with_neighbours(cells_of(ra, dec, depth), depth)
        start = np.searchsorted(self.cells, block << shift)
        end = np.searchsorted(self.cells, (block + 1) << shift)
        # At some corners of the twelve base cells three cells meet, not four: a neighbour is missing there.
        counts = np.where(block >= 0, end - start, 0).ravel()
        owner = np.repeat(np.tile(np.arange(len(ra)), len(block)), counts)
        offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return owner, np.repeat(start.ravel(), counts) + offset

    def _report(self, row: int, separation: float, *, ambiguous: bool) -> CatalogueMatch:
        known_class = str(self.batch[layout.CLASS][row]) if layout.CLASS in self.batch.schema.names else ""
        return CatalogueMatch(
            star_id=str(self.batch[layout.IDS][row]),
            separation_arcsec=separation,
            ambiguous=ambiguous,
            known_class=known_class or None,
            period_days=self._number(layout.PERIOD, row),
            **{name: self._number(name, row) for name in PHOTOMETRIC},
        )

    def _number(self, column: str, row: int) -> float | None:
        if column not in self.numbers:
            return None
        value = float(self.numbers[column][row])
        return None if np.isnan(value) else value


def open_catalogue(path: Path) -> Catalogue:
    """Open a catalogue; reads its index, not its rows.

    Raises
    ------
    InputError
        If the file is not there, is none of ours, or lacks its end.
    """
    try:
        with pa.ipc.open_file(pa.memory_map(str(path))) as reader:
            metadata = reader.schema.metadata or {}
            if metadata.get(layout.FORMAT_KEY) != layout.FORMAT:
                found = metadata.get(layout.FORMAT_KEY, b"no such mark").decode(errors="replace")
                msg = f"catalogue {path}: found {found}, expected {layout.FORMAT.decode()!r}; {_CURE}"
                raise InputError(msg)
            batch = reader.get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"catalogue {path} cannot be opened: {error}; {_CURE}"
        raise InputError(msg) from error
    names = [name for name in batch.schema.names if pa.types.is_float64(batch.schema.field(name).type)]
    return Catalogue(
        path=path,
        name=metadata[layout.NAME_KEY].decode(),
        digest=metadata[layout.DIGEST_KEY].decode(),
        cells=batch[layout.CELL].to_numpy(),
        numbers={name: batch[name].to_numpy() for name in names},
        batch=batch,
    )


def check_catalogue(catalogue: Catalogue) -> None:
    """Read all of a catalogue and compare it with its digest.

    Raises
    ------
    InputError
        If a byte has changed since it was built.
    """
    found = layout.content_digest(catalogue.batch)
    if found != catalogue.digest or not layout.sorted_by_cell(catalogue.cells):
        msg = (
            f"catalogue {catalogue.path} is damaged: its rows have the digest {found}, it says "
            f"{catalogue.digest}; {_CURE} again"
        )
        raise InputError(msg)


def describe(catalogue: Catalogue) -> dict[str, Any]:
    """Return how many stars a catalogue holds, and how many of them have each optional column."""
    known: dict[str, Any] = {"stars": len(catalogue)}
    for name, column in catalogue.numbers.items():
        if name not in layout.POSITION:
            known[name] = int(np.isfinite(column).sum())
    if layout.CLASS in catalogue.batch.schema.names:
        classes = catalogue.batch[layout.CLASS]
        counts = np.bincount(classes.indices.to_numpy(), minlength=len(classes.dictionary))
        named = dict(zip(classes.dictionary.to_pylist(), counts.tolist(), strict=True))
        known["class"] = len(catalogue) - named.get("", 0)
        by_count = sorted(named.items(), key=lambda item: (-item[1], item[0]))
        known["classes"] = {name: count for name, count in by_count if name}
    return known
