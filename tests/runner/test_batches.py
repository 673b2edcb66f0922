"""How long a batch waits to fill."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.memory_clients import MemoryConsumer
from broker_plugin.runner.protocols import Message, Output, State, StepResult
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.topics import create_missing
from tests.runner.counting import ForwardStage, dead_letter_to, topic_specs


class SlowStage(ForwardStage):
    """Takes the time that the test says."""

    def __init__(self, prefix: str, seconds: Sequence[float]) -> None:
        super().__init__(prefix)
        self.now, self.left = 0.0, list(seconds)

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        self.now += self.left.pop(0)
        return super().step(batch, state)


def test_time_in_the_step_is_time_to_fill(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record waits for company at most so long after the last batch was taken, however long that took."""
    bus, seconds = MemoryBus(), [0.0, 0.1, 7.0]
    create_missing(bus, topic_specs("t", partitions=1))
    stage = SlowStage("t", seconds)
    waits: list[tuple[int, float]] = []
    poll = MemoryConsumer.poll

    def spying(consumer: MemoryConsumer, max_records: int, timeout_seconds: float) -> list[Message]:
        waits.append((len(seconds) - len(stage.left), timeout_seconds))
        return poll(consumer, max_records, 0.01)

    monkeypatch.setattr(MemoryConsumer, "poll", spying)
    producer = bus.producer(None)
    for _ in seconds:
        producer.send(Output("t.in", b"k", b"v"))
    producer.flush()
    settings = RunnerSettings("t", batch_records=1, batch_seconds=0.3)
    with Runner(
        stage, bus, dead_letter_to("t"), settings, clock=Clock(monotonic=lambda: stage.now)
    ) as runner:
        while len(waits) < 2 or stage.left or waits[-2][0] < len(seconds):
            runner._turn()

    after = {steps: [wait for done, wait in waits if done == steps] for steps in range(1, 4)}
    assert after[1][0] == pytest.approx(0.3)
    assert after[2][0] == pytest.approx(0.2)
    assert after[3] == pytest.approx([0.0, 0.3])  # and with nothing there, the whole time again
