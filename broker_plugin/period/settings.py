"""What the period search can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeriodSettings:
    """Settings of the period search.

    Attributes
    ----------
    min_days, max_days : float
        Range of periods, days. Periods longer than ``max_cycle_fraction`` baselines are not searched.
    oversampling : float
        Grid points per independent frequency (the inverse of the baseline).
    max_grid : int
        Most grid points; beyond it the oversampling falls to 2.5 and then ``min_days`` rises, which the
        report's method then says.
    max_baselines : float
        Longest period searched, in baselines: at 1.5 the window shows two thirds of a cycle.
    peaks : int
        Peaks taken from each of the periodograms.
    finalists : int
        Candidates that are compared with all harmonics.
    n_harmonics : int
        Most harmonics of the comparing fit.
    false_alarm_threshold : float
        A period is significant when log10 of its false-alarm probability is at most this.
    """

    min_days: float = 0.03
    max_days: float = 1000.0
    oversampling: float = 5.0
    max_grid: int = 4_000_000
    max_baselines: float = 1.5
    peaks: int = 10
    finalists: int = 32
    n_harmonics: int = 6
    false_alarm_threshold: float = -2.0
