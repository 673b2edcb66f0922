"""``python -m training reproduce``: plan, do, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from broker_plugin.errors import InputError
from training.report import write_report
from training.report.results import read_results
from training.reproduce.actions import Workbench
from training.reproduce.plan import plan
from training.reproduce.settings import ExperimentSettings
from training.reproduce.steps import run_steps

Progress = Callable[[str], None]


def reproduce(
    data: Path,
    out: Path,
    cache: Path,
    settings: ExperimentSettings,
    *,
    processes: int = 1,
    dry_run: bool = False,
    progress: Progress,
) -> None:
    """Run the whole experiment, or finish the one that ``out`` holds.

    1. the steps that are not done yet, in order, 2. ``report.html``, ``report.md`` and ``report.json``, made
    anew each time.

    Raises
    ------
    InputError
        If the data cannot be used.
    """
    bench = Workbench(data, cache, settings, processes)
    _check_classes(bench)
    steps, models = plan(bench, out)
    progress(f"{data.name}: {len(bench.rows)} windows; {len(models)} models, {len(steps)} steps, in {out}")
    if dry_run:
        for step in steps:
            progress(step.name)
        return
    run_steps(steps, out, progress)
    write_report(out, read_results(out, models, asdict(settings)))
    progress(f"{out / 'report.html'}: written, with report.md and report.json beside it")


def _check_classes(bench: Workbench) -> None:
    """Refuse data on which a split by star cannot be stratified: the error would come hours later."""
    table = bench.table
    present = set(table.label[bench.rows].tolist()) - {-1}
    if len(present) < 2:
        msg = f"{bench.data}: {len(present)} known classes; expected at least two to tell apart"
        raise InputError(msg)
