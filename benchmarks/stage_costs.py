"""What each stage costs by itself: processor time and bytes per alert and per window, without Kafka.

    python -m benchmarks.stage_costs --out build/stage_costs.json

Simulated nights of both surveys go through the stages' steps one after the other on one core. Processor
time is counted, not time on the clock, so other work on the machine matters little. The layout of what is
written is that of :mod:`benchmarks.capacity`, which turns it into cores, disks and partitions.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

from broker_plugin.app.stages import build_stages
from broker_plugin.archive import iter_packets
from broker_plugin.config import load_config
from broker_plugin.lightcurve.history import HEADERS
from broker_plugin.runner.protocols import Message, Output, Stage, StepResult
from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import SimulationSettings

_BATCH = 500
_COMMAND = "python -m benchmarks.stage_costs"


class CountingState:
    """State of one partition in a dictionary, and how many bytes were put into it."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.put_bytes = 0

    def get(self, _partition: int, key: bytes) -> bytes | None:
        """See :class:`broker_plugin.runner.protocols.State`, here and below."""
        return self.values.get(key)

    def put(self, _partition: int, key: bytes, value: bytes | None) -> None:
        """Set a value; None deletes it."""
        self.put_bytes += len(key) + len(value or b"")
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = value

    def scan(self, _partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield what begins with the prefix, in key order."""
        for key in sorted(key for key in self.values if key.startswith(prefix)):
            yield key, self.values[key]


@dataclass(frozen=True, slots=True)
class Run:
    """What a stage made of its input, and what it took."""

    outputs: list[Output]
    cpu_seconds: float
    counts: dict[str, float]


def run(stage: Stage, values: Sequence[bytes], state: CountingState) -> Run:
    """Send values through a stage in batches."""
    outputs: list[Output] = []
    counts: dict[str, float] = {}
    spent = 0.0
    for start in range(0, len(values), _BATCH):
        batch = [
            Message("t", 0, start + n, None, value) for n, value in enumerate(values[start : start + _BATCH])
        ]
        began = time.process_time()
        result: StepResult = stage.step(batch, state)
        spent += time.process_time() - began
        outputs += result.outputs
        for seen in result.observations:
            counts[seen.name] = counts.get(seen.name, 0.0) + seen.value
    return Run(outputs, spent, counts)


def packets_of(settings: SimulationSettings) -> list[bytes]:
    """Simulate, and return the packets in the archives' order."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(settings, Path(folder))
        return [packet.payload for packet in iter_packets([Path(folder)])]


def measure(report: Callable[[str, float, str, str], None], *, n_objects: int, n_nights: int) -> None:
    """Measure all stages on both surveys; ``report(name, value, unit, how)`` is called with each figure."""
    config = load_config(None, {"BROKER_PLUGIN_SCORE__THREADS": "1"})
    windows: list[bytes] = []
    base = SimulationSettings(n_objects=n_objects, n_nights=n_nights, seed=11, stamp_bytes=13_000)
    # A packet of LSST has a year of history: fewer stars make as many bytes.
    lsst = replace(
        base,
        survey="lsst",
        framing="registry",
        lsst_schema="11.0",
        cadence_factor=4.0,
        n_objects=max(2, n_objects // 4),
        n_nights=min(n_nights, 150),
    )
    for survey, settings in (("ztf", base), ("lsst", lsst)):
        how = f"{_COMMAND}: {settings.n_objects} simulated stars, {settings.n_nights} nights"
        packets = packets_of(settings)
        ingest, accumulate = build_stages(config, ["ingest", "accumulate"])
        run(ingest, packets[:_BATCH], CountingState())  # schemas are parsed and compiled
        photometry = run(ingest, packets, CountingState())
        records = [o.value for o in photometry.outputs if o.topic.endswith(".photometry") and o.value]
        state = CountingState()
        merged = run(accumulate, records, state)
        windows += [o.value for o in merged.outputs if o.topic.endswith(".lightcurves") and o.value]
        added = merged.counts["epochs_added_total"]
        headers = sum(key.startswith(HEADERS) for key in state.values)
        kept = sum(len(key) + len(value) for key, value in state.values.items())
        report(f"packet_bytes_{survey}", mean(map(len, packets)), "B", how)
        report(f"ingest_seconds_{survey}", photometry.cpu_seconds / len(packets), "s", f"{how}; step only")
        report(f"photometry_bytes_{survey}", mean(map(len, records)), "B", f"{how}; before lz4")
        report(f"accumulate_seconds_{survey}", merged.cpu_seconds / len(records), "s", f"{how}; step only")
        report(f"changelog_bytes_{survey}", state.put_bytes / len(records), "B", f"{how}; before lz4")
        report(f"new_epochs_{survey}", added / len(packets), "", how)
        report(
            f"state_bytes_per_epoch_{survey}",
            kept / added,
            "B",
            f"{how}; {added / headers:.0f} epochs a curve",
        )
    if not windows:  # too few nights for 200 epochs
        return
    (score,) = build_stages(config, ["score"])
    windows = windows[:: max(1, len(windows) // 400)]
    run(score, windows[:64], CountingState())
    scored = run(score, windows, CountingState())
    how = f"{_COMMAND}: {len(windows)} windows, one thread"
    report("window_bytes", mean(map(len, windows)), "B", f"{how}; before lz4")
    report("score_seconds", scored.cpu_seconds / len(windows), "s", f"{how}; period search and network")
    annotations = [len(o.value) for o in scored.outputs if o.topic.endswith(".classifications") and o.value]
    report("annotation_bytes", mean(annotations), "B", how)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--objects", type=int, default=60)
    parser.add_argument("--nights", type=int, default=720)
    arguments = parser.parse_args()
    measured: dict[str, dict[str, Any]] = {}

    def report(name: str, value: float, unit: str, how: str) -> None:
        print(f"{name:<32} {value:12.6g} {unit}")  # noqa: T201  what the command is for
        measured[name] = {"value": value, "unit": unit, "how": how}

    measure(report, n_objects=arguments.objects, n_nights=arguments.nights)
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"machine": machine, "measured": measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
