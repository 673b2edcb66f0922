"""Periods of all windows by the search that the stream runs, computed once and kept.

The cache is named by the digests of the data and of the search (its source and its settings), so that a
period never outlives the code that found it. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from broker_plugin.errors import InputError
from broker_plugin.period.digest import search_digest
from broker_plugin.period.search import find_period
from broker_plugin.period.settings import PeriodSettings
from broker_plugin.records.epoch import FloatArray
from training.windows import WindowTable

SEARCH = "search"
"""Name of the period source that is the stream's own search; other names are columns of the data."""

_SAVE_EVERY = 512  # windows; about half a minute of work

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FoldPeriods:
    """The period that each window of a table is folded with.

    Attributes
    ----------
    period_days : ndarray, shape (n,), float64
        NaN where not wanted and not known.
    source : str
        ``"search"`` or the name of a column of the data.
    search_digest : str
        Of the search that found them; empty for a column.
    """

    period_days: FloatArray
    source: str
    search_digest: str


def periods_for(
    table: WindowTable,
    source: str,
    cache_dir: Path,
    *,
    index: npt.NDArray[np.int64] | None = None,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> FoldPeriods:
    """Return the fold periods of windows.

    Parameters
    ----------
    table : WindowTable
    source : str
        ``"search"``: the stream's search on each window. The path of an npz file that an earlier search left
        in its cache: those periods, whatever the search has become since. Else a period column of the data.
    cache_dir : Path
        Where found periods are kept.
    index : ndarray of int, optional
        The windows whose periods are wanted; all by default.
    processes : int
        Worker processes of the search.
    progress : callable
        Told a line now and then.

    Raises
    ------
    InputError
        If the data have no such column, a wanted star has no period in it, or the file is of other data.
    """
    wanted = np.arange(len(table)) if index is None else index
    if source == SEARCH:
        return _searched(table, wanted, cache_dir, processes, progress)
    if source.endswith(".npz"):
        return _kept(table, wanted, Path(source))
    if source not in table.columns_period_days:
        known = ", ".join([SEARCH, *table.columns_period_days])
        msg = f"no period column {source!r} in the data; expected one of {known}, or an npz file of periods"
        raise InputError(msg)
    periods = table.columns_period_days[source]
    if not np.isfinite(periods[wanted]).all():
        star = table.star_id[wanted][~np.isfinite(periods[wanted])][0]
        msg = f"star {star} has no {source!r}; choose --periods {SEARCH}"
        raise InputError(msg)
    return FoldPeriods(periods, source, "")


def _kept(table: WindowTable, wanted: npt.NDArray[np.int64], path: Path) -> FoldPeriods:
    """Read periods that an earlier search left."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            periods, data, search = (
                stored["period_days"],
                str(stored["data_digest"]),
                str(stored["search_digest"]),
            )
    except (OSError, KeyError, ValueError) as error:
        msg = f"{path}: no file of periods ({error}); make one with 'python -m training prepare'"
        raise InputError(msg) from error
    if data != table.data_digest or periods.shape != (len(table),):
        found, expected = f"{len(periods)} of data {data[:12]}", f"{len(table)} of {table.data_digest[:12]}"
        msg = f"{path}: periods of {found}; expected {expected}; give the file that belongs to the data"
        raise InputError(msg)
    if np.isnan(periods[wanted]).any():
        missing = int(np.isnan(periods[wanted]).sum())
        msg = f"{path}: {missing} windows have no period yet; let 'python -m training prepare' finish"
        raise InputError(msg)
    return FoldPeriods(periods, SEARCH, search)


def _searched(
    table: WindowTable,
    wanted: npt.NDArray[np.int64],
    cache_dir: Path,
    processes: int,
    progress: Progress,
) -> FoldPeriods:
    cache_dir.mkdir(parents=True, exist_ok=True)
    search = search_digest()
    path = cache_dir / f"periods-{table.data_digest[:12]}-{search}.npz"
    periods = np.full(len(table), np.nan)
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            periods[:] = stored["period_days"]
    todo = wanted[np.isnan(periods[wanted])]
    if len(todo) == 0:
        return FoldPeriods(periods, SEARCH, search)
    progress(f"period search: {len(todo)} of {len(wanted)} windows to do, kept in {path}")
    for done, (index, found) in enumerate(_search_blocks(table, todo, processes), start=1):
        periods[index] = found
        _save(path, periods, table.data_digest, search)
        progress(f"period search: {min(done * _SAVE_EVERY, len(todo))}/{len(todo)}")
    return FoldPeriods(periods, SEARCH, search)


def _search_blocks(
    table: WindowTable, todo: npt.NDArray[np.intp], processes: int
) -> Iterator[tuple[npt.NDArray[np.intp], FloatArray]]:
    blocks = [todo[start : start + _SAVE_EVERY] for start in range(0, len(todo), _SAVE_EVERY)]
    work = [(table.time_mjd[block], table.mag[block], table.magerr[block]) for block in blocks]
    if processes == 1:
        yield from zip(blocks, map(_search_block, work), strict=True)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from zip(blocks, pool.map(_search_block, work), strict=True)


def _search_block(
    block: tuple[FloatArray, npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> FloatArray:
    settings = PeriodSettings()
    return np.array(
        [find_period(time, mag, magerr, settings).fold_days for time, mag, magerr in zip(*block, strict=True)]
    )


def _save(path: Path, periods: FloatArray, data_digest: str, search: str) -> None:
    """Replace the cache in one step, so that a kill leaves the old one."""
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, period_days=periods, data_digest=data_digest, search_digest=search)
    os.replace(partial, path)
