"""Alert to annotation: one real broker, three processes, a load at a pace and a burst."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.installation import STAGES, Site
from benchmarks.load import Pacer, StarLoad
from benchmarks.measure import Effort
from benchmarks.processes import cpu_seconds, peak_mb, wait_for
from benchmarks.results import Figure, Result
from benchmarks.rows import Say
from benchmarks.rows.accumulate_kafka import kafka, publish
from benchmarks.soak import MAX_GROWTH_MB, rss_mb
from broker_plugin.app.conservation import Counts
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from broker_plugin.runner.topics import create_missing
from tests.chaos.counters import total

RATE = 1020.0
"""Alerts a second: 1 000, and a little, so that a clock's rounding decides nothing."""

LSST_MEAN = 270.0
ZTF_PEAK = 1333.0
BURST, BURST_SECONDS = 10_000, 5.0
DRAINED_SECONDS = 30.0
_STARS = 10_000
_EVERY_SECONDS = 5.0
_PARTITIONS = 4
_AIMED_MB = {"ingest": 250.0, "accumulate": 500.0, "score": 600.0}


@dataclass(slots=True)
class Watch:
    """One site under load, and its samples."""

    site: Site
    kafka_pid: int
    say: Say
    memory: list[dict[str, float]] = field(default_factory=list)

    def done(self, counts: Counts) -> tuple[int, int, int]:
        """Return how many alerts are accumulated, windows were due, and windows are scored."""
        accumulated = total(counts, "photometry_consumed_total")
        handled = total(counts, "windows_consumed_total")
        return accumulated, total(counts, "windows_emitted_total"), handled

    def sample(self, text: str) -> Counts:
        """Note the memory, tell how far it is."""
        counts = self.site.counts()
        self.memory.append({name: rss_mb(stage.pid) for name, stage in self.site.stages.items()})
        accumulated, due, scored = self.done(counts)
        megabytes = ", ".join(f"{name} {value:.0f}" for name, value in self.memory[-1].items())
        self.say(
            f"{text}: {accumulated:,} accumulated, {scored:,} of {due:,} windows scored; MB: {megabytes}"
        )
        return counts

    def wait_until_drained(self, alerts: int, seconds: float) -> None:
        """Wait until so many alerts are accumulated and every window that was due is scored."""

        def drained() -> bool:
            accumulated, due, scored = self.done(self.site.counts())
            return accumulated >= alerts and scored >= due

        wait_for(drained, lambda: f"{alerts} alerts, of which {self.done(self.site.counts())}", seconds)

    def cpu(self) -> dict[str, float]:
        """Return the processor time of each process so far."""
        pids = {name: stage.pid for name, stage in self.site.stages.items()} | {"kafka": self.kafka_pid}
        return {name: cpu_seconds(pid) for name, pid in pids.items()}


def end_to_end(effort: Effort, say: Say) -> Result:
    """Measure start-up, a sustained load, a burst, delays and memory."""
    n_stars = _STARS // 5 if effort.quick else _STARS
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with kafka(folder / "kafka") as server:
            bus = KafkaBus(KafkaSettings(server.bootstrap))
            with Site(server.bootstrap, folder / "site") as site:
                create_missing(bus, [TopicSpec("bench.alerts", _PARTITIONS, {}, None)])
                for stage in STAGES:
                    site.start(stage)
                # A broker that has just come up makes its inner topics for the first client: not our time.
                for stage in STAGES:
                    say(f"{stage} ready after {site.restart(stage).ready_seconds:.1f} s")
                watch = Watch(site, server.pid, say)
                load = StarLoad(n_stars)
                stars = publish(bus, load.before("bench.photometry"))
                watch.wait_until_drained(stars, 300.0)
                figures = _sustained(watch, bus, load, stars, effort)
                figures += _burst(watch, bus, load)
                figures += _footprint(watch)
    about = (
        "Apache Kafka, `broker-plugin run --stages ...` for each stage, the load (LSST 11.0 packets without "
        f"cut-outs) and the measuring share {os.cpu_count()} cores. {n_stars:,} stars with 180 to 199 epochs "
        f"before, {RATE:,.0f} alerts a second for {effort.minutes:g} minutes, settings as shipped, 4 "
        "partitions; each alert is a new epoch and every twentieth makes a window due. Then "
        f"{BURST:,} in {BURST_SECONDS:g} s. LSST's mean is {LSST_MEAN:g} a second, the recorded peak of ZTF "
        f"{ZTF_PEAK:,.0f}. Delays are those of the metric consume_to_publish_seconds, linear in its buckets."
    )
    return Result("end-to-end", "End to end, one broker, three stages", about, (), figures)


def _sustained(watch: Watch, bus: KafkaBus, load: StarLoad, before: int, effort: Effort) -> list[Figure]:
    count = round(RATE * 60.0 * effort.minutes)
    pacer = Pacer(bus, "bench.alerts", load, per_second=RATE, count=count)
    pacer.start()
    # The first seconds fill the pipe.
    time.sleep(min(10.0, 10.0 * effort.minutes))
    first, cpu, began = watch.sample("filled"), watch.cpu(), time.monotonic()
    while pacer.is_alive():
        pacer.join(_EVERY_SECONDS)
        last = watch.sample(f"{pacer.sent:,} sent")
    seconds = time.monotonic() - began
    spent = {name: after - cpu[name] for name, after in watch.cpu().items()}
    (start, _, scored_first), (end, due, scored) = watch.done(first), watch.done(last)
    alerts, windows = end - start, scored - scored_first
    rate = alerts / seconds
    behind = max((pacer.sent + before - end) / RATE, (due - scored) * 20.0 / RATE)
    watch.wait_until_drained(pacer.sent + before, 300.0)
    delays = _delays(first, watch.site.counts())
    return [
        Figure("sustained", rate, "alerts/s", 1000.0, "at least"),
        Figure("for", seconds / 60.0, "minutes"),
        Figure("of them due and scored", 100.0 * windows / max(alerts, 1), "%"),
        Figure("beside LSST's mean", rate / LSST_MEAN, "times"),
        # What is not kept up with is not sustained: as far behind as a burst may leave it, no further.
        Figure("behind at the end of the load", max(behind, 0.0), "s", DRAINED_SECONDS, "at most"),
        *(Figure(f"consume to publish, p{p}", delays[p], "s") for p in delays),
        *(
            Figure(f"processor, {name}", 1e6 * each / max(alerts, 1), "us/alert")
            for name, each in spent.items()
        ),
        Figure("processor, all of it", sum(spent.values()) / seconds, "cores"),
    ]


def _burst(watch: Watch, bus: KafkaBus, load: StarLoad) -> list[Figure]:
    done, _, _ = watch.done(watch.sample("before the burst"))
    began = time.monotonic()
    pacer = Pacer(bus, "bench.alerts", load, per_second=BURST / BURST_SECONDS, count=BURST)
    pacer.start()
    pacer.join()
    watch.wait_until_drained(done + BURST, 300.0)
    seconds = time.monotonic() - began
    watch.sample(f"burst through after {seconds:.1f} s")
    return [
        Figure(
            f"burst of {BURST:,} in {BURST_SECONDS:g} s, drained after",
            seconds,
            "s",
            DRAINED_SECONDS,
            "at most",
        ),
        Figure("burst: alerts a second from the first to the last", BURST / seconds, "alerts/s"),
        Figure("burst: beside ZTF's recorded peak", BURST / seconds / ZTF_PEAK, "times"),
    ]


def _footprint(watch: Watch) -> list[Figure]:
    half = len(watch.memory) // 2
    growth = max(
        max(sample[name] for sample in watch.memory[half:])
        - max(sample[name] for sample in watch.memory[half // 2 : half] or watch.memory)
        for name in STAGES
    )
    stages = watch.site.stages
    return [
        *(
            Figure(f"peak memory, {name}", peak_mb(stages[name].pid), "MB", _AIMED_MB[name], "at most")
            for name in STAGES
        ),
        Figure("growth of memory, second quarter to second half", growth, "MB", MAX_GROWTH_MB, "at most"),
        *(
            Figure(f"start-up to ready, {name}", stages[name].ready_seconds, "s", 3.0, "at most")
            for name in STAGES
        ),
    ]


def _delays(first: Counts, last: Counts) -> dict[int, float]:
    """Return percentiles of the delays between two scrapes."""
    name = "consume_to_publish_seconds_bucket"
    buckets: dict[float, float] = {}
    for (found, labels), count in last.items():
        if found == name:
            limit = float(dict(labels)["le"])
            buckets[limit] = buckets.get(limit, 0.0) + count - first.get((found, labels), 0)
    return {p: percentile(buckets, p / 100.0) for p in (50, 95, 99)}


def percentile(buckets: Mapping[float, float], share: float) -> float:
    """Return a quantile of a histogram with cumulative buckets by their upper limit, as Prometheus does.

    In the last bucket it is its lower limit; NaN of an empty histogram.
    """
    limits: Sequence[float] = sorted(buckets)
    everything = buckets[limits[-1]] if limits else 0.0
    if not everything:
        return float("nan")
    wanted, below, low = share * everything, 0.0, 0.0
    for limit in limits:
        if buckets[limit] >= wanted:
            if limit == float("inf"):
                return low
            return low + (limit - low) * (wanted - below) / max(buckets[limit] - below, 1e-12)
        below, low = buckets[limit], limit
    return low
