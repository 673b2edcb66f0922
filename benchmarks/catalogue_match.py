"""What a match by position costs: our file, a k-d tree of scipy, astropy's match_to_catalog_sky.

    python -m benchmarks.catalogue_match --rows 10000000 --out catalogue_match.json

Stars lie uniformly on the sphere; positions that are asked lie 0.4 arcsec from a star. Processor time is
counted, each method in a process of its own, so that its memory is its own, too. The rows of the source, 10
million of 8 columns, are made first; building our file is done once and is told apart.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from broker_plugin.records.epoch import FloatArray

_RADIUS_ARCSEC = 1.5
_BATCHES = (1, 64, 500)
_ASKED = 6400
# Of processor time a batch size: for a method that works through the whole catalogue at each call.
_LONGEST_SECONDS = 5.0
_OFFSET_DEG = 0.4 / 3600


def main() -> None:
    """Make the stars, measure each method, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"rows": arguments.rows, "batches": list(_BATCHES)}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in _METHODS.items():
            figures[name] = _alone(work, Path(folder), arguments.rows)
    text = json.dumps(figures, indent=1)
    sys.stdout.write(text + "\n")
    if arguments.out is not None:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def _alone(work: Callable[[Path, int], dict[str, Any]], folder: Path, rows: int) -> dict[str, Any]:
    """Run in a fresh process; add its largest memory in MB, and what it held before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        return alone.submit(_measured, work, folder, rows).result()


def _measured(work: Callable[[Path, int], dict[str, Any]], folder: Path, rows: int) -> dict[str, Any]:
    before = _memory_mb()
    found = work(folder, rows)
    return {**found, "memory_mb": _memory_mb() - before}


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _positions(rows: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(1)
    return rng.uniform(0, 360, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))


def _asked(ra: FloatArray, dec: FloatArray) -> tuple[FloatArray, FloatArray]:
    chosen = np.random.default_rng(2).integers(0, len(ra), _ASKED)
    return ra[chosen], np.clip(dec[chosen] + _OFFSET_DEG, -90, 90)


def _timed(
    match: Callable[[FloatArray, FloatArray], int], ra: FloatArray, dec: FloatArray
) -> dict[str, float]:
    """Return microseconds an object by size of batch, and check that every one is found."""
    found = {}
    for batch in _BATCHES:
        best = np.inf
        for _ in range(2):  # the first reads pages of the file
            began, asked, hits = time.process_time(), 0, 0
            while asked < len(ra) and time.process_time() - began < _LONGEST_SECONDS:
                hits += match(ra[asked : asked + batch], dec[asked : asked + batch])
                asked += len(ra[asked : asked + batch])
            best = min(best, (time.process_time() - began) / asked * 1e6)
            if hits != asked:
                msg = f"{hits} of {asked} positions have a match, expected all"
                raise RuntimeError(msg)
        found[f"us_an_object_in_batches_of_{batch}"] = round(float(best), 2)
    return found


def _build(folder: Path, rows: int) -> dict[str, Any]:
    """Make the source and our file of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from broker_plugin.catalogue.build import build_catalogue

    ra, dec = _positions(rows)
    rng = np.random.default_rng(3)
    names = pa.DictionaryArray.from_arrays(
        rng.integers(0, 4, rows).astype(np.int32), ["RRAB", "ECL", "", "SR"]
    )
    source = {
        "ra": ra,
        "dec": dec,
        "star_id": np.arange(rows) + 5 * 10**17,
        "class": names,
        "period": 10 ** rng.uniform(-1, 2, rows),
        **{name: rng.normal(1, 1, rows) for name in ("gaia_abs_g_mag", "gaia_bp_rp", "wise_w_rp")},
    }
    pq.write_table(pa.table(source), folder / "stars.parquet")
    del source, ra, dec, names
    began = time.process_time()
    build_catalogue(folder / "stars.parquet", folder / "stars.arrow")
    size = (folder / "stars.arrow").stat().st_size
    return {"cpu_seconds": round(time.process_time() - began, 2), "file_mb": round(size / 1e6)}


def _ours(folder: Path, rows: int) -> dict[str, Any]:
    from broker_plugin.catalogue.catalogue import open_catalogue

    began = time.process_time()
    catalogue = open_catalogue(folder / "stars.arrow")
    catalogue.match([0.0], [0.0], _RADIUS_ARCSEC)
    start = time.process_time() - began
    ra, dec = _asked(*_positions(rows))

    def match(alpha: FloatArray, delta: FloatArray) -> int:
        return sum(found is not None for found in catalogue.match(alpha, delta, _RADIUS_ARCSEC))

    return {"start_cpu_seconds": round(start, 2), **_timed(match, ra, dec)}


def _scipy(_folder: Path, rows: int) -> dict[str, Any]:
    from scipy.spatial import cKDTree

    from broker_plugin.catalogue.sphere import chord, unit_vectors

    ra, dec = _positions(rows)
    began = time.process_time()
    tree = cKDTree(unit_vectors(ra, dec))
    start = time.process_time() - began
    limit = float(chord(np.radians(_RADIUS_ARCSEC / 3600)))

    def match(alpha: FloatArray, delta: FloatArray) -> int:
        distance, _ = tree.query(unit_vectors(alpha, delta), k=2, distance_upper_bound=limit)
        return int(np.isfinite(distance[:, 0]).sum())

    return {"start_cpu_seconds": round(start, 2), **_timed(match, *_asked(ra, dec))}


def _astropy(_folder: Path, rows: int) -> dict[str, Any]:
    from astropy import units
    from astropy.coordinates import SkyCoord

    ra, dec = _positions(rows)
    began = time.process_time()
    stars = SkyCoord(ra, dec, unit="deg")
    SkyCoord([0.0], [0.0], unit="deg").match_to_catalog_sky(stars)  # makes its k-d tree
    start = time.process_time() - began

    def match(alpha: FloatArray, delta: FloatArray) -> int:
        _, separation, _ = SkyCoord(alpha, delta, unit="deg").match_to_catalog_sky(stars)
        return int((separation <= _RADIUS_ARCSEC * units.arcsec).sum())

    return {"start_cpu_seconds": round(start, 2), **_timed(match, *_asked(ra, dec))}


_METHODS = {"build": _build, "ours": _ours, "scipy cKDTree": _scipy, "astropy match_to_catalog_sky": _astropy}


if __name__ == "__main__":
    main()
