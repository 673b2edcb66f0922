"""Whether two versions of the period search find the same periods, on every window of labelled light curves.

With the one version, then with the other:

    python -m benchmarks.same_periods --data asas_variables.parquet --write before.npz
    python -m benchmarks.same_periods --data asas_variables.parquet --against before.npz

A search that finds the same is entered in ``broker_plugin/period/digest.py``: bundles that were calibrated
with the other one hold for it, too.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.period import PeriodSettings, find_period
from broker_plugin.period.digest import search_digest
from broker_plugin.records.annotation import PeriodReport
from training.period_recovery import read_samples

_ALL = 1_000_000  # windows a class
_TOLD = 10
_SAME = 1e-5
"""Relative; the best of trial frequencies a fiftieth of the inverse baseline apart may change by one."""


def main() -> None:
    """Search, and write or compare."""
    arguments = _arguments()
    before = None if arguments.against is None else _read(arguments.against)
    samples = [one for path in arguments.data for one in read_samples(path, _ALL, 0, whole=False)]
    settings = PeriodSettings()
    reports: list[PeriodReport] = []
    for done, sample in enumerate(samples, start=1):
        reports.append(find_period(sample.time, sample.mag, sample.magerr, settings))
        if done % 1000 == 0:
            print(f"{done:,} of {len(samples):,} windows", flush=True)  # noqa: T201
    found = {
        "fold_days": np.array([report.fold_days for report in reports]),
        "significant": np.array([report.value_days is not None for report in reports]),
        "log10_false_alarm": np.array([report.log10_false_alarm for report in reports]),
    }
    if before is None:
        columns: dict[str, Any] = {"search": search_digest(), **found}
        np.savez(arguments.write, **columns)
    else:
        _compare(before, found)


def _read(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return what was kept, before minutes are spent on what it is compared with."""
    try:
        with np.load(path) as kept:
            return {name: kept[name] for name in ("search", "fold_days", "significant", "log10_false_alarm")}
    except (OSError, ValueError, KeyError) as error:
        msg = f"{path}: {error}; expected what --write keeps"
        raise SystemExit(msg) from error


def _compare(before: dict[str, npt.NDArray[Any]], now: dict[str, npt.NDArray[Any]]) -> None:
    if len(before["fold_days"]) != len(now["fold_days"]):
        msg = f"{len(before['fold_days'])} windows were searched before, {len(now['fold_days'])} now"
        raise SystemExit(msg)
    relative = np.abs(now["fold_days"] / before["fold_days"] - 1.0)
    others = np.flatnonzero(relative > _SAME)
    significance = int((now["significant"] != before["significant"]).sum())
    false_alarm = np.abs(now["log10_false_alarm"] - before["log10_false_alarm"])
    print(f"search {before['search']} before, {search_digest()} now, {len(relative):,} windows")  # noqa: T201
    print(f"same period (to {_SAME:g}): all but {len(others)}; largest difference {relative.max():.2g}")  # noqa: T201
    print(f"significant in one only: {significance}")  # noqa: T201
    print(f"log10 of the false-alarm probability: at most {false_alarm.max():.2g} apart")  # noqa: T201
    for index in others[:_TOLD]:
        print(f"window {index}: {before['fold_days'][index]:.8g} d, {now['fold_days'][index]:.8g} d")  # noqa: T201
    if len(others) or significance:
        raise SystemExit(1)


def _arguments() -> argparse.Namespace:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument(
        "--data", type=Path, required=True, nargs="+", help="parquets of labelled light curves"
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, help="keep what is found here")
    what.add_argument("--against", type=Path, help="compare with what was kept there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
