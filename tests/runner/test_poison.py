"""One bad record costs itself: it becomes a dead letter, its neighbours and the state are untouched."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broker_plugin.errors import BundleError, StepFailedError
from broker_plugin.runner.bus import read_topic
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.sensor import NullSensor
from tests.runner.counting import (
    POISON,
    CountingStage,
    dead_letter_to,
    expected_outputs,
    fill,
    outputs,
    state_of,
    topic_specs,
)
from tests.runner.test_exactly_once import runner_settings, undisturbed_state


class DeadCount(NullSensor):
    def __init__(self) -> None:
        self.reasons: dict[str, int] = {}

    def on_dead_letters(self, stage: str, reason: str, n_records: int) -> None:
        self.reasons[reason] = self.reasons.get(reason, 0) + n_records


class Poisoned(CountingStage):
    """Does something bad at the poison, after it has written state."""

    def __init__(self, prefix: str, bad: Callable[[], object]) -> None:
        super().__init__(prefix)
        self._bad = bad

    def step(self, batch, state):
        for message in batch:
            if message.value == POISON:
                state.put(message.partition, b"n/" + message.key, b"1000")
                bad = self._bad()
                if isinstance(bad, Output):
                    return type(super().step([], state))([bad], [])
        return super().step(batch, state)


def run(bad: Callable[[], object], **more: object) -> tuple[MemoryBus, DeadCount]:
    """Put one poison between good records and run."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))
    fill(bus, "t", 30)
    bus.producer().send(Output("t.in", b"k2", POISON, headers=(("h", b"1"),)))
    fill(bus, "t", 30, first=30)
    sensor = DeadCount()
    with Runner(
        Poisoned("t", bad), bus, dead_letter_to("t"), runner_settings("t", **more), sensor=sensor
    ) as runner:
        runner.run_until_idle(30)
    return bus, sensor


def _raise(error: BaseException) -> Callable[[], object]:
    def bad() -> object:
        raise error

    return bad


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (ValueError("bad\nrecord"), b"ValueError: bad record"),
        (MemoryError(), b"MemoryError:"),
        (RecursionError("deep"), b"RecursionError: deep"),
    ],
)
def test_a_raising_step_costs_the_record_that_raised(error: Exception, detail: bytes) -> None:
    """Everything else counts once, the state has no trace of it, the letter says what happened."""
    bus, sensor = run(_raise(error))

    assert outputs(bus, "t") == expected_outputs(60)
    assert state_of(bus, "t") == undisturbed_state(60)
    (letter,) = read_topic(bus, "t.dead-letters")
    assert letter.value == b"unexpected_error|" + detail + b"|" + POISON
    assert sensor.reasons == {"unexpected_error": 1}


def test_an_output_that_no_broker_takes_is_a_dead_letter() -> None:
    """An output above the limit would abort its transaction for ever."""
    bus, sensor = run(lambda: Output("t.out", b"k", b"x" * 2000), max_output_bytes=1000)

    assert outputs(bus, "t") == expected_outputs(60)
    assert state_of(bus, "t") == undisturbed_state(60)
    assert sensor.reasons == {"output_too_large": 1}


def test_a_dead_letter_that_is_itself_too_large_is_cut() -> None:
    """The record's own value is above the limit: its beginning is kept, and the letter says so."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))

    class Refusing(CountingStage):
        def step(self, batch, state):
            raise ValueError("no")

    bus.producer().send(Output("t.in", b"k", b"x" * 5000))
    with Runner(
        Refusing("t"), bus, dead_letter_to("t"), runner_settings("t", max_output_bytes=1000)
    ) as runner:
        runner.run_until_idle(30)

    (letter,) = read_topic(bus, "t.dead-letters")
    assert (
        letter.value
        == b"unexpected_error|ValueError: no (value cut to the first 500 of 5000 bytes)|" + b"x" * 500
    )


def test_an_error_about_the_process_stops_it() -> None:
    """A damaged model is nobody's bad record: no dead letters, nothing committed."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))
    fill(bus, "t", 10)

    class Broken(CountingStage):
        def step(self, batch, state):
            raise BundleError("digest differs")

    runner = Runner(Broken("t"), bus, dead_letter_to("t"), runner_settings("t"))
    with pytest.raises(BundleError):
        runner.run()

    assert list(read_topic(bus, "t.dead-letters")) == []
    assert bus.group("t.count").committed == {}


def test_state_of_foreign_partitions_stops_the_process() -> None:
    """A step that writes where none of its records came from is a programming error, told at once."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t"))

    class Straying(CountingStage):
        def step(self, batch, state):
            state.put(1, b"n/k", b"1")
            return super().step(batch, state)

    runner = Runner(Straying("t"), bus, dead_letter_to("t"), runner_settings("t"))
    runner.run_until_idle(30)  # both partitions are open now
    bus.producer().send(Output("t.in", b"k", b"0", partition=0))
    with pytest.raises(RuntimeError, match=r"wrote state of partitions \[1\] in a batch of partitions \[0\]"):
        runner.run_until_idle(30)


class Failing(CountingStage):
    """Fails on every record from the nth on."""

    def __init__(self, prefix: str, first: int) -> None:
        super().__init__(prefix)
        self.first = first

    def step(self, batch, state):
        if any(int(message.value) >= self.first for message in batch):
            raise KeyError("gone")
        return super().step(batch, state)


@pytest.mark.parametrize("batch_records", [3, 500])
def test_a_step_that_fails_on_everything_is_stopped(batch_records: int) -> None:
    """Nobody's records are at fault: the process ends, and what it was about to put aside is read again."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t", partitions=1))
    fill(bus, "t", 60)
    settings = runner_settings("t", batch_records=batch_records, max_failures_in_a_row=10)

    with pytest.raises(StepFailedError) as caught:
        Runner(Failing("t", 20), bus, dead_letter_to("t"), settings).run()

    message = str(caught.value)
    assert (
        "stage count has failed on 10 records in a row, the last one t.in/0/29: KeyError: 'gone'" in message
    )
    assert "test_poison.py:" in message
    dead = len(list(read_topic(bus, "t.dead-letters")))
    assert dead < 10
    stands = bus.committed("t.count", [Partition("t.in", 0)])[Partition("t.in", 0)] or 0
    assert stands == (0 if batch_records == 500 else 20 + dead)

    with Runner(CountingStage("t"), bus, dead_letter_to("t"), settings) as mended:
        mended.run_until_idle(30)
    assert sum(outputs(bus, "t").values()) == 60 - dead


def test_the_limit_can_be_lifted() -> None:
    """The records really are bad."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t", partitions=1))
    fill(bus, "t", 60)
    with Runner(
        Failing("t", 0), bus, dead_letter_to("t"), runner_settings("t", max_failures_in_a_row=0)
    ) as runner:
        runner.run_until_idle(30)
    assert len(list(read_topic(bus, "t.dead-letters"))) == 60


def test_failures_between_good_records_are_not_in_a_row() -> None:
    """Every second record is bad, in batches of one: none but these is lost."""

    class Picky(CountingStage):
        def step(self, batch, state):
            if any(int(message.value) % 2 for message in batch):
                raise ValueError("odd")
            return super().step(batch, state)

    bus = MemoryBus()
    bus.create_topics(topic_specs("t", partitions=1))
    fill(bus, "t", 60)
    settings = runner_settings("t", batch_records=1, max_failures_in_a_row=2)
    with Runner(Picky("t"), bus, dead_letter_to("t"), settings) as runner:
        runner.run_until_idle(30)
    assert len(list(read_topic(bus, "t.dead-letters"))) == 30
