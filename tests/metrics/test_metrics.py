"""What becomes of the observations and of the runner's hooks."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path

import pytest

from broker_plugin.metrics import METRICS, PREFIX, Metrics, ModelFacts
from broker_plugin.runner.protocols import Observation, Partition
from broker_plugin.runner.sensor import Sensor


def value(metrics: Metrics, name: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"{PREFIX}{name}", labels)


OBSERVED = [name for name, metric in METRICS.items() if metric.kind not in ("asked", "info", "drift")]


@pytest.mark.parametrize("name", OBSERVED)
def test_each_metric_can_be_observed_and_scraped(name: str) -> None:
    """The table's kind, labels and buckets make a working metric."""
    metrics, metric = Metrics(strict=True, wall=lambda: 10.0), METRICS[name]
    labels = {label: "0.5" if label == "le" else "x" for label in metric.labels}
    metrics.observe([Observation(name, 2.0, labels), Observation(name, 3.0, labels)])
    expected = {"counter": 5.0, "moved": 5.0, "set": 3.0, "histogram": 2.0, "age": 2.0, "population": 5.0}
    suffix = {"histogram": "_count", "age": "_count", "population": "_bucket"}.get(metric.kind, "")
    assert value(metrics, name + suffix, **labels) == expected[metric.kind]


def test_every_metric_of_the_table_is_on_the_page() -> None:
    """Also those that nobody has observed: a dashboard must not guess whether a name exists."""
    metrics = Metrics()
    names = {name for family in metrics.registry.collect() for name in (family.name, f"{family.name}_total")}
    assert {PREFIX + name for name in METRICS} <= names
    assert not {n for n in names if n.startswith(PREFIX)} - {
        PREFIX + name.removesuffix("_total") + suffix for name in METRICS for suffix in ("", "_total")
    }


def test_age_is_the_time_since_a_moment() -> None:
    """What was exposed 90 s ago, and what a faster clock says happens in a second."""
    metrics = Metrics(strict=True, wall=lambda: 1_000_090.0)
    moments = [Observation("exposure_to_publish_seconds", t, {"survey": "ztf"}) for t in (1e6, 1_000_091.0)]
    metrics.observe(moments)
    assert value(metrics, "exposure_to_publish_seconds_sum", survey="ztf") == 90.0
    assert value(metrics, "exposure_to_publish_seconds_bucket", survey="ztf", le="60.0") == 1
    assert value(metrics, "exposure_to_publish_seconds_bucket", survey="ztf", le="120.0") == 2


def test_population_moves_from_bucket_to_bucket() -> None:
    """Counts are cumulative, as histogram_quantile wants them, and fall when light curves leave."""
    metrics = Metrics(strict=True)
    moves = [("0.05", 3), ("0.05", -1), ("0.995", 1), ("0.05", -1), ("inf", 1)]
    metrics.observe([Observation("object_progress_ratio", n, {"le": le}) for le, n in moves])
    found = [value(metrics, "object_progress_ratio_bucket", le=le) for le in ("0.05", "0.9", "0.995", "+Inf")]
    assert found == [1, 1, 2, 3]


def test_model_and_configuration_are_told_once_each() -> None:
    """A second model, after an upgrade in place, replaces the first."""
    metrics = Metrics(strict=True)
    for digest in ("ab", "cd"):
        metrics.set_model(ModelFacts("joint", "1", digest, "onnx", 0.05, {}))
    metrics.set_config(digest="ef", prefix="variables", worker="w-0", stages="score")
    labels = {"name": "joint", "version": "1", "runtime": "onnx"}
    assert value(metrics, "model_info", digest="cd", **labels) == 1
    assert value(metrics, "model_info", digest="ab", **labels) is None
    assert value(metrics, "novelty_expected_ratio") == 0.05
    assert value(metrics, "config_info", digest="ef", prefix="variables", worker="w-0", stages="score") == 1


def test_disk_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    """The nearest folder above it tells; without a state directory there is nothing to tell."""
    metrics = Metrics()
    assert value(metrics, "state_disk_free_bytes") is None
    metrics.watch_disk(tmp_path / "state" / "accumulate")
    free, size = value(metrics, "state_disk_free_bytes"), value(metrics, "state_disk_size_bytes")
    assert free is not None
    assert size is not None
    assert 0 < free < size


@pytest.mark.parametrize("name", METRICS)
def test_names_follow_the_conventions(name: str) -> None:
    """Counters end in _total and nothing else does; base units; buckets rise; no object id is a label."""
    assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent|days)(_|$)", name)
    assert METRICS[name].help.endswith(".")
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
    sensor.on_changelog("accumulate", 1, 70, 4096)
    sensor.on_changelog("accumulate", 1, 90, 1000)
    sensor.on_state_bytes("accumulate", 1, 8192)
    sensor.on_damage("accumulate", photometry[1])
    sensor.on_turn("accumulate")
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
    assert value(metrics, "changelog_records", stage="accumulate", partition="1") == 90
    assert value(metrics, "changelog_written_bytes_total", stage="accumulate") == 5096
    assert value(metrics, "state_bytes", stage="accumulate", partition="1") == 8192
    assert value(metrics, "state_damages_total", stage="accumulate") == 1
    assert value(metrics, "last_turn_timestamp_seconds", stage="accumulate") == pytest.approx(
        time.time(), abs=60
    )
    sensor.on_revoked("accumulate", photometry)
    assert value(metrics, "partitions_owned", stage="accumulate") == 0
    assert value(metrics, "state_bytes", stage="accumulate", partition="1") is None
    assert value(metrics, "changelog_records", stage="accumulate", partition="1") is None
    assert (
        value(metrics, "consumer_lag", stage="accumulate", topic="variables.photometry", partition="1")
        is None
    )
