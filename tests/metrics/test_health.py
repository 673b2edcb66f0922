"""What the probes say, from the start of a process to its end."""

from __future__ import annotations

import pytest

from broker_plugin.metrics import Health, Metrics, ModelFacts
from broker_plugin.runner.protocols import Partition

STAGES = ("ingest", "accumulate", "score")
PHOTOMETRY = [Partition("t.photometry", n) for n in range(2)]


class Clock:
    """Seconds that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def metrics(clock: Clock) -> Metrics:
    return Metrics(health=Health(STAGES, 300.0, needs_model=True, monotonic=clock), strict=True)


def ready(metrics: Metrics) -> str | None:
    """Return why not; the gauge says the same."""
    reason = metrics.health.unready()
    assert metrics.registry.get_sample_value("broker_plugin_ready") == (reason is None)
    return reason


def test_from_the_start_to_readiness(metrics: Metrics) -> None:
    """The bundle verified, every stage a member of its group, every partition restored."""
    assert metrics.health.stuck() is None
    assert ready(metrics) == "score: the model bundle is not verified yet"
    metrics.set_model(ModelFacts("joint", "1", "ab", "onnx", 0.05, {}))
    assert ready(metrics) == "ingest: no partitions were given out to it yet"
    metrics.on_assigned("ingest", [])  # more workers than partitions: nothing to do is no fault
    metrics.on_assigned("score", [])
    assert ready(metrics) == "accumulate: no partitions were given out to it yet"
    metrics.on_assigned("accumulate", PHOTOMETRY)
    assert ready(metrics) == "accumulate: t.photometry/0 is restored to 0 of 0 offsets"
    metrics.on_restore_progress("accumulate", 0, 50, 200)
    assert ready(metrics) == "accumulate: t.photometry/0 is restored to 50 of 200 offsets"
    metrics.on_restore_progress("accumulate", 0, 200, 200)
    metrics.on_opened("accumulate", PHOTOMETRY[0])
    # The second one has not begun: nothing is in progress, and all is not well.
    assert ready(metrics) == "accumulate: t.photometry/1 is restored to 0 of 0 offsets"
    metrics.on_opened("accumulate", PHOTOMETRY[1])
    assert ready(metrics) is None


@pytest.fixture
def working(metrics: Metrics) -> Metrics:
    metrics.set_model(ModelFacts("joint", "1", "ab", "onnx", 0.05, {}))
    for stage in STAGES:
        metrics.on_turn(stage)
        metrics.on_assigned(stage, PHOTOMETRY)
        for partition in PHOTOMETRY:
            metrics.on_opened(stage, partition)
    assert ready(metrics) is None
    return metrics


def test_one_loop_that_hangs_is_enough(working: Metrics, clock: Clock) -> None:
    """The others turn on; its thread is alive, and still the process must be replaced."""
    clock.now = 299.0
    working.on_turn("ingest")
    working.on_turn("score")
    assert working.health.stuck() is None
    clock.now = 301.0
    expected = "accumulate: the loop has not turned for 301 s, expected a turn within 300 s"
    assert working.health.stuck() == expected
    assert ready(working) == expected
    working.on_turn("accumulate")
    assert working.health.stuck() is None


def test_loop_that_never_began(metrics: Metrics, clock: Clock) -> None:
    """A start that takes for ever counts from the process's begin."""
    clock.now = 301.0
    assert str(metrics.health.stuck()).startswith("ingest: the loop has not turned")


def test_partition_that_leaves_while_it_is_restored(working: Metrics) -> None:
    """It is somebody else's to restore now."""
    more = Partition("t.photometry", 7)
    working.on_assigned("accumulate", [more])
    working.on_restore_progress("accumulate", 7, 1, 9)
    assert ready(working) == "accumulate: t.photometry/7 is restored to 1 of 9 offsets"
    working.on_revoked("accumulate", [more])
    assert ready(working) is None


def test_damaged_cache_is_restored_once_more(working: Metrics) -> None:
    """A partition that ran does not run now."""
    working.on_damage("accumulate", PHOTOMETRY[1])
    assert ready(working) == "accumulate: t.photometry/1 is restored to 0 of 0 offsets"
    working.on_opened("accumulate", PHOTOMETRY[1])
    assert ready(working) is None


def test_stage_that_joins_anew(working: Metrics) -> None:
    """After an error its partitions are nobody's until the group gives them out again."""
    working.on_revoked("score", PHOTOMETRY)
    working.on_rejoin("score", "FatalBusError")
    assert ready(working) == "score: no partitions were given out to it yet"
    assert working.health.stuck() is None
    working.on_assigned("score", [])
    assert ready(working) is None


def test_stage_that_waits_for_a_topic(working: Metrics) -> None:
    """No night has begun: alive, not ready, and it says what it waits for."""
    working.on_waiting("ingest", "one of the topics ztf_20260101_programid1")
    assert ready(working) == "ingest: waits for one of the topics ztf_20260101_programid1"
    assert working.health.stuck() is None
    working.on_assigned("ingest", [])
    assert ready(working) is None


def test_stage_that_has_failed(working: Metrics) -> None:
    """While the other stages still finish their batches."""
    working.health.ended("a stage has ended; the log says why")
    assert working.health.stuck() == ready(working) == "a stage has ended; the log says why"
