"""What becomes of the observations, and what a scrape shows."""

from __future__ import annotations

import logging
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from broker_plugin.errors import ConfigurationError
from broker_plugin.metrics import METRICS, PREFIX, Metrics, MetricsServer
from broker_plugin.runner.protocols import Observation, Partition
from broker_plugin.runner.sensor import Sensor


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"{PREFIX}{name}", labels)


@pytest.mark.parametrize("name", METRICS)
def test_each_metric_can_be_observed_and_scraped(name: str) -> None:
    """The table's kind, labels and buckets make a working metric."""
    metrics, spec = Metrics(strict=True), METRICS[name]
    labels = {label: "x" for label in spec.labels}
    metrics.observe([Observation(name, 2.0, labels), Observation(name, 3.0, labels)])
    expected = {"counter": 5.0, "moved": 5.0, "set": 3.0, "histogram": 2.0}[spec.kind]
    assert value(metrics, name + ("_count" if spec.kind == "histogram" else ""), **labels) == expected


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_conventions(name: str) -> None:
    """Counters end in _total and nothing else does; buckets rise; no object id can be a label."""
    assert (METRICS[name].kind == "counter") == name.endswith("_total")
    assert list(METRICS[name].buckets) == sorted(METRICS[name].buckets)
    assert not {"object_id", "alert_id", "window_id"} & set(METRICS[name].labels)


def test_objects_move_between_waiting_and_ready() -> None:
    """The gauge follows what opens, grows and closes."""
    metrics = Metrics(strict=True)
    moves = [(5, "waiting"), (1, "ready"), (-1, "waiting"), (1, "ready"), (-2, "ready"), (-4, "waiting")]
    metrics.observe([Observation("objects", n, {"state": state}) for n, state in moves])
    assert value(metrics, "objects", state="waiting") == 0
    assert value(metrics, "objects", state="ready") == 0


@pytest.mark.parametrize(
    "observation",
    [Observation("no_such_total"), Observation("energy", 1.0, {"class": "M"}), Observation("objects", 1.0)],
)
def test_slip_in_a_metric_stops_tests_but_not_production(
    observation: Observation, caplog: pytest.LogCaptureFixture
) -> None:
    """Strict raises; otherwise it is logged once and the observations after it still count."""
    with pytest.raises(ValueError, match="expected"):
        Metrics(strict=True).observe([observation])
    metrics = Metrics()
    with caplog.at_level(logging.ERROR):
        metrics.observe([observation, observation, Observation("novelties_total")])
    assert len(caplog.records) == 1
    assert value(metrics, "novelties_total") == 1


def test_runner_hooks() -> None:
    """Every hook of the sensor shows in the metrics."""
    metrics = Metrics(strict=True)
    sensor: Sensor = metrics
    photometry = [Partition("variables.photometry", n) for n in range(3)]
    sensor.on_assigned("accumulate", photometry)
    sensor.on_batch("accumulate", 40)
    sensor.on_step_seconds("accumulate", 0.2)
    sensor.on_commit("accumulate", "committed", 0.1)
    sensor.on_commit("accumulate", "aborted", 0.1)
    sensor.on_observations("accumulate", [Observation("novelties_total", 2)])
    sensor.on_dead_letters("accumulate", "too_large", 3)
    sensor.on_lag("accumulate", "variables.photometry", 1, 17)
    sensor.on_rejoin("accumulate", "FencedError")
    assert value(metrics, "partitions_owned", stage="accumulate") == 3
    assert value(metrics, "batch_records_sum", stage="accumulate") == 40
    assert value(metrics, "step_seconds_count", stage="accumulate") == 1
    assert value(metrics, "transactions_total", stage="accumulate", outcome="committed") == 1
    assert value(metrics, "transactions_total", stage="accumulate", outcome="aborted") == 1
    assert value(metrics, "dead_letters_total", stage="accumulate", reason="too_large") == 3
    assert (
        value(metrics, "consumer_lag", stage="accumulate", topic="variables.photometry", partition="1") == 17
    )
    assert value(metrics, "rejoins_total", stage="accumulate", reason="FencedError") == 1
    sensor.on_revoked("accumulate", photometry)
    assert value(metrics, "partitions_owned", stage="accumulate") == 0
    assert (
        value(metrics, "consumer_lag", stage="accumulate", topic="variables.photometry", partition="1")
        is None
    )


def test_not_ready_while_state_is_restored() -> None:
    """Two partitions are restored, one of them leaves before it is done."""
    metrics = Metrics(strict=True)
    assert metrics.unready() is None
    metrics.on_restore_progress("accumulate", 0, 50, 200)
    metrics.on_restore_progress("accumulate", 3, 0, 10)
    assert metrics.unready() == "accumulate: changelog partition 0 is restored to 50 of 200"
    assert value(metrics, "restore_ratio", stage="accumulate", partition="0") == 0.25
    metrics.on_restore_progress("accumulate", 0, 200, 200)
    assert "partition 3" in str(metrics.unready())
    metrics.on_revoked("accumulate", [Partition("variables.photometry", 3)])
    assert metrics.unready() is None


def test_empty_changelog_is_restored_at_once() -> None:
    """Nothing of nothing is everything."""
    metrics = Metrics(strict=True)
    metrics.on_restore_progress("accumulate", 0, 0, 0)
    assert value(metrics, "restore_ratio", stage="accumulate", partition="0") == 1.0
    assert metrics.unready() is None


def get(server: MetricsServer, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_server() -> None:
    """A scrape, both probes in good and bad times, and a path that is not there."""
    metrics = Metrics(strict=True)
    metrics.set_model(name="joint", version="1", digest="ab", runtime="onnx")
    troubles: list[str] = []
    server = MetricsServer(
        metrics, "127.0.0.1", 0, live=lambda: troubles[0] if troubles else None, ready=metrics.unready
    )
    try:
        metrics.observe([Observation("annotations_total", 1, {"class": "ECL"})])
        status, page = get(server, "/metrics")
        assert status == 200
        assert 'broker_plugin_annotations_total{class="ECL"} 1.0' in page
        assert 'name="joint"' in page
        assert "broker_plugin_build_info{" in page
        assert get(server, "/livez") == get(server, "/readyz") == (200, "ok\n")
        troubles.append("score: the thread has ended")
        metrics.on_restore_progress("accumulate", 0, 1, 2)
        assert get(server, "/livez") == (503, "score: the thread has ended\n")
        assert get(server, "/readyz")[0] == 503
        assert get(server, "/other")[0] == 404
    finally:
        server.close()


def test_port_in_use() -> None:
    """The address and the cure are named."""
    server = MetricsServer(Metrics(), "127.0.0.1", 0)
    try:
        with pytest.raises(ConfigurationError, match=rf"127\.0\.0\.1:{server.port}.*metrics\.port"):
            MetricsServer(Metrics(), "127.0.0.1", server.port)
    finally:
        server.close()
