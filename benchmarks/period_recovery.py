"""How often the period search is right: by class, from windows of 200 epochs and from whole light curves.

The reference is the column ``period`` of the parquet. Printed: windows, the fraction within 1 % of P, of P,
P/2 or 2P, within 5 % of P (a long-period star shows few cycles in one window, and no two alike), the
fraction called significant, and milliseconds a window. ``--astropy N`` times astropy's Lomb-Scargle with one
and three terms on the same grid; ``--shuffles N`` compares the false-alarm probability with its rate on
shuffled magnitudes.

    python benchmarks/period_recovery.py --data asas_variables.parquet --per-class 60
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from broker_plugin.period import PeriodSettings, find_period
from broker_plugin.period.spectrum import frequency_grid
from broker_plugin.records.epoch import FloatArray

_WINDOW = 200
_COLUMNS = ["superclass", "period", "hjd", "mag", "magerr", "n_epochs", "group"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One light curve with its reference."""

    superclass: str
    period_days: float
    time: FloatArray
    mag: FloatArray
    magerr: FloatArray


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    settings = PeriodSettings()
    for whole in (False, True) if arguments.whole else (False,):
        samples = read_samples(arguments.data, arguments.per_class, arguments.seed, whole, arguments.groups)
        print("\nwhole light curves" if whole else f"\nwindows of {_WINDOW} epochs")  # noqa: T201
        _print_recovery(samples, settings)
        if not whole:
            _time_astropy(samples, settings, arguments.astropy)
            _false_alarms(samples, settings, arguments.shuffles, arguments.seed)


def read_samples(path: Path, per_class: int, seed: int, whole: bool, groups: str) -> list[Sample]:
    """Draw ``per_class`` light curves of each class, disjoint windows in time order or whole stars."""
    table = pd.read_parquet(path, columns=_COLUMNS)
    if groups != "all":
        table = table[table["group"] % 2 == (1 if groups == "odd" else 0)]
    rng = np.random.default_rng(seed)
    samples = []
    for superclass, rows in table.groupby("superclass"):
        stars = list(rows.itertuples())
        chunks = [(star, k) for star in stars for k in range(1 if whole else star.n_epochs // _WINDOW)]
        for index in rng.permutation(len(chunks))[:per_class]:
            row, k = chunks[index]
            part = slice(None) if whole else slice(k * _WINDOW, (k + 1) * _WINDOW)
            columns = (np.asarray(c[part], dtype=np.float64) for c in (row.hjd, row.mag, row.magerr))
            samples.append(Sample(str(superclass), float(row.period), *columns))
    return samples


def _print_recovery(samples: list[Sample], settings: PeriodSettings) -> None:
    ratios: dict[str, list[float]] = defaultdict(list)
    significant: dict[str, list[bool]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    for sample in samples:
        start = time.perf_counter()
        report = find_period(sample.time, sample.mag, sample.magerr, settings)
        seconds[sample.superclass].append(time.perf_counter() - start)
        ratios[sample.superclass].append(report.fold_days / sample.period_days)
        significant[sample.superclass].append(report.value_days is not None)
    print("class        n    P 1%  P,P/2,2P    P/2     2P   P 5%  signif     ms")  # noqa: T201
    for name, values in ratios.items():
        ratio = np.array(values)
        near = {f: np.mean(np.abs(ratio / f - 1) < 0.01) for f in (1.0, 0.5, 2.0)}
        row = [near[1.0], sum(near.values()), near[0.5], near[2.0], np.mean(np.abs(ratio - 1) < 0.05)]
        print(  # noqa: T201
            f"{name:8}{len(ratio):6d}{row[0]:8.3f}{row[1]:10.3f}{row[2]:7.3f}{row[3]:7.3f}{row[4]:7.3f}"
            f"{np.mean(significant[name]):8.3f}{1e3 * np.mean(seconds[name]):7.1f}"
        )


def _time_astropy(samples: list[Sample], settings: PeriodSettings, count: int) -> None:
    if not count:
        return
    from astropy.timeseries import LombScargle

    spent: dict[str, float] = defaultdict(float)
    for sample in samples[:: max(1, len(samples) // count)][:count]:
        days = sample.time - sample.time[0]
        grid = frequency_grid(float(days[-1]), settings)
        frequencies = grid.step * (grid.first + np.arange(grid.size))
        start = time.perf_counter()
        find_period(sample.time, sample.mag, sample.magerr, settings)
        spent["this search"] += time.perf_counter() - start
        for terms, method in ((1, "fast"), (3, "fastchi2")):
            start = time.perf_counter()
            LombScargle(days, sample.mag, sample.magerr, nterms=terms).power(
                frequencies, method=method, assume_regular_frequency=True
            )
            spent[f"astropy {terms} term(s), {method}"] += time.perf_counter() - start
    for name, total in spent.items():
        print(f"{name:32}{1e3 * total / count:10.1f} ms a window")  # noqa: T201


def _false_alarms(samples: list[Sample], settings: PeriodSettings, count: int, seed: int) -> None:
    if not count:
        return
    rng = np.random.default_rng(seed)
    values = []
    for index in rng.integers(0, len(samples), count):
        sample = samples[index]
        order = rng.permutation(len(sample.mag))
        report = find_period(sample.time, sample.mag[order], sample.magerr, settings)
        values.append(report.log10_false_alarm)
    found = np.array(values)
    print(f"\nshuffled magnitudes, {count} windows: rate at or below each false-alarm probability")  # noqa: T201
    for level in (0.5, 0.1, 0.05, 0.01, 0.001):
        rate = float(np.mean(found <= np.log10(level)))
        print(f"{level:8.3f}{rate:10.4f} +- {np.sqrt(max(rate, 1 / count) / count):.4f}")  # noqa: T201


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--data", type=Path, required=True, help="parquet of labelled light curves")
    parser.add_argument("--per-class", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--groups", choices=("all", "even", "odd"), default="all", help="half of the stars")
    parser.add_argument("--whole", action="store_true", help="all epochs of each star, too")
    parser.add_argument("--astropy", type=int, default=0, metavar="N", help="windows to time astropy on")
    parser.add_argument("--shuffles", type=int, default=0, metavar="N", help="shuffled windows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
