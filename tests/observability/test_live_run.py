"""A run on real Kafka, with faults on the way: everything that a panel or a rule names exists and moves."""

from __future__ import annotations

import functools
import io
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import confluent_kafka
import fastavro
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from broker_plugin.app.delivery import (
    build_deliver_stages,
    build_forwarders,
    delivery_names,
    delivery_topics,
)
from broker_plugin.app.endpoints import start_http
from broker_plugin.app.live import Host, build_runners, kafka_bus
from broker_plugin.app.model_facts import model_facts
from broker_plugin.app.stages import STAGE_NAMES, build_stages
from broker_plugin.archive.packets import iter_packets
from broker_plugin.catalogue.build import build_catalogue
from broker_plugin.config import Config, load_config
from broker_plugin.errors import AbortableTransactionError, FatalBusError
from broker_plugin.metrics import Health, Metrics
from broker_plugin.metrics import registry as metrics_registry
from broker_plugin.metrics.drift import DriftMonitor
from broker_plugin.records.codec import encode_classification, encode_window
from broker_plugin.records.epoch import make_epochs
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.kafka.producer import KafkaProducer
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.rocks import RocksStore
from broker_plugin.runner.store import LocalStateError
from broker_plugin.runner.topics import create_missing, plan_topics
from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import demo_settings
from broker_plugin.stages.score import ScoreStage
from tests.integration.pipeline import publish
from tests.observability.shipped import named_metrics, queries
from tests.records.examples import ANNOTATION, WINDOW

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(1200)]

PATIENCE_SECONDS = 240
# Facts of the process, not of the run: they exist from its first moment on and stay.
CONSTANT = {"up", "broker_plugin_build_info"}

Snapshot = dict[str, frozenset[tuple[tuple[tuple[str, str], ...], float]]]


def test_everything_that_is_named_moves(kafka_bootstrap, prefix, tmp_path, monkeypatch) -> None:
    """Nightly topics, damaged packets, an aborted and a fatal transaction, a damaged cache, expired records.

    If a Prometheus is on the path, it watches, and every query of the dashboard must have found something.
    """
    monkeypatch.setattr(metrics_registry, "DriftMonitor", functools.partial(DriftMonitor, least=5))
    config = site(kafka_bootstrap, prefix, tmp_path)
    bus = kafka_bus(config)
    tonight = config.source.topics_at(time.time())[-1]
    mirror = TopicSpec(f"{prefix}.mirror", 1)
    create_missing(bus, [TopicSpec(tonight, 2), mirror, *plan_topics(prefix, 2), *delivery_topics(config)])
    leave_expired_records(config, bus, tonight)
    settings = replace(demo_settings(seed=3), n_objects=10, bands=("r",), damaged_fraction=0.02)
    simulate(settings, tmp_path / "nights", None)
    packets = [packet.payload for packet in iter_packets([tmp_path / "nights"])]
    again = [*packets[: len(packets) // 20], *packets[-len(packets) // 20 :]]  # too old, and known already

    health = Health([*STAGE_NAMES, *delivery_names(config)], 300.0, needs_model=True)
    metrics = Metrics(CollectorRegistry(), health=health, strict=True)
    seen: dict[str, set[Any]] = defaultdict(set)
    look = functools.partial(remember, metrics, seen)
    server = start_http(config.metrics, metrics)
    assert server is not None
    with watching(server.port, tmp_path) as prometheus:
        began = time.time()
        assert health.unready() == "score: the model bundle is not verified yet"
        look()
        metrics.set_config(digest="d", prefix=prefix, worker="w", stages=",".join(STAGE_NAMES))
        metrics.watch_disk(config.accumulate.state_directory)
        stages = [*build_stages(config), *build_deliver_stages(config)]
        for stage in stages:
            if isinstance(stage, ScoreStage):
                metrics.set_model(model_facts(stage.bundle, "onnx"))
        look()
        watch(prometheus, look)  # it is there before anything moves
        runners = build_runners(config, STAGE_NAMES, metrics, bus=bus, source=None, stages=stages)
        host = Host([*runners, *build_forwarders(config, bus, metrics)], on_end=health.ended)
        running = threading.Thread(target=host.run)
        running.start()
        try:
            until(lambda: health.unready() is None, "readiness", look)
            first, later = without_two_stars(packets)
            publish(bus, tonight, first)
            until(lambda: total(metrics, "annotations_total") > 0, "the first annotation", look)
            watch(prometheus, look)  # a rate needs a scrape before and one after
            faults(monkeypatch)
            publish(bus, tonight, later)
            publish_odd_windows(bus, prefix)
            publish(bus, tonight, [asteroid(again[-1]), *again])
            until(lambda: idle(metrics, len(packets) + len(again) + 1), "the end of the backlog", look)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while unmoved(seen) and time.monotonic() < deadline:  # sizes and lags are told now and then
                time.sleep(0.3)
                look()
            watch(prometheus, look)  # the last values are scraped
            look()
        finally:
            host.stop()
            running.join(PATIENCE_SECONDS)
            server.close()
        assert not running.is_alive()
        look()
        assert total(metrics, "partitions_owned") == 0
        assert unmoved(seen) == set()
        if prometheus is not None:
            empty = [title for title, query in queries() if not found(prometheus, query, began)]
            assert empty == []


def site(bootstrap: str, prefix: str, folder: Path) -> Config:
    """Return the configuration: one output goes to a mirror, one to where nobody answers."""
    path = folder / "site.toml"
    (folder / "stars.csv").write_text(f"ra,dec,star_id\n{WINDOW.ra},{WINDOW.dec},V1\n")
    build_catalogue(folder / "stars.csv", folder / "stars.arrow")
    path.write_text(
        "[outputs.mirror]\nformat = 'json'\n"
        f"target = {{ bootstrap = '{bootstrap}', topic = '{prefix}.mirror' }}\n"
        "[outputs.nowhere]\nformat = 'json'\ntarget = { bootstrap = '127.0.0.1:9' }\n"
    )
    return load_config(
        path,
        {
            "BROKER_PLUGIN_PREFIX": prefix,
            "BROKER_PLUGIN_KAFKA__BOOTSTRAP": bootstrap,
            "BROKER_PLUGIN_SOURCE__NIGHTLY_TOPICS": f"{prefix}_%Y%m%d_programid1",
            "BROKER_PLUGIN_ACCUMULATE__STATE_DIRECTORY": str(folder / "state"),
            "BROKER_PLUGIN_ACCUMULATE__MAX_EPOCHS": "200",
            "BROKER_PLUGIN_RUNNER__BATCH_SECONDS": "0.2",
            "BROKER_PLUGIN_RUNNER__BATCH_RECORDS": "200",
            "BROKER_PLUGIN_TOPICS__PARTITIONS": "2",
            "BROKER_PLUGIN_CATALOGUE__FILE": str(folder / "stars.arrow"),
            "BROKER_PLUGIN_METRICS__PORT": "0",
        },
    )


def without_two_stars(packets: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Return the packets but for two stars, and theirs: something is left to be said for the first time."""
    stars = [re.search(rb"ZTF[0-9]{2}[a-z]{7}", packet) for packet in packets]
    names = [star[0] if star else b"" for star in stars]
    most = {name for name, _ in Counter(name for name in names if name).most_common(2)}
    first = [packet for packet, name in zip(packets, names, strict=True) if name not in most]
    return first, [packet for packet, name in zip(packets, names, strict=True) if name in most]


def leave_expired_records(config: Config, bus: Any, topic: str) -> None:
    """Make it look as if ingest was off for longer than the alerts are kept."""
    producer = bus.producer()
    for _ in range(200):
        producer.send(Output(topic, None, b"old", partition=0))
    producer.flush()
    producer.close()
    bus.delete_records(Partition(topic, 0), 200)
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": config.kafka.bootstrap, "group.id": f"{config.prefix}.ingest"}
    )
    consumer.commit(offsets=[confluent_kafka.TopicPartition(topic, 0, 0)], asynchronous=False)
    consumer.close()


def faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """One aborted transaction, one fatal error, one damaged read, whichever stage meets them."""
    once(
        monkeypatch,
        KafkaProducer,
        "commit",
        [AbortableTransactionError("injected"), None, None, FatalBusError("injected")],
    )
    once(
        monkeypatch,
        RocksStore,
        "get",
        [LocalStateError(0, "injected")],
        where=lambda store: store._partition == 0,
    )


def once(
    monkeypatch: pytest.MonkeyPatch,
    kind: type,
    name: str,
    errors: list[Exception | None],
    where: Callable[[Any], bool] = lambda _self: True,
) -> None:
    """Let the next calls of a method fail as listed, and all after them succeed."""
    method, left, lock = getattr(kind, name), list(errors), threading.Lock()

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        with lock:
            error = left.pop(0) if left and where(self) else None
        if error is not None:
            raise error
        return method(self, *arguments, **named)

    monkeypatch.setattr(kind, name, call)


def asteroid(packet: bytes) -> bytes:
    """Return the same alert with a known solar-system object beside it."""
    reader = fastavro.reader(io.BytesIO(packet))
    (record,) = reader
    record["candidate"]["ssdistnr"] = 0.5
    changed = io.BytesIO()
    fastavro.writer(changed, reader.writer_schema, [record])
    return changed.getvalue()


def publish_odd_windows(bus: Any, prefix: str) -> None:
    """Publish a star that does not vary at all, one that fades once, far, and withdrawals."""
    flat = WINDOW.epochs.copy()
    flat["mag"] = np.float32(15.0)
    rng = np.random.default_rng(5)
    times = np.sort(58000 + rng.uniform(0, 900, 200))
    mag = 15 + rng.normal(0, 0.01, 200)
    mag[100:150] += np.linspace(0, 4, 50)
    fading = make_epochs(times, mag, np.full(200, 0.02), origin=2, version=7)
    windows = [replace(WINDOW, epochs=epochs) for epochs in (flat, fading)]
    windows.append(replace(WINDOW, epochs=fading[:50], kind="withdrawal", withdrawn_mjd=tuple(times[50:])))
    publish(bus, f"{prefix}.lightcurves", map(encode_window, windows))
    publish(bus, f"{prefix}.classifications", [encode_classification(replace(ANNOTATION, withdrawn=True), 0)])


def remember(metrics: Metrics, seen: dict[str, set[Any]]) -> None:
    """Note every metric's samples at this moment, by the name that a query would use."""
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        samples = [(s.name, tuple(sorted(s.labels.items())), s.value) for s in family.samples]
        seen[name].add(tuple(samples))


def unmoved(seen: dict[str, set[Any]]) -> set[str]:
    """Return what the dashboard and the rules name and nobody has seen to move yet."""
    moved = {name for name, values in seen.items() if len(values) > 1}
    return named_metrics() - moved - CONSTANT


def until(condition: Callable[[], bool], what: str, look: Callable[[], None]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what} does not happen"
        look()
        time.sleep(0.3)


def total(metrics: Metrics, name: str) -> float:
    families = metrics.registry.collect()
    return sum(s.value for f in families for s in f.samples if s.name == f"broker_plugin_{name}")


def idle(metrics: Metrics, packets: int) -> bool:
    """Return whether all was read, the faults have happened, and what fell due was scored or skipped."""
    due = total(metrics, "windows_emitted_total")
    done = total(metrics, "annotations_total") + total(metrics, "windows_skipped_total")
    return (
        total(metrics, "packets_consumed_total") >= packets
        and total(metrics, "photometry_consumed_total") >= total(metrics, "alerts_published_total")
        and total(metrics, "consumer_lag") == 0
        and total(metrics, "rejoins_total") > 0
        and total(metrics, "state_damages_total") > 0
        and total(metrics, "forwarded_total") > 0
        and total(metrics, "forward_failures_total") > 0
        and done >= due > 0
        and metrics.health.unready() is None
    )


@contextmanager
def watching(port: int, folder: Path) -> Iterator[str | None]:
    """Run a Prometheus that scrapes each second, if there is one; yield its address."""
    binary = shutil.which("prometheus")
    if binary is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = free.getsockname()[1]
    settings = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {"job_name": "broker-plugin", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML
    process = subprocess.Popen(
        [
            binary,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{own}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{own}"
    finally:
        process.kill()
        process.wait()


def watch(prometheus: str | None, look: Callable[[], None]) -> None:
    """Wait until a Prometheus has seen what there is at this moment, with more than one scrape."""
    if prometheus is not None:
        then = time.time() + 2.0
        until(lambda: last_scrape(prometheus) > then, "a scrape by Prometheus", look)


def last_scrape(prometheus: str) -> float:
    """Return when Prometheus has scraped last; 0 before it has."""
    address = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': 'timestamp(up)'})}"
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            series = json.loads(answer.read())["data"]["result"]
    except OSError:  # it starts
        return 0.0
    return max((float(one["value"][1]) for one in series), default=0.0)


def found(prometheus: str, promql: str, began: float) -> bool:
    """Return whether a query of the dashboard had a number at any moment of the run."""
    query = promql.replace("$instance", ".*").replace("$__rate_interval", "10s")
    parameters = {"query": query, "start": began, "end": time.time(), "step": "1s"}
    address = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        series = json.loads(answer.read())["data"]["result"]
    return any(value != "NaN" for one in series for _, value in one["values"])
