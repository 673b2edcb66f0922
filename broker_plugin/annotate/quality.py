"""Doubts that a reader should know before believing a class or a novelty."""

from __future__ import annotations

import numpy as np

from broker_plugin.records.annotation import PeriodReport
from broker_plugin.records.epoch import FloatArray, Origin
from broker_plugin.records.match import CatalogueMatch
from broker_plugin.records.window import Window

QUALITY_FLAGS = {
    "no_significant_period": "no peak is significant; the fold used the best of the insignificant ones",
    "fewer_than_two_cycles": "the window is shorter than two cycles, so the period is a guess",
    "phase_gap": "more than a quarter of the folded curve has no epoch",
    "mostly_forced": "more than half of the epochs are forced photometry",
    "ambiguous_catalogue_match": "several stars of the catalogue are within the radius: none was used",
}
"""Every flag that an annotation can carry, and what it means."""

_LARGEST_PHASE_GAP = 0.25
_FEWEST_CYCLES = 2.0


def quality_flags(
    window: Window, period: PeriodReport, phase: FloatArray, *, match: CatalogueMatch | None = None
) -> tuple[str, ...]:
    """Return the doubts about a scored window, in the order of :data:`QUALITY_FLAGS`.

    Parameters
    ----------
    window : Window
    period : PeriodReport
    phase : ndarray, shape (200,), float64
        Phase in [0, 1) of each epoch under ``period.fold_days``.
    match : CatalogueMatch, optional
    """
    times = window.epochs["time_mjd"]
    sorted_phase = np.sort(phase)
    gaps = np.diff(sorted_phase, append=sorted_phase[0] + 1.0)
    holds = {
        "no_significant_period": period.value_days is None,
        "fewer_than_two_cycles": times[-1] - times[0] < _FEWEST_CYCLES * period.fold_days,
        "phase_gap": gaps.max() > _LARGEST_PHASE_GAP,
        "mostly_forced": np.mean(window.epochs["origin"] == Origin.FORCED) > 0.5,
        "ambiguous_catalogue_match": match is not None and match.ambiguous,
    }
    return tuple(flag for flag in QUALITY_FLAGS if holds[flag])
