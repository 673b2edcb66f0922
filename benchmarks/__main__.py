"""Measure every stage beside what a user would use instead, in one run.

    python -m benchmarks                              # all rows: 20 minutes, ten of them end to end
    python -m benchmarks --quick                      # all rows, small: some three minutes
    python -m benchmarks --rows period,network        # some of them
    python -m benchmarks --resume                     # only those that the folder does not have yet
    python -m benchmarks --write docs/reference/benchmarks.md

Each row is measured in a process of its own and written to the folder as it comes; ``benchmarks.json`` and
``benchmarks.md`` there hold all of them. Real packets are taken from ``../shared``, or from the folder that
BROKER_PLUGIN_TEST_DATA names, as the tests do. What cannot be measured says why.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import machine, pages, report, results
from benchmarks.rows import ROWS

_FOLDER = Path("build/benchmarks")
# One core for each row, so that processor time is that of the work; what uses more says so.
_ONE_CORE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


def main() -> None:
    """Measure the rows that are asked for, and report all that there are."""
    arguments = _arguments()
    folder: Path = arguments.out
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    failed = []
    for name in arguments.rows:
        path = folder / "rows" / f"{name}.json"
        if arguments.report or (arguments.resume and path.exists()):
            continue
        path.unlink(missing_ok=True)
        print(f"{time.strftime('%H:%M:%S')}  {name}", flush=True)  # noqa: T201
        command = [sys.executable, "-m", "benchmarks.one_row", name, "--out", str(path)]
        command += ["--quick"] if arguments.quick else []
        command += ["--minutes", str(arguments.minutes)] if arguments.minutes is not None else []
        status = subprocess.run(command, env=os.environ | _ONE_CORE, check=False).returncode  # noqa: S603
        if status != 0:
            failed.append(f"{name} ended with {status}")
    found = [results.read(path) for name in ROWS if (path := folder / "rows" / f"{name}.json").exists()]
    about = machine.describe()
    report.write(found, about, folder)
    if arguments.write is not None:
        page = arguments.write.read_text()
        table = report.markdown(found, about)
        arguments.write.write_text(pages.write_into(page, "benchmarks", {"results": table}))
    print((folder / "benchmarks.md").read_text())  # noqa: T201
    failed += [f"{result.row}: {result.failed}" for result in found if result.failed]
    sys.exit("\n".join(failed) if failed else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=_rows, default=list(ROWS), help=f"some of {', '.join(ROWS)}")
    parser.add_argument("--quick", action="store_true", help="small loads, few repetitions")
    parser.add_argument("--minutes", type=float, help="of the end-to-end load; 10, or 0.5 with --quick")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are in the folder")
    parser.add_argument("--report", action="store_true", help="measure nothing, report what is in the folder")
    parser.add_argument("--out", type=Path, default=_FOLDER, help=f"folder of the results; {_FOLDER}")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the tables into this page, too")
    return parser.parse_args()


def _rows(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in ROWS]
    if unknown or not names:
        msg = f"{text!r}: expected some of {', '.join(ROWS)}, separated by commas"
        raise argparse.ArgumentTypeError(msg)
    return names


if __name__ == "__main__":
    main()
