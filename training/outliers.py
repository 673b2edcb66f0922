"""Simulated light curves of no known class, on the epochs of real windows: what novelty is trained against.

A density that has only seen known classes is arbitrary everywhere else. Outlier exposure (Hendrycks et al.
2019, ICLR) gives it an elsewhere. No star of a novel kind is used: the kinds below are textbook shapes with
log-uniform parameters, and the noise is drawn, never read from a star. Periods come from the stream's search.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from broker_plugin.period import PeriodSettings
from broker_plugin.period.digest import search_digest
from broker_plugin.period.harmonics import fit_harmonics
from broker_plugin.period.search import find_period
from broker_plugin.records.epoch import Float32Array, FloatArray
from training.windows import WindowTable

Progress = Callable[[str], None]

_KINDS = ("red_noise", "bursts_or_dips", "fadings", "lens", "chimera", "chimera_and_red_noise")
_SHARES = (0.30, 0.12, 0.13, 0.05, 0.25, 0.15)
_HARMONICS = 5
_ANY_MAG = 11.0  # the network does not see it


@dataclass(frozen=True, slots=True)
class Outliers:
    """Simulated windows.

    Attributes
    ----------
    time_mjd : ndarray, shape (n, L), float64
    mag, magerr : ndarray, shape (n, L), float32
    period_days : ndarray, shape (n,), float64
        As the search found it.
    """

    time_mjd: FloatArray
    mag: Float32Array
    magerr: Float32Array
    period_days: FloatArray


def make_outliers(
    table: WindowTable,
    index: npt.NDArray[np.int64],
    period_days: FloatArray,
    *,
    count: int,
    seed: int,
    cache_dir: Path,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> Outliers:
    """Simulate ``count`` windows on the epochs of windows ``index`` of a table and search their periods.

    The periods are kept in ``cache_dir`` under a name that holds digests of the windows and of the search.
    """
    rng = np.random.default_rng([seed, 0x0E])
    bases = rng.choice(index, count)
    time = table.time_mjd[bases]
    mag = np.array(
        [_one(table, index, period_days, time[i] - time[i, 0], rng) for i in range(count)], dtype=np.float32
    )
    magerr = table.magerr[bases]
    periods = searched_periods(
        "outliers", time, mag, magerr, cache_dir, processes=processes, progress=progress
    )
    return Outliers(time, mag, magerr, periods)


def searched_periods(
    name: str,
    time: FloatArray,
    mag: Float32Array,
    magerr: Float32Array,
    cache_dir: Path,
    *,
    processes: int = 1,
    progress: Progress = lambda _: None,
) -> FloatArray:
    """Return the periods of windows that are in no table, kept in ``cache_dir`` by name and content."""
    digest = hashlib.sha256(mag.tobytes() + time.tobytes()).hexdigest()[:12]
    path = cache_dir / f"{name}-{digest}-{search_digest()}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return np.asarray(stored["period_days"], dtype=np.float64)
    count = len(time)
    progress(f"period search of {count} windows: {name}")
    blocks = [(time[i : i + 128], mag[i : i + 128], magerr[i : i + 128]) for i in range(0, count, 128)]
    if processes == 1:
        found = [_search(block) for block in blocks]
    else:
        with ProcessPoolExecutor(processes) as pool:
            found = list(pool.map(_search, blocks))
    periods = np.concatenate([np.empty(0), *found])
    cache_dir.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, period_days=periods)
    os.replace(partial, path)
    return periods


def _search(block: tuple[FloatArray, Float32Array, Float32Array]) -> FloatArray:
    settings = PeriodSettings()
    return np.array([find_period(*window, settings).fold_days for window in zip(*block, strict=True)])


def _one(
    table: WindowTable,
    index: npt.NDArray[np.int64],
    period_days: FloatArray,
    time: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the magnitudes of one outlier at times from its first epoch."""
    noise = 10 ** rng.uniform(-1.9, -0.65)  # mag: 0.013 to 0.22, as good and bad photometry have it
    amplitude = 10 ** rng.uniform(-1.5, 0.2)
    kind = _KINDS[rng.choice(len(_KINDS), p=_SHARES)]
    if kind == "red_noise":
        light = amplitude * _red_noise(time, 10 ** rng.uniform(-0.3, 2.5), rng)
    elif kind == "bursts_or_dips":
        slow = np.exp(rng.uniform(0.5, 1.2) * _red_noise(time, 10 ** rng.uniform(-0.3, 2.3), rng))
        light = amplitude * slow * rng.choice([1.0, -1.0], p=[0.6, 0.4])
    elif kind == "fadings":
        light = _fadings(time, rng) + 0.2 * amplitude * _red_noise(time, 10 ** rng.uniform(0, 2), rng)
    elif kind == "lens":
        light = _lens(time, rng)
    else:
        donor = rng.choice(index)
        light = amplitude * _chimera(table, donor, float(period_days[donor]), time, rng)
        if kind == "chimera_and_red_noise":
            share = 10 ** rng.uniform(-0.5, 0.5)
            light = light + amplitude * share * _red_noise(time, 10 ** rng.uniform(0, 2.3), rng)
    return np.asarray(_ANY_MAG + light + noise * rng.normal(size=len(time)), dtype=np.float64)


def _red_noise(time: FloatArray, days: float, rng: np.random.Generator) -> FloatArray:
    """Return a damped random walk of unit variance: T Tauri, Be and other irregular stars to first order."""
    kept = np.exp(-np.diff(time) / days)
    steps = rng.normal(size=len(time))
    walk = np.empty(len(time))
    walk[0] = steps[0]
    for i, factor in enumerate(kept):
        walk[i + 1] = factor * walk[i] + np.sqrt(1.0 - factor**2) * steps[i + 1]
    return walk


def _fadings(time: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return sudden fadings with slow recoveries, as R Coronae Borealis stars have them."""
    light = np.zeros(len(time))
    for _ in range(1 + rng.poisson(1.5)):
        since = time - rng.uniform(-0.2, 1.0) * time[-1]
        depth = 10 ** rng.uniform(-0.6, 0.6)
        fall, flat, recovery = (10 ** rng.uniform(*decades) for decades in ((0, 1.7), (0, 2.3), (1, 2.8)))
        falling = depth * np.clip(since / fall, 0.0, 1.0)
        light += falling * np.exp(-np.clip(since - fall - flat, 0.0, None) / recovery)
    return light


def _lens(time: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return one microlensing event (Paczynski 1986)."""
    impact, days = 10 ** rng.uniform(-1.3, -0.1), 10 ** rng.uniform(0.9, 2.5)
    u = np.hypot(impact, (time - rng.uniform(0, time[-1])) / days)
    return np.asarray(-2.5 * np.log10((u**2 + 2.0) / (u * np.sqrt(u**2 + 4.0))), dtype=np.float64)


def _chimera(
    table: WindowTable, donor: int, period: float, time: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return the shape of a real star, unit variance, with another period, from 0.05 to 630 d."""
    times = table.time_mjd[donor] - table.time_mjd[donor, 0]
    mag = table.mag[donor].astype(np.float64)
    values = (mag - mag.mean()) / mag.std()
    weights = np.full(len(values), 1.0 / len(values))
    fit = fit_harmonics(times, values, weights, np.array([1.0 / period]), _HARMONICS)
    cosine, sine = fit.coefficients(0).reshape(-1, 2).T
    turns = time / 10 ** rng.uniform(-1.3, 2.8) + rng.uniform()
    angle = 2.0 * np.pi * np.arange(1, _HARMONICS + 1)[:, None] * turns
    shape = cosine @ np.cos(angle) + sine @ np.sin(angle)
    return np.asarray(shape / (shape.std() + 1e-9), dtype=np.float64)
