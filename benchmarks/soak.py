"""A soak: a million alerts of a hundred thousand objects through a real Kafka and real worker processes.

One worker ingests, another accumulates and scores; the load is LSST packets (:mod:`benchmarks.soak_alerts`)
and stays a bounded way ahead of them. Every few seconds a line of JSON says the rates, the memory of each
process, the lag as the workers' metrics tell it, and what lies on disk. At the end: whether every alert is
accounted for, whether the audit agrees, whether memory and rate were flat after the warm-up.

    python -m benchmarks.soak --alerts 1000000 --objects 100000 --out soak

``soak/samples.jsonl``, ``soak/summary.json`` and ``soak/series.png`` are written; the exit status is 1 if
something is not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.soak_alerts import SoakAlerts
from broker_plugin.app.audit import audit
from broker_plugin.app.conservation import Counts, balances
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.runner.protocols import Output
from tests.chaos.counters import free_port, scrape, total
from tests.chaos.harness import Installation, Worker
from tests.kafka_server import KafkaServer, kafka_jars

WARM_UP = 0.25
"""Share of the alerts before which nothing is expected to be flat: caches fill, every object is new."""

MAX_GROWTH = 0.05
MAX_GROWTH_MB = 20.0
MAX_SLOWING = 0.30
_SEND_AT_ONCE = 1000
_WAIT_SECONDS = 0.1
_MB = 1e6


@dataclass(frozen=True, slots=True)
class Plan:
    """How much, and how."""

    alerts: int
    objects: int
    out: Path
    every_seconds: float = 10.0
    ahead: int = 50_000
    batch_records: int = 1000
    partitions: int = 8
    timeout_seconds: float = 7200.0
    audited: bool = True
    judged_flat: bool = True


@dataclass(frozen=True, slots=True)
class Sample:
    """One line of the log. Rates are of the time since the line before."""

    seconds: float
    sent: int
    ingested: int
    accumulated: int
    windows: int
    annotations: int
    rate_ingest: float
    rate_accumulate: float
    lag: dict[str, float]
    rss_mb: dict[str, float]
    disk_mb: dict[str, float]
    load: float


@dataclass(slots=True)
class Soak:
    """One run: the installation, its two workers, and what was seen of them."""

    plan: Plan
    installation: Installation
    kafka: KafkaServer
    kafka_folder: Path
    samples: list[Sample] = field(default_factory=list)
    sent: int = 0

    def run(self) -> dict[str, Any]:
        """Run the load through, judge, and return the summary."""
        self.installation.create_topics(alert_partitions=self.plan.partitions)
        ports = {"ingest": free_port(), "state": free_port()}
        workers = {
            "ingest": self._worker("ingest", "ingest", ports["ingest"]),
            "state": self._worker("state", "accumulate,score", ports["state"]),
        }
        started = time.monotonic()
        counts = self._load_and_watch(workers, ports, started)
        seconds = time.monotonic() - started
        statuses = {name: worker.terminate() for name, worker in workers.items()}
        return self._judge(counts, seconds, statuses)

    def _worker(self, name: str, stages: str, port: int) -> Worker:
        return self.installation.worker(name, stages=stages, METRICS__ENABLED="true", METRICS__PORT=str(port))

    def _load_and_watch(self, workers: dict[str, Worker], ports: dict[str, int], started: float) -> Counts:
        packets = iter(SoakAlerts(self.plan.alerts, self.plan.objects))
        producer = self.installation.bus.producer()
        topic = f"{self.installation.prefix}.alerts"
        next_sample = 0.0
        counts: Counts = Counter()
        with (self.plan.out / "samples.jsonl").open("w") as log:
            while True:
                now = time.monotonic() - started
                counts = scrape(ports.values())
                done = total(counts, "photometry_consumed_total")  # every alert of this load has photometry
                for chunk in _chunks(packets, self.plan.ahead - (self.sent - done)):
                    for packet in chunk:
                        producer.send(Output(topic, None, packet))
                    self.sent += len(chunk)
                ended = self._ended(counts)
                if now >= next_sample or ended:
                    next_sample = now + self.plan.every_seconds
                    sample = self._sample(counts, workers, now)
                    self.samples.append(sample)
                    log.write(json.dumps(asdict(sample)) + "\n")
                    log.flush()
                if ended:
                    producer.flush()
                    producer.close()
                    return counts
                for worker in workers.values():
                    if not worker.alive:
                        msg = f"worker {worker.name} ended:\n{worker.output[-4000:]}"
                        raise RuntimeError(msg)
                if now > self.plan.timeout_seconds:
                    msg = f"not done after {now:.0f} s: {self.samples[-1]}"
                    raise TimeoutError(msg)
                time.sleep(_WAIT_SECONDS)

    def _ended(self, counts: Counts) -> bool:
        published = total(counts, "alerts_published_total")
        handled = total(counts, "annotations_total") + total(counts, "windows_skipped_total")
        return bool(
            total(counts, "packets_consumed_total") >= self.plan.alerts
            and total(counts, "photometry_consumed_total") >= published
            and handled >= total(counts, "windows_emitted_total")
        )

    def _sample(self, counts: Counts, workers: dict[str, Worker], now: float) -> Sample:
        ingested = total(counts, "packets_consumed_total")
        accumulated = total(counts, "photometry_consumed_total")
        last = self.samples[-1] if self.samples else None
        since = max(now - last.seconds, 1e-9) if last else 1e9
        rss = {name: rss_mb(worker.process.pid) for name, worker in workers.items()}
        prefix = self.installation.prefix
        data = self.kafka_folder / "data"
        topics = ("alerts", "photometry", "changelog", "lightcurves")
        disk = {name: size_mb(data, f"{prefix}.{name}-") for name in topics}
        disk["state"] = size_mb(self.installation.folder / "state")
        return Sample(
            seconds=round(now, 2),
            sent=self.sent,
            ingested=ingested,
            accumulated=accumulated,
            windows=total(counts, "windows_emitted_total"),
            annotations=total(counts, "annotations_total"),
            rate_ingest=round((ingested - (last.ingested if last else 0)) / since, 1),
            rate_accumulate=round((accumulated - (last.accumulated if last else 0)) / since, 1),
            lag={stage: total(counts, "consumer_lag", stage=stage) for stage in ("ingest", "accumulate")},
            rss_mb={**rss, "kafka": rss_mb(self.kafka.pid), "load": rss_mb(os.getpid())},
            disk_mb=disk,
            load=os.getloadavg()[0],
        )

    def _judge(self, counts: Counts, seconds: float, statuses: dict[str, int]) -> dict[str, Any]:
        problems = [f"worker {name} ended with {status}" for name, status in statuses.items() if status]
        sheets = balances(counts, packets=self.sent)
        problems += [str(sheet) for sheet in sheets if not sheet.balanced]
        for name in ("transactions_total", "rejoins_total"):
            for outcome in ("aborted", "fenced"):
                if found := total(counts, name, outcome=outcome):
                    problems.append(f"{found} transactions {outcome}")
        flat, complaints = flatness(self.samples, self.plan.alerts)
        problems += complaints if self.plan.judged_flat else []
        audited: dict[str, int] = {}
        if self.plan.audited:
            report = audit(self.installation.bus, self.installation.prefix, self.installation.window)
            problems += report.problems
            audited = {
                "photometry": report.photometry,
                "windows": report.windows,
                "annotations": report.annotations,
                "state_keys": report.state_keys,
            }
        return {
            "alerts": self.sent,
            "objects": self.plan.objects,
            "seconds": round(seconds, 1),
            "alerts_per_second": round(self.sent / seconds, 1),
            "flat": flat,
            "disk_mb": self.samples[-1].disk_mb,
            "conservation": [str(sheet) for sheet in sheets],
            "audit": audited,
            "cores": os.cpu_count(),
            "problems": problems,
        }


def flatness(samples: list[Sample], alerts: int) -> tuple[dict[str, Any], list[str]]:
    """Compare the first and the second half of what follows the warm-up, while there was load.

    Memory is compared by its peaks: the state's write buffers fill and empty.

    Returns
    -------
    figures : dict
        Of each half the median rates (alerts a second) and each process's greatest memory (MB).
    problems : list of str
    """
    steady = [s for s in samples if WARM_UP * alerts <= s.accumulated and s.sent < alerts]
    half = len(steady) // 2
    if half < 1:
        return {}, [f"{len(steady)} samples after the warm-up are too few to judge; sample more often"]
    halves = (steady[:half], steady[-half:])
    problems = []
    figures: dict[str, Any] = {"samples": len(steady)}
    for name in ("rate_ingest", "rate_accumulate"):
        first, last = (median(getattr(s, name) for s in part) for part in halves)
        figures[name] = [first, last]
        if last < first * (1.0 - MAX_SLOWING):
            problems.append(f"{name} fell from {first:.0f} to {last:.0f} a second")
    for process in steady[0].rss_mb:
        first, last = (max(s.rss_mb[process] for s in part) for part in halves)
        figures[f"rss_mb_{process}"] = [first, last]
        if last > first * (1.0 + MAX_GROWTH) + MAX_GROWTH_MB:
            problems.append(f"memory of {process} grew from {first:.0f} to {last:.0f} MB")
    return figures, problems


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process, 0 after its end."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return round(pages * os.sysconf("SC_PAGE_SIZE") / _MB, 1)


def size_mb(folder: Path, start: str = "") -> float:
    """Return what lies below a folder, of the entries whose names start so."""
    size = 0
    for entry in folder.glob(f"{start}*"):
        for path in (entry, *entry.rglob("*")):
            try:
                status = path.stat()
            except OSError:  # compacted away meanwhile
                continue
            if path.is_file():
                size += min(status.st_blocks * 512, status.st_size)  # preallocated indexes are holes
    return round(size / _MB, 1)


def plot(samples: list[Sample], path: Path) -> None:
    """Draw rates, memory, lag and disk over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 2, sharex=True)
    minutes = [s.seconds / 60 for s in samples]
    for name in ("rate_ingest", "rate_accumulate"):
        axes[0, 0].plot(minutes, [getattr(s, name) for s in samples], label=name.removeprefix("rate_"))
    axes[0, 0].set_ylabel("alerts per second")
    for name in samples[0].rss_mb:
        axes[0, 1].plot(minutes, [s.rss_mb[name] for s in samples], label=name)
    axes[0, 1].set_ylabel("resident memory [MB]")
    for name in samples[0].lag:
        axes[1, 0].plot(minutes, [s.lag[name] for s in samples], label=name)
    axes[1, 0].set_ylabel("lag [records]")
    for name in samples[0].disk_mb:
        axes[1, 1].plot(minutes, [s.disk_mb[name] for s in samples], label=name)
    axes[1, 1].set_ylabel("on disk [MB]")
    for axis in axes.flat:
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    for axis in axes[1]:
        axis.set_xlabel("minutes")
    figure.savefig(path, dpi=110)


def soak(plan: Plan) -> dict[str, Any]:
    """Run it on a Kafka of its own, write the three files, and return the summary."""
    plan.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as closing:
        folder = plan.out / "kafka"
        kafka = closing.enter_context(KafkaServer(kafka_jars(), folder))
        installation = Installation(
            kafka.bootstrap,
            "soak",
            plan.out,
            partitions=plan.partitions,
            window=WindowSettings(rescore_after=1000),
            settings={
                "RUNNER__BATCH_RECORDS": str(plan.batch_records),
                "RUNNER__BATCH_SECONDS": "0.5",
                # As installed: nobody dies here, and a busy machine must not look like a death.
                "RUNNER__SESSION_TIMEOUT_SECONDS": "45",
                "RUNNER__TRANSACTION_TIMEOUT_SECONDS": "15",
            },
        )
        closing.enter_context(installation)
        run = Soak(plan, installation, kafka, folder)
        try:
            summary = run.run()
        finally:
            if len(run.samples) > 1:
                plot(run.samples, plan.out / "series.png")
    (plan.out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    return summary


def _chunks(packets: Iterator[bytes], wanted: int) -> Iterator[list[bytes]]:
    while wanted > 0 and (chunk := list(islice(packets, _SEND_AT_ONCE))):
        yield chunk
        wanted -= len(chunk)


def main() -> None:
    """Read the command line, run, print the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--alerts", type=int, default=1_000_000)
    parser.add_argument("--objects", type=int, default=100_000)
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two samples")
    parser.add_argument("--ahead", type=int, default=50_000, help="alerts that may be under way at once")
    parser.add_argument("--no-audit", action="store_true")
    chosen = parser.parse_args()
    plan = Plan(
        chosen.alerts,
        chosen.objects,
        chosen.out,
        every_seconds=chosen.every,
        ahead=chosen.ahead,
        audited=not chosen.no_audit,
    )
    summary = soak(plan)
    print(json.dumps(summary, indent=2))  # noqa: T201
    sys.exit(1 if summary["problems"] else 0)


if __name__ == "__main__":
    main()
