"""The score stage as a whole beside the sum of its parts."""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Effort, Way, lines
from benchmarks.results import Figure, Result, find
from benchmarks.rows import Say
from benchmarks.rows.network import WHOLE as SCORER
from benchmarks.rows.network import score_way
from benchmarks.samples import messages, stages, windows
from benchmarks.stage_costs import CountingState
from broker_plugin.model import ScoringWindow, default_bundle_path, open_scorer
from broker_plugin.period import PeriodSettings, find_periods
from broker_plugin.records.codec import decode_window

STAGE = "score step"
SEARCH = "period search alone"
_BATCH = 64


def score(effort: Effort, say: Say) -> Result:
    """Measure a batch of windows through the stage, and through its parts."""
    (stage,) = stages("score", SCORE__THREADS="1")
    values = windows(_BATCH)
    batch = messages(values)
    decoded = [decode_window(value) for value in values]
    light = [
        (np.ascontiguousarray(w.epochs["time_mjd"]), w.epochs["mag"], w.epochs["magerr"]) for w in decoded
    ]
    periods = [report.fold_days for report in find_periods(light, PeriodSettings())]
    scorer = open_scorer(default_bundle_path(), threads=1)
    folded = [ScoringWindow(*columns, period) for columns, period in zip(light, periods, strict=True)]
    whole = Way(STAGE, lambda: stage.step(batch, CountingState()), _BATCH)
    parts = [
        Way(SEARCH, lambda: find_periods(light, PeriodSettings()), _BATCH),
        score_way(scorer, folded),
        Way("decoding the windows alone", lambda: [decode_window(value) for value in values], _BATCH),
    ]
    say(f"{_BATCH} windows")
    found = lines(f"batch of {_BATCH}", "window", whole, parts, effort)
    figures = []
    slowest = max(
        (line for name in (SEARCH, SCORER) if (line := find(found, name)) is not None and line.cpu),
        key=lambda line: line.cpu.median if line.cpu else 0.0,
        default=None,
    )
    if slowest is not None and slowest.ratio is not None:
        share = 100.0 * slowest.ratio.median
        figures.append(
            Figure(f"of the rate of the slowest part ({slowest.way})", share, "%", 80.0, "at least")
        )
    mine = find(found, STAGE)
    if mine is not None and mine.cpu is not None:
        figures.append(Figure("on one core", 1.0 / mine.cpu.median, "windows/s"))
    about = (
        "Windows as accumulate sends them, a batch at once, on one thread: decoded, screened, searched, "
        "scored, composed and encoded. For a part, times ours is the share of the whole that it takes."
    )
    return Result("score", "Score, the whole step", about, found, figures)
