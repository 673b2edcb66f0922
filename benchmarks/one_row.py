"""Measure one row in a process of its own, so that no row meets another's threads, caches or memory."""

from __future__ import annotations

import argparse
import os
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import QUICK, CannotRunError, Effort
from benchmarks.results import Result, write
from benchmarks.rows import load


def measure(name: str, effort: Effort) -> Result:
    """Measure a row; one that fails says why instead of ending the others."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"  {time.monotonic() - started:6.1f} s  {text}", flush=True)  # noqa: T201  progress

    try:
        result = load(name)(effort, say)
    except CannotRunError as error:
        result = Result(name, name, failed=str(error))
    except Exception as error:
        traceback.print_exc()
        result = Result(name, name, failed=f"{type(error).__name__}: {error}")
    return replace(
        result,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        seconds=time.monotonic() - started,
        load=os.getloadavg()[0],
        quick=effort.quick,
    )


def main() -> None:
    """Measure the row that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("row")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--minutes", type=float)
    arguments = parser.parse_args()
    effort = QUICK if arguments.quick else Effort()
    if arguments.minutes is not None:
        effort = replace(effort, minutes=arguments.minutes)
    write(measure(arguments.row, effort), arguments.out)


if __name__ == "__main__":
    main()
