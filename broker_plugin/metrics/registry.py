"""The metrics of one process on a registry: what observations and the runner's hooks become."""

from __future__ import annotations

import contextlib
import logging
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)

from broker_plugin import __version__
from broker_plugin.drift import Reference
from broker_plugin.metrics.collectors import Asked, Population
from broker_plugin.metrics.drift import DriftMonitor
from broker_plugin.metrics.health import Health
from broker_plugin.metrics.table import METRICS, PREFIX, Metric
from broker_plugin.runner.protocols import Observation, Partition
from broker_plugin.runner.sensor import Outcome

_logger = logging.getLogger(__name__)

disable_created_metrics()  # type: ignore[no-untyped-call]  # without them a third of all series is saved


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the metrics show of the model that scores.

    Attributes
    ----------
    name, version, digest, runtime : str
    novel_share : float
        Share of known stars, held out from the training, that the model calls novel; 0 to 1.
    reference : mapping of str to Distribution
        How the features of the training windows are distributed; a feature that is not in it has no drift.
    """

    name: str
    version: str
    digest: str
    runtime: str
    novel_share: float
    reference: Reference


class Metrics:
    """The metrics of one process: a :class:`~broker_plugin.runner.sensor.Sensor` for all its runners.

    Parameters
    ----------
    registry : CollectorRegistry, optional
        Where they are registered; a new one if not given.
    health : Health, optional
        Told of what the probes need to know.
    strict : bool
        Raise on an observation that the table does not know. Tests do; in production a slip in a
        metric must not stop the science, so it is logged once and dropped.
    wall : callable
        Seconds since 1970.
    """

    def __init__(
        self,
        registry: CollectorRegistry | None = None,
        *,
        health: Health | None = None,
        strict: bool = False,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self.health = Health() if health is None else health
        self._strict = strict
        self._wall = wall
        self._complained: set[tuple[str, ...]] = set()
        self._drift = DriftMonitor({})
        self._disk: Path | None = None
        self._collectors = {name: self._collector(name, metric) for name, metric in METRICS.items()}
        self._begin_at_zero(self.health.stages)
        ProcessCollector(registry=self.registry)
        self._inform("build_info", version=__version__, python=platform.python_version())

    def scrape(self) -> Any:
        """Return the WSGI application that answers with all metrics."""
        return make_wsgi_app(self.registry)

    def observe(self, observations: Iterable[Observation]) -> None:
        """Apply observations that have become true.

        Raises
        ------
        ValueError
            Only if strict: unknown name, or other labels than the table says.
        """
        for observation in observations:
            metric = METRICS.get(observation.name)
            if metric is None or set(observation.labels) != set(metric.labels):
                self._complain(observation, metric)
                continue
            self._apply(metric, observation)

    def set_model(self, model: ModelFacts) -> None:
        """Say which model scores in this process; once it has proved itself."""
        self._inform(
            "model_info", name=model.name, version=model.version, digest=model.digest, runtime=model.runtime
        )
        self._tell("novelty_expected_ratio", model.novel_share)
        self._drift = DriftMonitor(model.reference)
        self.health.model_verified()

    def set_config(self, *, digest: str, prefix: str, worker: str, stages: str) -> None:
        """Say what this process was started with."""
        self._inform("config_info", digest=digest, prefix=prefix, worker=worker, stages=stages)

    def watch_disk(self, directory: Path) -> None:
        """Show the room on the disk that holds a directory, which need not exist yet."""
        self._disk = directory

    def on_turn(self, stage: str) -> None:
        """See :class:`broker_plugin.runner.sensor.Sensor`, here and below."""
        self._tell("last_turn_timestamp_seconds", self._wall(), stage=stage)
        self.health.turned(stage)

    def on_waiting(self, stage: str, reason: str) -> None:
        """Tell the probe."""
        self.health.waits(stage, reason)

    def on_batch(self, stage: str, n_records: int) -> None:
        """Observe the size of a batch."""
        self._tell("batch_records", n_records, stage=stage)

    def on_step_seconds(self, stage: str, seconds: float) -> None:
        """Observe the duration of a step."""
        self._tell("step_seconds", seconds, stage=stage)

    def on_commit(self, stage: str, outcome: Outcome, seconds: float) -> None:
        """Count a transaction and observe its duration."""
        self._tell("transactions_total", 1, stage=stage, outcome=outcome)
        self._tell("transaction_seconds", seconds, stage=stage, outcome=outcome)

    def on_observations(self, stage: str, observations: Sequence[Observation]) -> None:
        """Apply what a stage observed."""
        self.observe(observations)

    def on_dead_letters(self, stage: str, reason: str, n_records: int) -> None:
        """Count dead letters that the runner made."""
        self._tell("dead_letters_total", n_records, stage=stage, reason=reason)

    def on_lag(self, stage: str, topic: str, partition: int, lag: int) -> None:
        """Set the lag of a partition."""
        self._tell("consumer_lag", lag, stage=stage, topic=topic, partition=str(partition))

    def on_assigned(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Count partitions that came."""
        self._tell("rebalances_total", 1, stage=stage, kind="assigned")
        self._tell("partitions_owned", len(partitions), stage=stage)
        self.health.assigned(stage, partitions)

    def on_opened(self, stage: str, partition: Partition) -> None:
        """Tell the probe."""
        self.health.opened(stage, partition)

    def on_revoked(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Forget partitions that went: somebody else reports on them from now on."""
        self._tell("rebalances_total", 1, stage=stage, kind="revoked")
        self._tell("partitions_owned", -len(partitions), stage=stage)
        for partition in partitions:
            number = str(partition.partition)
            self._forget("consumer_lag", stage, partition.topic, number)
            for name in ("restore_ratio", "state_bytes", "changelog_records"):
                self._forget(name, stage, number)
        self.health.revoked(stage, partitions)

    def on_restore_progress(self, stage: str, partition: int, done: int, total: int) -> None:
        """Show how far a changelog partition is restored."""
        self._tell("restore_ratio", done / total if total else 1.0, stage=stage, partition=str(partition))
        self.health.restored(stage, partition, done, total)

    def on_damage(self, stage: str, partition: Partition) -> None:
        """Count a damaged cache; its partition opens anew."""
        self._tell("state_damages_total", 1, stage=stage)
        self.health.reopening(stage, partition)

    def on_changelog(self, stage: str, partition: int, end: int, n_bytes: int) -> None:
        """Show the length of a changelog partition, and count what was written."""
        self._tell("changelog_records", end, stage=stage, partition=str(partition))
        self._tell("changelog_written_bytes_total", n_bytes, stage=stage)

    def on_state_bytes(self, stage: str, partition: int, n_bytes: int) -> None:
        """Show the size of a partition's local state."""
        self._tell("state_bytes", n_bytes, stage=stage, partition=str(partition))

    def on_rejoin(self, stage: str, reason: str) -> None:
        """Count a replacement of producer and consumer."""
        self._tell("rejoins_total", 1, stage=stage, reason=reason)
        self.health.left(stage)

    def _begin_at_zero(self, stages: Iterable[str]) -> None:
        """Show the counters of rare events before the first: increase() does not see a series appear."""
        for stage in stages:
            for reason in ("unexpected_error", "output_too_large"):
                self._tell("dead_letters_total", 0, stage=stage, reason=reason)
            for outcome in get_args(Outcome):
                self._tell("transactions_total", 0, stage=stage, outcome=outcome)
            self._tell("state_damages_total", 0, stage=stage)

    def _tell(self, name: str, value: float, **labels: str) -> None:
        self.observe([Observation(name, value, labels)])

    def _inform(self, name: str, /, **labels: str) -> None:
        self._collectors[name].clear()
        self._collectors[name].labels(**labels).set(1)

    def _forget(self, name: str, *labels: str) -> None:
        with contextlib.suppress(KeyError):  # nothing was reported yet
            self._collectors[name].remove(*labels)

    def _complain(self, observation: Observation, metric: Metric | None) -> None:
        expected = (
            f"labels {metric.labels}" if metric is not None else "a name from broker_plugin.metrics.METRICS"
        )
        msg = f"observation {observation.name} with labels {tuple(observation.labels)}: expected {expected}"
        if self._strict:
            raise ValueError(msg)
        identity = (observation.name, *sorted(observation.labels))
        if identity not in self._complained:
            self._complained.add(identity)
            _logger.error("%s; it is dropped, now and from here on", msg)

    def _collector(self, name: str, metric: Metric) -> Any:
        full_name = PREFIX + name
        if metric.kind == "counter":
            return Counter(full_name, metric.help, metric.labels, registry=self.registry)
        if metric.kind in ("histogram", "age"):
            return Histogram(
                full_name, metric.help, metric.labels, buckets=metric.buckets, registry=self.registry
            )
        if metric.kind == "population":
            population = Population(full_name, metric.help, metric.buckets)
            self.registry.register(population)
            return population
        if metric.kind in ("asked", "drift"):
            asked = Asked(full_name, metric.help, metric.labels, getattr(self, f"_ask_{name}"))
            self.registry.register(asked)
            return asked
        return Gauge(full_name, metric.help, metric.labels, registry=self.registry)

    def _apply(self, metric: Metric, observation: Observation) -> None:
        value, labels = observation.value, observation.labels
        if metric.kind == "drift":
            self._drift.add(labels["feature"], value)
            return
        collector = self._collectors[observation.name]
        if metric.kind == "population":
            collector.move(float(labels["le"]), value)
            return
        child = collector.labels(**labels) if metric.labels else collector
        if metric.kind == "histogram":
            child.observe(value)
        elif metric.kind == "age":
            child.observe(max(0.0, self._wall() - value))  # two machines' clocks differ a little
        elif metric.kind == "set":
            child.set(value)
        else:
            child.inc(value)

    def _ask_drift_psi(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((feature,), index) for feature, index in self._drift.indices()]

    def _ask_drift_windows(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), self._drift.n_windows)]

    def _ask_state_disk_free_bytes(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), usage[0]) for usage in self._disk_usage()]

    def _ask_state_disk_size_bytes(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), usage[1]) for usage in self._disk_usage()]

    def _ask_ready(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), 1.0 if self.health.unready() is None else 0.0)]

    def _disk_usage(self) -> Iterable[tuple[float, float]]:
        """Yield free and total bytes of the watched disk, if there is one to watch."""
        if self._disk is None:
            return
        existing = next(path for path in (self._disk, *self._disk.absolute().parents) if path.exists())
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(existing)
            yield usage.free, usage.total
