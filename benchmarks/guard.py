"""Whether a stage has become slower than it was: by its ratio to a library's work in the same run.

    python -m benchmarks.guard

A ratio of processor times, each the best of several turns taken in alternation, hardly depends on what else
the machine does, and most of them little on the machine. It must not fall below a share (``margin``) of what
it usually is, of the scorer's on processors where the products beside it have AVX-512; both are in
``guard.json``. A pair that does is measured again, longer, before it is called slow. Exit status 1: something
is slow; 2: ``guard.json`` and the pairs here do not fit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.measure import Effort, Way, in_turns
from benchmarks.rows import accumulate, ingest, network, period
from benchmarks.samples import curves, packets
from broker_plugin.model import default_bundle_path, open_scorer

LIMITS = Path(__file__).with_name("guard.json")
EFFORT = Effort(repetitions=5, slice_seconds=0.15)
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one pair.

    Attributes
    ----------
    name : str
    ratio : float
        Theirs over ours: higher is faster.
    least : float
        That it must be.
    """

    name: str
    ratio: float
    least: float

    @property
    def slow(self) -> bool:
        """Return whether ours has become too slow."""
        return not self.ratio >= self.least

    def __str__(self) -> str:
        word = "SLOW" if self.slow else "ok"
        return (
            f"{self.name:<12} {self.ratio:8.3f} times as fast as its counterpart, >= {self.least:.3f}: {word}"
        )


def pairs() -> Mapping[str, Callable[[], tuple[Way, Way]]]:
    """Return how to build each pair: ours, and what its time is compared with."""
    return {
        "ingest-ztf": lambda: _ingest("ztf"),
        "ingest-lsst": lambda: _ingest("lsst"),
        "accumulate": lambda: accumulate.ways(4, 240),
        "period": _period,
        "scorer": lambda: _scorer(64),
        "scorer-alone": lambda: _scorer(1),
    }


def _ingest(survey: str) -> tuple[Way, Way]:
    ours, others = ingest.ways(packets(survey, simulated=True))
    return ours, next(way for way in others if isinstance(way, Way) and way.name == ingest.READER)


def _period() -> tuple[Way, Way]:
    sample = curves(2, 200)
    return period.ours(sample), period.astropy_way(sample, 1)


def _scorer(count: int) -> tuple[Way, Way]:
    scorer = open_scorer(default_bundle_path(), threads=1)
    return network.score_way(scorer, network.windows(count)), network.products(scorer, count)


def judge(
    name: str, usual: float, margin: float, measure: Callable[[Effort], float], effort: Effort = EFFORT
) -> Verdict:
    """Measure until the ratio is high enough or the tries are used up; the best counts.

    Noise makes a ratio worse or better, a slower stage makes it worse each time: three tries tell them apart.

    Parameters
    ----------
    name : str
    usual, margin : float
        The ratio on an undisturbed machine, and the share of it that must be reached.
    measure : callable
        Returns a ratio.
    effort : Effort
        Of the first try; each further one takes twice as long.
    """
    best = Verdict(name, measure(effort), usual * margin)
    for _ in range(_TRIES - 1):
        if not best.slow:
            break
        effort = replace(effort, slice_seconds=2.0 * effort.slice_seconds)
        best = max(best, replace(best, ratio=measure(effort)), key=lambda verdict: verdict.ratio)
    return best


def ratio_of(ours: Way, theirs: Way, effort: Effort) -> float:
    """Return the best time of theirs over the best time of ours."""
    turns = in_turns([ours, theirs], effort)
    best = {name: min(turn.cpu for turn in found) for name, found in turns.items()}
    return best[theirs.name] / best[ours.name]


def main() -> None:
    """Judge every pair."""
    limits = json.loads(LIMITS.read_text())
    known = pairs()
    if limits["usual"].keys() != known.keys():
        sys.stderr.write(f"{LIMITS}: usual has {sorted(limits['usual'])}, expected {sorted(known)}\n")
        sys.exit(2)
    verdicts = []
    for name, build in known.items():
        ours, theirs = build()
        usual = float(limits["usual"][name])
        verdict = judge(name, usual, float(limits["margin"]), partial(ratio_of, ours, theirs))
        sys.stdout.write(f"{verdict}\n")
        sys.stdout.flush()
        verdicts.append(verdict)
    if any(verdict.slow for verdict in verdicts):
        sys.stderr.write(
            "A stage is slower than it was. If that is meant, write the new ratio into "
            f"{LIMITS.name} with the reason in benchmarks/LOG.md; else `python -m benchmarks --rows ...`\n"
        )
        sys.exit(1)


if __name__ == "__main__":
    main()
