"""Which frequencies are compared: the peaks, their simple multiples and their daily aliases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.period.spectrum import HARMONIC_SUMS, Grid, harmonic_sum, highest_peaks
from broker_plugin.records.epoch import Float32Array, FloatArray

SIDEREAL_DAY = 0.9972695663  # mean solar days
_MULTIPLES = ((0.5, "double"), (2.0, "half"), (1.0 / 3.0, "triple"), (3.0, "third"))
_ALIAS_STEPS = (1.0, 1.0 / SIDEREAL_DAY, 2.0, 2.0 / SIDEREAL_DAY)


@dataclass(frozen=True, slots=True)
class Candidates:
    """Frequencies to compare, ascending; ``kind`` says how each came in (a peak wins over the rest)."""

    frequencies: FloatArray
    kinds: tuple[str, ...]


def shortlist(power: Float32Array, grid: Grid, peaks_each: int, baseline_days: float) -> Candidates:
    """Collect the peaks of the one-term and of the summed periodograms, and what each may be mistaken for.

    Parameters
    ----------
    power : ndarray, shape (grid.size,), float32
        One-term power.
    grid : Grid
    peaks_each : int
        Peaks taken from each periodogram.
    baseline_days : float
    """
    found: list[tuple[float, str]] = []
    for n_harmonics in HARMONIC_SUMS:
        summed = power if n_harmonics == 1 else harmonic_sum(power, grid, n_harmonics)
        # A list: on single numbers Python's own floats are several times as fast as numpy's.
        tops: list[float] = ((grid.first + highest_peaks(summed, peaks_each)) * grid.step).tolist()
        found += [(frequency, "peak") for frequency in tops]
        for frequency in tops[:3]:
            found += [(frequency * factor, kind) for factor, kind in _MULTIPLES]
        for frequency in tops[:2]:
            for step in _ALIAS_STEPS:
                found += [(abs(frequency + step), "alias"), (abs(frequency - step), "alias")]
    lowest, highest = grid.first * grid.step, (grid.first + grid.size - 1) * grid.step
    inside = [(f, kind) for f, kind in found if lowest <= f <= highest]
    return _without_repeats(inside, 0.15 / baseline_days)


def _without_repeats(found: list[tuple[float, str]], resolution: float) -> Candidates:
    """Keep one of those that the light curve cannot tell apart, peaks first."""
    ordered = sorted(found, key=lambda item: (item[1] != "peak", item[0], item[1]))
    kept: dict[int, tuple[float, str]] = {}
    for frequency, kind in ordered:
        cell = round(frequency / resolution)
        for other in (cell - 1, cell, cell + 1):
            if other in kept and abs(frequency - kept[other][0]) < resolution:
                break
        else:
            kept[cell] = (frequency, kind)
    rows = sorted(kept.values())
    return Candidates(np.array([f for f, _ in rows]), tuple(kind for _, kind in rows))
