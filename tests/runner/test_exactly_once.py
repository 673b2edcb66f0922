"""Whatever fails wherever: every record counts once, in the outputs and in the state."""

from __future__ import annotations

import functools
import logging
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker_plugin.errors import AbortableTransactionError, FatalBusError, FencedError
from broker_plugin.runner import crash
from broker_plugin.runner.bus import Bus, NotYetError
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus, Operation
from broker_plugin.runner.protocols import Partition
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.settings import RunnerSettings
from tests.runner.counting import (
    CountingStage,
    ForwardStage,
    dead_letter_to,
    expected_outputs,
    fill,
    outputs,
    state_of,
    topic_specs,
)

N_RECORDS = 60


class SimulatedCrash(BaseException):
    """The process died here, as far as the test is concerned."""


class Tally(NullSensor):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.counted = 0.0
        self.keys = 0.0
        self.expired = 0.0
        self.rejoins: list[str] = []
        self.restored: dict[int, tuple[int, int]] = {}

    def on_commit(self, stage, outcome, seconds):
        self.outcomes.append(outcome)

    def on_observations(self, stage, observations):
        for observation in observations:
            if observation.name == "counted_total":
                self.counted += observation.value
            elif observation.name == "keys_objects":
                self.keys += observation.value
            elif observation.name == "records_expired_total":
                self.expired += observation.value

    def on_rejoin(self, stage, reason):
        self.rejoins.append(reason)

    def on_restore_progress(self, stage, partition, done, total):
        self.restored[partition] = (done, total)


def runner_settings(prefix: str, state_dir: Path | None = None, **more: object) -> RunnerSettings:
    values = {"batch_records": 7, "batch_seconds": 0.2, "backoff_seconds": 0.01, **more}
    return RunnerSettings(prefix, state_dir=state_dir, **values)  # type: ignore[arg-type]


@functools.cache
def undisturbed_state(n_records: int) -> dict[bytes, bytes]:
    bus = MemoryBus()
    bus.create_topics(topic_specs("u"))
    fill(bus, "u", n_records)
    with Runner(CountingStage("u"), bus, dead_letter_to("u"), runner_settings("u")) as runner:
        runner.run_until_idle()
    return state_of(bus, "u")


@pytest.fixture(autouse=True)
def _no_trap_left(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.ERROR)
    yield
    crash.disarm()


def test_undisturbed(bus: Bus, prefix: str, tmp_path: Path) -> None:
    """Two runs over two portions: every record once, state carried over, gauges back at zero."""
    bus.create_topics(topic_specs(prefix))
    tally = Tally()
    for first in (0, N_RECORDS):
        fill(bus, prefix, N_RECORDS, first=first)
        with Runner(
            CountingStage(prefix),
            bus,
            dead_letter_to(prefix),
            runner_settings(prefix, tmp_path),
            sensor=tally,
        ) as runner:
            assert runner.run_until_idle(60) == N_RECORDS

    assert outputs(bus, prefix) == expected_outputs(2 * N_RECORDS)
    assert state_of(bus, prefix) == undisturbed_state(2 * N_RECORDS)
    assert tally.counted == 2 * N_RECORDS
    assert tally.keys == 0
    assert set(tally.outcomes) == {"committed"}


FAILURES: list[tuple[Operation, type[Exception], bool]] = [
    (operation, error, False)
    for operation in ("begin", "send", "send_offsets", "commit")
    for error in (AbortableTransactionError, FencedError, FatalBusError)
] + [
    ("init", FatalBusError, False),
    ("poll", FatalBusError, False),
    ("poll", FencedError, False),
    ("committed", NotYetError, False),
    ("commit", FatalBusError, True),  # committed, but the answer was lost
    ("commit", FencedError, True),
]


@pytest.mark.parametrize(("operation", "error", "after"), FAILURES)
@pytest.mark.parametrize("on_disk", [False, True])
def test_a_failing_call_is_survived(
    operation: Operation, error: type[Exception], after: bool, on_disk: bool, tmp_path: Path
) -> None:
    """Each call to the bus fails in the middle of a run, three times over; a rejoining runner carries on."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))
    tally = Tally()
    runner = Runner(
        CountingStage("t"),
        bus,
        dead_letter_to("t"),
        runner_settings("t", tmp_path if on_disk else None, on_fenced="rejoin"),
        sensor=tally,
    )
    for portion in range(3):
        fill(bus, "t", 20, first=20 * portion)
        bus.fail_next(operation, error("injected"), after=after)
        runner.run_until_idle(30)
    runner.close()

    assert outputs(bus, "t") == expected_outputs(60)
    assert state_of(bus, "t") == undisturbed_state(60)
    assert tally.keys == 0
    if error is AbortableTransactionError:
        assert tally.outcomes.count("aborted") == 3
        assert not tally.rejoins
    if not after:  # a lost answer also loses the batch's observations: they are never counted twice
        assert tally.counted == 60


def test_a_fenced_runner_leaves_by_default() -> None:
    """Another worker took the name: the process ends with its own exit code and the batch is not lost."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))
    fill(bus, "t", 20)
    bus.fail_next("commit", FencedError("injected"))
    runner = Runner(CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t"))
    with pytest.raises(FencedError):
        runner.run_until_idle()
    with Runner(CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t")) as successor:
        successor.run_until_idle()

    assert outputs(bus, "t") == expected_outputs(20)


def test_endless_aborts_end() -> None:
    """A transaction that never succeeds: new producers are tried, then the process ends, in bounded time."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))
    fill(bus, "t", 5)
    bus.fail_next("commit", AbortableTransactionError("injected"), times=10_000)
    tally = Tally()
    bounded = runner_settings("t", max_aborts=3, max_rejoins=2, backoff_max_seconds=0.02)
    runner = Runner(CountingStage("t"), bus, dead_letter_to("t"), bounded, sensor=tally)

    with pytest.raises(FatalBusError, match="3 transactions of count aborted in a row"):
        runner.run_until_idle(30)

    assert tally.rejoins == ["FatalBusError"] * 2
    assert not outputs(bus, "t")


_UNTIL_COMMIT = (
    "after_poll",
    "after_step",
    "after_begin",
    "after_outputs",
    "after_changelog",
    "after_offsets",
)
_POINTS = (*_UNTIL_COMMIT, "after_commit", "after_cache", "during_restore", "after_restore")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    crashes=st.lists(st.tuples(st.sampled_from(_POINTS), st.integers(1, 6)), max_size=6),
    batch_records=st.integers(1, 30),
    on_disk=st.booleans(),
    same_name=st.booleans(),
    compact=st.booleans(),
)
def test_any_series_of_crashes_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    crashes: list[tuple[str, int]],
    batch_records: int,
    on_disk: bool,
    same_name: bool,
    compact: bool,
) -> None:
    """The worker dies at any points in any order and is replaced, under its own or under another name."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))
    fill(bus, "t", N_RECORDS)
    state_dir = tmp_path_factory.mktemp("state") if on_disk else None

    def run(number: int) -> None:
        more = {"batch_records": batch_records, "instance": "0" if same_name else str(number)}
        with Runner(
            CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t", state_dir, **more)
        ) as runner:
            runner.run_until_idle(30)

    for number, (point, nth) in enumerate(crashes):
        crash.arm(point, nth, _die)
        try:
            run(number)
        except SimulatedCrash:
            bus.expire_members("t.count")
            if not same_name:  # nobody inherits the name, so the transaction timeout must end it
                bus.expire_transactions()
        finally:
            crash.disarm()
        if compact:
            bus.compact("t.changelog")
    run(len(crashes))

    assert outputs(bus, "t") == expected_outputs(N_RECORDS)
    assert state_of(bus, "t") == undisturbed_state(N_RECORDS)


def _die() -> None:
    raise SimulatedCrash


def test_a_zombie_that_wakes_up_cannot_commit(prefix: str) -> None:
    """A worker hangs inside its step; its successor does the work; then the worker goes on with its batch."""
    bus = MemoryBus()
    bus.create_topics(topic_specs(prefix))
    fill(bus, prefix, 20)
    asleep, wake = threading.Event(), threading.Event()

    class Sleepy(CountingStage):
        def step(self, batch, state):
            asleep.set()
            assert wake.wait(60)
            return super().step(batch, state)

    tally = Tally()
    own = runner_settings(prefix, instance="zombie")
    zombie = Runner(Sleepy(prefix), bus, dead_letter_to(prefix), own, sensor=tally)
    thread = threading.Thread(target=zombie.run)
    thread.start()
    assert asleep.wait(60)
    bus.expire_members(f"{prefix}.count")
    with Runner(
        CountingStage(prefix), bus, dead_letter_to(prefix), runner_settings(prefix, instance="b")
    ) as other:
        other.run_until_idle(30)
        assert outputs(bus, prefix) == expected_outputs(20)
        wake.set()
        _wait_for(lambda: "aborted" in tally.outcomes)
        fill(bus, prefix, 1, first=20)
        zombie.stop()
        thread.join(60)
        other.run_until_idle(30)

    assert outputs(bus, prefix) == expected_outputs(21)


def test_two_workers_come_and_go(bus: Bus, prefix: str, tmp_path: Path) -> None:
    """Records flow while a second worker joins and the first one leaves: all of them count once."""
    bus.create_topics(topic_specs(prefix, partitions=4))
    first, second = (
        Runner(
            CountingStage(prefix),
            bus,
            dead_letter_to(prefix),
            runner_settings(prefix, tmp_path, instance=name),
        )
        for name in "ab"
    )
    fill(bus, prefix, 100, n_keys=20)
    threads = [threading.Thread(target=runner.run) for runner in (first, second)]
    threads[0].start()
    _wait_for(lambda: bool(outputs(bus, prefix)))
    threads[1].start()
    fill(bus, prefix, 100, n_keys=20, first=100)
    _wait_for(lambda: outputs(bus, prefix).total() >= 200)
    first.stop()
    fill(bus, prefix, 100, n_keys=20, first=200)
    _wait_for(lambda: outputs(bus, prefix).total() >= 300)
    second.stop()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()

    assert outputs(bus, prefix) == expected_outputs(300, n_keys=20)


def _wait_for(condition, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for does not happen"
        time.sleep(0.1)


def test_a_foreign_source_is_at_least_once() -> None:
    """Input in one cluster, output in another: offsets are committed to the source after the transaction."""
    survey, ours = MemoryBus(), MemoryBus()
    survey.create_topics([spec for spec in topic_specs("t") if spec.name == "t.in"])
    ours.create_topics([spec for spec in topic_specs("t") if spec.name != "t.in"])
    fill(survey, "t", 20)

    def runner() -> Runner:
        return Runner(ForwardStage("t"), ours, dead_letter_to("t"), runner_settings("t"), source_bus=survey)

    crash.arm("after_commit", 1, _die)
    with pytest.raises(SimulatedCrash):
        runner().run_until_idle()
    survey.expire_members("t.forward")
    crash.disarm()
    with runner() as again:
        again.run_until_idle()

    found = outputs(ours, "t")
    assert set(found) == {b"%d" % number for number in range(20)}
    assert found.total() == 27  # the one batch that was committed twice
    stands = survey.committed("t.forward", [Partition("t.in", 0), Partition("t.in", 1)])
    assert sum(offset or 0 for offset in stands.values()) == 20
