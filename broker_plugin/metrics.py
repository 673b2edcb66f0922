"""Every metric of the plugin, and the HTTP server that shows them; the only user of prometheus_client.

Stages say what they measured as :class:`~broker_plugin.runner.protocols.Observation` values, the runner
hands them over after the commit, and the table below says what each one becomes. Labels have a small
fixed set of values: object ids never become labels.
"""

from __future__ import annotations

import contextlib
import logging
import platform
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    make_wsgi_app,
)

from broker_plugin import __version__
from broker_plugin.errors import ConfigurationError
from broker_plugin.runner.protocols import Observation, Partition
from broker_plugin.runner.sensor import Outcome

PREFIX = "broker_plugin_"

_logger = logging.getLogger(__name__)

disable_created_metrics()  # type: ignore[no-untyped-call]  # without them a third of all series is saved

# From a laptop's batch of one to a stalled cluster; seconds.
_DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
# Energies of known stars lie within a few units of zero, novel ones far above; a drift moves the body.
_ENERGIES = (
    -40.0,
    -30.0,
    -20.0,
    -15.0,
    -10.0,
    -5.0,
    -2.0,
    0.0,
    2.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
    1000.0,
    1e4,
)


@dataclass(frozen=True, slots=True)
class _Metric:
    """What an observation's name becomes. A gauge either moves by the value or is set to it."""

    kind: Literal["counter", "moved", "set", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


METRICS: Mapping[str, _Metric] = {
    # ingest
    "packets_consumed_total": _Metric("counter", "Messages of the survey read; one may hold several alerts."),
    "alerts_consumed_total": _Metric("counter", "Alert packets read and decoded.", ("survey",)),
    "alerts_published_total": _Metric("counter", "Alerts whose photometry was published.", ("survey",)),
    "alerts_rejected_total": _Metric("counter", "Alerts without use, no fault of theirs.", ("reason",)),
    "epochs_ingested_total": _Metric("counter", "Epochs taken from alerts.", ("survey", "origin")),
    "epochs_rejected_total": _Metric("counter", "Epochs that failed a quality cut.", ("reason",)),
    "dead_letters_total": _Metric("counter", "Records put aside as unusable.", ("stage", "reason")),
    # accumulate
    "photometry_consumed_total": _Metric("counter", "Records of photometry read."),
    "epochs_added_total": _Metric("counter", "Epochs new to a light curve.", ("survey", "band", "origin")),
    "epochs_duplicate_total": _Metric("counter", "Epochs that were held already.", ("survey",)),
    "epochs_expired_total": _Metric("counter", "Oldest epochs dropped to bound the state.", ("survey",)),
    "objects": _Metric("moved", "Light curves held: waiting for 200 epochs, or ready.", ("state",)),
    "windows_emitted_total": _Metric("counter", "Windows sent to scoring.", ("survey", "band", "kind")),
    # score
    "windows_consumed_total": _Metric("counter", "Windows read."),
    "windows_skipped_total": _Metric("counter", "Windows that cannot be scored.", ("reason",)),
    "annotations_total": _Metric("counter", "Windows scored, by class.", ("class",)),
    "novelties_total": _Metric("counter", "Annotations above the novelty threshold."),
    "energy": _Metric("histogram", "Sample energy; high is novel.", (), _ENERGIES),
    "periods_total": _Metric("counter", "Periods by how they were found.", ("outcome",)),
    # the runner, of every stage
    "batch_records": _Metric("histogram", "Records in a batch.", ("stage",), _SIZES),
    "step_seconds": _Metric("histogram", "A stage's work on a batch.", ("stage",), _DURATIONS),
    "transaction_seconds": _Metric("histogram", "From begin to end.", ("stage", "outcome"), _DURATIONS),
    "transactions_total": _Metric("counter", "Transactions by their end.", ("stage", "outcome")),
    "consumer_lag": _Metric("set", "Records not yet committed.", ("stage", "topic", "partition")),
    "partitions_owned": _Metric("moved", "Partitions of this worker.", ("stage",)),
    "rebalances_total": _Metric("counter", "Partitions came or went.", ("stage", "kind")),
    "rejoins_total": _Metric("counter", "Clients replaced after an error.", ("stage", "reason")),
    "restore_ratio": _Metric("set", "Restored share of the changelog, 0 to 1.", ("stage", "partition")),
}


class Metrics:
    """The metrics of one process: a :class:`~broker_plugin.runner.sensor.Sensor` for all its runners.

    Parameters
    ----------
    registry : CollectorRegistry, optional
        Where they are registered; a new one if not given.
    strict : bool
        Raise on an observation that the table does not know. Tests do; in production a slip in a
        metric must not stop the science, so it is logged once and dropped.
    """

    def __init__(self, registry: CollectorRegistry | None = None, *, strict: bool = False) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        self._strict = strict
        self._complained: set[tuple[str, ...]] = set()
        self._collectors = {name: _collector(name, spec, self.registry) for name, spec in METRICS.items()}
        self._restoring: dict[tuple[str, int], tuple[int, int]] = {}
        build = Info(f"{PREFIX}build", "Version of the plugin.", registry=self.registry)
        build.info({"version": __version__, "python": platform.python_version()})

    def observe(self, observations: Iterable[Observation]) -> None:
        """Apply observations that have become true.

        Raises
        ------
        ValueError
            Only if strict: unknown name, or other labels than the table says.
        """
        for observation in observations:
            spec = METRICS.get(observation.name)
            if spec is None or set(observation.labels) != set(spec.labels):
                self._complain(observation, spec)
                continue
            _apply(self._collectors[observation.name], spec, observation)

    def set_model(self, *, name: str, version: str, digest: str, runtime: str) -> None:
        """Say which model scores in this process; once, by a process that scores."""
        model = Info(f"{PREFIX}model", "The model that scores.", registry=self.registry)
        model.info({"name": name, "version": version, "digest": digest, "runtime": runtime})

    def unready(self) -> str | None:
        """Return what is still being restored, None when nothing is; for ``/readyz``."""
        for (stage, partition), (done, total) in sorted(self._restoring.copy().items()):
            return f"{stage}: changelog partition {partition} is restored to {done} of {total}"
        return None

    def on_batch(self, stage: str, n_records: int) -> None:
        """See :class:`broker_plugin.runner.sensor.Sensor`, here and below."""
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

    def on_revoked(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Forget partitions that went: somebody else reports their lag from now on."""
        self._tell("rebalances_total", 1, stage=stage, kind="revoked")
        self._tell("partitions_owned", -len(partitions), stage=stage)
        for partition in partitions:
            number = str(partition.partition)
            with contextlib.suppress(KeyError):  # nothing was reported yet
                self._collectors["consumer_lag"].remove(stage, partition.topic, number)
            with contextlib.suppress(KeyError):
                self._collectors["restore_ratio"].remove(stage, number)
            self._restoring.pop((stage, partition.partition), None)

    def on_restore_progress(self, stage: str, partition: int, done: int, total: int) -> None:
        """Show how far a changelog partition is restored."""
        self._tell("restore_ratio", done / total if total else 1.0, stage=stage, partition=str(partition))
        if done < total:
            self._restoring[stage, partition] = (done, total)
        else:
            self._restoring.pop((stage, partition), None)

    def on_rejoin(self, stage: str, reason: str) -> None:
        """Count a replacement of producer and consumer."""
        self._tell("rejoins_total", 1, stage=stage, reason=reason)

    def _tell(self, name: str, value: float, **labels: str) -> None:
        self.observe([Observation(name, value, labels)])

    def _complain(self, observation: Observation, spec: _Metric | None) -> None:
        expected = (
            f"labels {spec.labels}" if spec is not None else "a name from broker_plugin.metrics.METRICS"
        )
        msg = f"observation {observation.name} with labels {tuple(observation.labels)}: expected {expected}"
        if self._strict:
            raise ValueError(msg)
        identity = (observation.name, *sorted(observation.labels))
        if identity not in self._complained:
            self._complained.add(identity)
            _logger.error("%s; it is dropped, now and from here on", msg)


def _collector(name: str, spec: _Metric, registry: CollectorRegistry) -> Any:
    full_name = PREFIX + name
    if spec.kind == "counter":
        return Counter(full_name, spec.help, spec.labels, registry=registry)
    if spec.kind == "histogram":
        return Histogram(full_name, spec.help, spec.labels, buckets=spec.buckets, registry=registry)
    return Gauge(full_name, spec.help, spec.labels, registry=registry)


def _apply(collector: Any, spec: _Metric, observation: Observation) -> None:
    child = collector.labels(**observation.labels) if spec.labels else collector
    if spec.kind == "histogram":
        child.observe(observation.value)
    elif spec.kind == "set":
        child.set(observation.value)
    else:
        child.inc(observation.value)


Health = Callable[[], str | None]
"""Returns None when all is well, else what is wrong, in one line."""


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a hanging scrape must not hold up the shutdown


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Keep scrapes out of the log."""


class MetricsServer:
    """Serves ``/metrics`` (Prometheus), ``/livez`` and ``/readyz`` (200, or 503 and the reason).

    Parameters
    ----------
    metrics : Metrics
    address, port
        Where to listen; port 0 lets the system choose, see :attr:`port`.
    live, ready : callable
        Asked on each request, from the server's threads.

    Raises
    ------
    ConfigurationError
        If the address cannot be bound.
    """

    def __init__(
        self,
        metrics: Metrics,
        address: str,
        port: int,
        *,
        live: Health | None = None,
        ready: Health | None = None,
    ) -> None:
        self._checks = {"/livez": live, "/readyz": ready}
        self._scrape = make_wsgi_app(metrics.registry)
        try:
            self._server = make_server(
                address, port, self._answer, server_class=_ThreadingServer, handler_class=_SilentHandler
            )
        except OSError as error:
            msg = (
                f"the metrics server cannot listen on {address}:{port} ({error.strerror}); "
                "set metrics.port to a free one, or metrics.enabled = false"
            )
            raise ConfigurationError(msg) from error
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            page: Iterable[bytes] = self._scrape(environ, start_response)
            return page
        if path not in self._checks:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics, /livez, /readyz\n"]
        check = self._checks[path]
        problem = check() if check is not None else None
        start_response(
            "200 OK" if problem is None else "503 Service Unavailable", [("Content-Type", "text/plain")]
        )
        return [f"{problem or 'ok'}\n".encode()]
