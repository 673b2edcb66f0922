"""How often the period search is right, by class, beside astropy's Lomb-Scargle on the same grid.

The reference is the column ``period`` of the data. From single windows of 200 epochs, or whole light curves.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from broker_plugin.period import PeriodSettings, find_period
from broker_plugin.period.spectrum import frequency_grid
from broker_plugin.records.epoch import FloatArray

Progress = Callable[[str], None]

_WINDOW = 200
_COLUMNS = ["superclass", "period", "hjd", "mag", "magerr"]
OURS = "this search"
NEAR = 0.01
"""A period is right within this part of the reference."""

FALSE_ALARM_LEVELS = (0.5, 0.1, 0.05, 0.01, 0.001)


@dataclass(frozen=True, slots=True)
class Sample:
    """One light curve with its reference; arrays of shape (n,), days and magnitudes."""

    superclass: str
    period_days: float
    time: FloatArray
    mag: FloatArray
    magerr: FloatArray


@dataclass(frozen=True, slots=True)
class Recovery:
    """How often one method is right on the light curves of one class.

    Attributes
    ----------
    superclass, method : str
    n : int
    exact, within_factor_2, half, double : float
        Fractions within 1 % of P; of P, P/2 or 2P; of P/2; of 2P.
    within_5_percent : float
        Of P: a long-period star shows few cycles in one window, and no two alike.
    significant : float or None
        Fraction that the search calls significant.
    milliseconds : float
        Mean time of one light curve.
    """

    superclass: str
    method: str
    n: int
    exact: float
    within_factor_2: float
    half: float
    double: float
    within_5_percent: float
    significant: float | None
    milliseconds: float


def read_samples(path: Path, per_class: int, seed: int, *, whole: bool, groups: str = "all") -> list[Sample]:
    """Draw ``per_class`` light curves of each class, disjoint windows in time order or whole stars.

    ``groups`` is ``"all"``, ``"even"`` or ``"odd"``: rules found on one half are judged on the other.
    """
    table = pd.read_parquet(path, columns=[*_COLUMNS, *(["group"] if groups != "all" else [])])
    if groups != "all":
        table = table[table["group"] % 2 == (1 if groups == "odd" else 0)]
    rng = np.random.default_rng(seed)
    samples = []
    for superclass, rows in table.groupby("superclass"):
        stars: list[Any] = list(rows.itertuples())
        lengths = [len(star.hjd) for star in stars]
        chunks = [
            (star, k)
            for star, n in zip(stars, lengths, strict=True)
            for k in range(1 if whole else n // _WINDOW)
        ]
        for index in rng.permutation(len(chunks))[:per_class]:
            row, k = chunks[index]
            order = np.argsort(np.asarray(row.hjd), kind="stable")
            part = order if whole else order[k * _WINDOW : (k + 1) * _WINDOW]
            columns = (np.asarray(c, dtype=np.float64)[part] for c in (row.hjd, row.mag, row.magerr))
            samples.append(Sample(str(superclass), float(row.period), *columns))
    return samples


def recovery_of_search(
    samples: list[Sample], settings: PeriodSettings, progress: Progress = lambda _: None
) -> list[Recovery]:
    """Run the stream's own search."""
    ratios: dict[str, list[float]] = defaultdict(list)
    significant: dict[str, list[bool]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    for done, sample in enumerate(samples, start=1):
        start = time.perf_counter()
        report = find_period(sample.time, sample.mag, sample.magerr, settings)
        seconds[sample.superclass].append(time.perf_counter() - start)
        ratios[sample.superclass].append(report.fold_days / sample.period_days)
        significant[sample.superclass].append(report.value_days is not None)
        if done % 200 == 0:
            progress(f"{OURS}: {done}/{len(samples)}")
    return [
        _recovery(name, OURS, ratios[name], seconds[name], float(np.mean(significant[name])))
        for name in ratios
    ]


def recovery_of_astropy(
    samples: list[Sample], settings: PeriodSettings, progress: Progress = lambda _: None
) -> list[Recovery]:
    """Run astropy's Lomb-Scargle with one and with three terms on the same grids; the highest peak wins.

    Raises
    ------
    ModuleNotFoundError
        Without astropy.
    """
    from astropy.timeseries import LombScargle

    methods = (("astropy, 1 term", 1, "fast"), ("astropy, 3 terms", 3, "fastchi2"))
    ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for done, sample in enumerate(samples, start=1):
        days = sample.time - sample.time[0]
        grid = frequency_grid(float(days[-1]), settings)
        frequencies = grid.step * (grid.first + np.arange(grid.size))
        for name, terms, method in methods:
            start = time.perf_counter()
            power = LombScargle(days, sample.mag, sample.magerr, nterms=terms).power(
                frequencies, method=method, assume_regular_frequency=True
            )
            seconds[name, sample.superclass].append(time.perf_counter() - start)
            found = 1.0 / frequencies[int(np.argmax(power))]
            ratios[name, sample.superclass].append(found / sample.period_days)
        if done % 20 == 0:
            progress(f"astropy: {done}/{len(samples)}")
    return [_recovery(cls, name, ratios[name, cls], seconds[name, cls], None) for name, cls in ratios]


def false_alarms(
    samples: list[Sample], settings: PeriodSettings, count: int, seed: int
) -> dict[float, tuple[float, float]]:
    """Return, by false-alarm probability, its rate on shuffled magnitudes and the rate's error."""
    rng = np.random.default_rng(seed)
    values = []
    for index in rng.integers(0, len(samples), count):
        sample = samples[index]
        order = rng.permutation(len(sample.mag))
        values.append(find_period(sample.time, sample.mag[order], sample.magerr, settings).log10_false_alarm)
    found = np.array(values)
    rates = {level: float(np.mean(found <= np.log10(level))) for level in FALSE_ALARM_LEVELS}
    return {level: (rate, float(np.sqrt(max(rate, 1 / count) / count))) for level, rate in rates.items()}


def every(samples: list[Sample], count: int) -> list[Sample]:
    """Return about ``count`` of the samples, evenly spaced, so that every class is among them."""
    return samples[:: max(1, len(samples) // count)][:count] if count else []


def _recovery(
    superclass: str, method: str, ratios: list[float], seconds: list[float], significant: float | None
) -> Recovery:
    ratio = np.array(ratios)
    near = {factor: float(np.mean(np.abs(ratio / factor - 1) < NEAR)) for factor in (1.0, 0.5, 2.0)}
    return Recovery(
        superclass=superclass,
        method=method,
        n=len(ratio),
        exact=near[1.0],
        within_factor_2=sum(near.values()),
        half=near[0.5],
        double=near[2.0],
        within_5_percent=float(np.mean(np.abs(ratio - 1) < 0.05)),
        significant=significant,
        milliseconds=float(1e3 * np.mean(seconds)),
    )
