"""From what was measured to cores, disks and partitions for surveys of every size.

    python -m benchmarks.capacity                                 # the tables, from benchmarks/capacity.json
    python -m benchmarks.capacity build/*.json                    # from other results; the last file wins
    python -m benchmarks.capacity --write docs/capacity.md        # and into the page, between its marks
    python -m benchmarks.capacity build/stage_costs.json build/benchmarks/benchmarks.json --ship

A file of results is JSON, and whatever benchmark measures one of the figures may write it::

    {
      "machine": "what it was measured on",
      "measured": {
        "ingest_seconds_ztf": {"value": 0.0003, "unit": "s", "how": "the command, and what it leaves out"},
        ...
      }
    }

The names are the keys of ``FIGURES`` below, those that depend on the survey with ``_ztf`` or ``_lsst`` at
their end. Other names are ignored; one that is missing is an error that names it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pages import write_into

SHIPPED = Path(__file__).with_name("capacity.json")

FIGURES = {
    "packet_bytes": "an alert packet as the survey sends it",
    "ingest_seconds": "ingest, an alert",
    "accumulate_seconds": "accumulate, an alert",
    "photometry_bytes": "photometry topic, an alert",
    "changelog_bytes": "changelog topic, an alert",
    "new_epochs": "epochs new to a light curve, an alert",
    "state_bytes_per_epoch": "state, an epoch of a light curve",
    "score_seconds": "score, a window",
    "window_bytes": "lightcurves topic, a window",
    "annotation_bytes": "classifications topic, a window",
    "runner_seconds": "Kafka client, transactions and local state, a record of any stage",
}
_OF_NO_SURVEY = ("score_seconds", "window_bytes", "annotation_bytes", "runner_seconds")

RESCORE_AFTER = 20
"""Default of ``accumulate.rescore_after``: new epochs from one window to the next."""

BUSY = 0.6
"""Share of a core that may be used at the peak; the rest catches up after a pause."""

_SURVEY_DAYS = 7  # photometry and lightcurves are retained
_ANNOTATION_DAYS = 30
_COMPACTION = 1.5  # a changelog on disk, over the state: at 0.3 dirty, in segments, the last not compacted
_PARTITION_BYTES = 20e9  # of state: restored from Kafka in some minutes
_GB = 1e9


@dataclass(frozen=True, slots=True)
class Scenario:
    """A survey, in the numbers that matter here.

    Attributes
    ----------
    name, survey : str
        ``survey`` is ``"ztf"`` or ``"lsst"``: whose packets.
    alerts_per_night : float
    peak_per_second : float
        Alerts; what the stages must keep up with.
    stars : float
        Objects with a light curve, at the end of the survey.
    epochs_per_star : float
        In all bands together.
    ready_share : float
        Of the new epochs, how many belong to a light curve that has its 200.
    """

    name: str
    survey: str
    alerts_per_night: float
    peak_per_second: float
    stars: float
    epochs_per_star: float
    ready_share: float


_VISIT_SECONDS = 37.0  # DMTN-102
SCENARIOS = (
    Scenario("ZTF", "ztf", 3e5, 200.0, 1e7, 800.0, 0.5),
    Scenario("LSST, mean", "lsst", 1e7, 1e4 / _VISIT_SECONDS, 1.35e8, 825.0, 0.1),
    Scenario("LSST, 100 000 alerts a visit", "lsst", 1e7, 1e5 / _VISIT_SECONDS, 1.35e8, 825.0, 0.1),
    Scenario("10 x LSST", "lsst", 1e8, 1e5 / _VISIT_SECONDS, 1.35e9, 825.0, 0.1),
)


@dataclass(frozen=True, slots=True)
class Need:
    """What a scenario takes.

    Attributes
    ----------
    ingest_cores, accumulate_cores, score_cores : float
        At the peak, each used to :data:`BUSY`.
    windows_per_second : float
        At the peak.
    megabytes_per_second : float
        That come in at the peak.
    state_gb : float
        Light curves, over all workers, at the end of the survey.
    kafka_gb : float
        All topics, one replica.
    partitions : int
        Of ``topics.partitions``.
    """

    ingest_cores: float
    accumulate_cores: float
    score_cores: float
    windows_per_second: float
    megabytes_per_second: float
    state_gb: float
    kafka_gb: float
    partitions: int


def need(scenario: Scenario, figures: Mapping[str, float]) -> Need:
    """Return what a scenario takes, by the formulas of ``docs/capacity.md``."""

    def of(name: str) -> float:
        return figures[name if name in _OF_NO_SURVEY else f"{name}_{scenario.survey}"]

    peak, runner = scenario.peak_per_second, of("runner_seconds")
    ingest = peak * (of("ingest_seconds") + runner) / BUSY
    accumulate = peak * (of("accumulate_seconds") + runner) / BUSY
    windows_per_alert = of("new_epochs") * scenario.ready_share / RESCORE_AFTER
    windows = peak * windows_per_alert
    score = windows * (of("score_seconds") + runner) / BUSY
    state = scenario.stars * scenario.epochs_per_star * of("state_bytes_per_epoch")
    night = scenario.alerts_per_night
    kafka = (
        _SURVEY_DAYS * night * (of("photometry_bytes") + windows_per_alert * of("window_bytes"))
        + _ANNOTATION_DAYS * night * windows_per_alert * of("annotation_bytes")
        + max(_COMPACTION * state, night * of("changelog_bytes"))
    )
    workers = max(accumulate, score, state / _PARTITION_BYTES / 2)
    return Need(
        ingest_cores=ingest,
        accumulate_cores=accumulate,
        score_cores=score,
        windows_per_second=windows,
        megabytes_per_second=peak * of("packet_bytes") / 1e6,
        state_gb=state / _GB,
        kafka_gb=kafka / _GB,
        partitions=max(8, 2 ** math.ceil(math.log2(2 * math.ceil(workers)))),
    )


def read_results(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Read the figures of some files; of two values of one figure the last counts.

    Raises
    ------
    SystemExit
        A figure is in none of them.
    """
    measured: dict[str, dict[str, Any]] = {}
    paths = list(paths)
    for path in paths:
        measured |= json.loads(path.read_text()).get("measured", {})
    missing = [name for name in names() if name not in measured]
    if missing:
        msg = f"{', '.join(missing)}: in none of {', '.join(map(str, paths))}; expected under 'measured'"
        raise SystemExit(msg)
    return {name: measured[name] for name in names()}


def names() -> list[str]:
    """Return the names of all figures that are needed."""
    return [
        name
        for figure in FIGURES
        for name in ([figure] if figure in _OF_NO_SURVEY else [f"{figure}_ztf", f"{figure}_lsst"])
    ]


def tables(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the tables of the page, in Markdown, by the name of their mark."""
    figures = {name: float(figure["value"]) for name, figure in measured.items()}
    needs = [(scenario, need(scenario, figures)) for scenario in SCENARIOS]
    return {
        "measured": "\n".join(_measured(measured)),
        "assumed": "\n".join(_assumed()),
        "needed": "\n".join(_needed(needs)),
    }


def _measured(measured: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "| what | ZTF | LSST | how |\n|---|---|---|---|"
    for name, meaning in FIGURES.items():
        keys = [name] * 2 if name in _OF_NO_SURVEY else [f"{name}_ztf", f"{name}_lsst"]
        values = [_with_unit(measured[key]["value"], measured[key]["unit"]) for key in keys]
        yield f"| {meaning} | {values[0]} | {values[1]} | {measured[keys[0]]['how']} |"


def _assumed() -> Iterator[str]:
    yield "| | " + " | ".join(s.name for s in SCENARIOS) + " |"
    yield "|---|" + "---|" * len(SCENARIOS)
    yield _row("alerts a night", (f"{s.alerts_per_night:,.0f}" for s in SCENARIOS))
    yield _row("alerts a second, at the peak", (f"{s.peak_per_second:,.0f}" for s in SCENARIOS))
    yield _row("stars with a light curve", (f"{s.stars / 1e6:,.0f} million" for s in SCENARIOS))
    yield _row("epochs of each, all bands", (f"{s.epochs_per_star:,.0f}" for s in SCENARIOS))
    yield _row("share of epochs with 200 before them", (f"{s.ready_share:.0%}" for s in SCENARIOS))


def _needed(needs: Sequence[tuple[Scenario, Need]]) -> Iterator[str]:
    yield "| | " + " | ".join(s.name for s, _ in needs) + " |"
    yield "|---|" + "---|" * len(needs)
    yield _row("cores for `ingest`", (_cores(n.ingest_cores) for _, n in needs))
    yield _row("cores for `accumulate`", (_cores(n.accumulate_cores) for _, n in needs))
    yield _row("cores for `score`", (_cores(n.score_cores) for _, n in needs))
    yield _row("windows a second", (f"{n.windows_per_second:.2g}" for _, n in needs))
    yield _row("MB/s that come in", (f"{n.megabytes_per_second:,.0f}" for _, n in needs))
    yield _row("light curves on local disks, GB", (f"{n.state_gb:,.0f}" for _, n in needs))
    yield _row("Kafka, one replica, GB", (f"{n.kafka_gb:,.0f}" for _, n in needs))
    yield _row("`topics.partitions`", (str(n.partitions) for _, n in needs))


def _row(name: str, values: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(values)} |"


def _cores(cores: float) -> str:
    return f"{cores:.1f}" if cores < 10 else f"{cores:.0f}"


def _with_unit(value: float, unit: str) -> str:
    if unit == "s":
        return f"{value * 1000:.3g} ms"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}".strip()


def main() -> None:
    """Print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path, help=f"not given: {SHIPPED.name}")
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--ship", action="store_true", help=f"keep the figures as {SHIPPED.name}, too")
    arguments = parser.parse_args()
    measured = read_results(arguments.results or [SHIPPED])
    if arguments.ship:
        machine = json.loads(arguments.results[0].read_text())["machine"] if arguments.results else ""
        SHIPPED.write_text(json.dumps({"machine": machine, "measured": measured}, indent=1) + "\n")
    by_mark = tables(measured)
    if arguments.write is None:
        sys.stdout.write("\n\n".join(by_mark.values()) + "\n")
    else:
        arguments.write.write_text(write_into(arguments.write.read_text(), "capacity", by_mark))


if __name__ == "__main__":
    main()
