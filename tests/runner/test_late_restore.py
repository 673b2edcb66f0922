"""A worker that sleeps in the middle of a restore, while another one owns the partition and goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.memory_clients import MemoryConsumer
from broker_plugin.runner.protocols import Partition
from tests.runner.counting import CountingStage, dead_letter_to, expected_outputs, fill, outputs, topic_specs
from tests.runner.test_exactly_once import runner_settings


@pytest.mark.parametrize("on_disk", [False, True], ids=["nothing-cached", "old-cache"])
def test_restore_that_was_overtaken_reads_on(
    prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_disk: bool
) -> None:
    """Its end of the changelog is old when it wakes: no reason to call the state wrong and to refuse."""
    bus = MemoryBus()
    bus.create_topics(topic_specs(prefix))

    def runner(name: str) -> Runner:
        folder = tmp_path / name if on_disk else None
        settings = runner_settings(prefix, folder, instance=name)
        return Runner(CountingStage(prefix), bus, dead_letter_to(prefix), settings)

    fill(bus, prefix, 20)
    with runner("sleeper") as first:
        first.run_until_idle(30)
    fill(bus, prefix, 20, first=20)
    with runner("before") as before:
        before.run_until_idle(30)
    ask, slept = MemoryConsumer.committed, []

    def ask_late(consumer: MemoryConsumer, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """Sleep once, with the changelog read to what was its end; no poll comes before the answer."""
        if not slept:
            slept.append(True)
            bus.expire_members(f"{prefix}.count")
            fill(bus, prefix, 20, first=40)
            with runner("other") as other:
                other.run_until_idle(30)
        return ask(consumer, partitions)

    monkeypatch.setattr(MemoryConsumer, "committed", ask_late)
    with runner("sleeper") as sleeper:
        sleeper.run_until_idle(30)

    assert slept
    assert outputs(bus, prefix) == expected_outputs(60)
