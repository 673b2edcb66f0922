"""The changelog and the group's offsets torn apart: refused, and mended by the command in the message."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from broker_plugin.app.audit import audit
from broker_plugin.errors import StateMismatchError, TopicError
from broker_plugin.runner.commands import delete_topic, set_topic_config
from broker_plugin.runner.protocols import Partition
from tests.chaos.harness import Installation, Worker, note
from tests.chaos.kafka_tools import obey, run_tool
from tests.chaos.load import light_curves

pytestmark = pytest.mark.kafka

SEED = 20210315
LOAD = {"n_objects": 12, "n_epochs": 250}


class Breakable:
    """An installation that has done half of its work, its worker stopped."""

    def __init__(self, installation: Installation) -> None:
        self.it = installation
        self.records = light_curves(SEED, **LOAD)
        with installation.feed(self.records[: len(self.records) // 2]):
            worker = installation.worker("a")
        installation.wait_until_idle()
        assert worker.terminate() == 0, worker.output
        self.group = f"{installation.prefix}.accumulate"
        self.changelog = f"{installation.prefix}.changelog"
        places = [self.here(number) for number in range(installation.partitions)]
        offsets = installation.bus.committed(self.group, places)
        self.worked_on = sum(offset is not None for offset in offsets.values())
        self.stands = offsets[places[0]] or 0
        assert self.stands > 20

    def here(self, partition: int) -> Partition:
        return Partition(self.it.photometry, partition)

    def refused(self, status: int, state: str = "a") -> str:
        """Start a worker, which must end with this status; return its last words."""
        worker = self.it.worker(state)
        assert worker.wait() == status, worker.output
        assert "Traceback" not in worker.output
        return worker.output

    def obey(self, message: str) -> None:
        """Do what the message says, word by word."""
        obey(message, lambda: self.it.command("topics", "create"))

    def finish(self, state: str = "a") -> Worker:
        """Feed the rest and work to the end."""
        with self.it.feed(self.records[len(self.records) // 2 :]):
            worker = self.it.worker(state)
        self.it.wait_until_idle()
        assert worker.terminate() == 0, worker.output
        return worker


@pytest.fixture
def breakable(installation: Installation) -> Breakable:
    return Breakable(installation)


@pytest.mark.parametrize(
    "move",
    ["back", pytest.param("forward", marks=pytest.mark.long), pytest.param("away", marks=pytest.mark.long)],
)
def test_moved_offsets(breakable: Breakable, move: str) -> None:
    """Somebody moved or deleted the group's offset of a partition; put back as told, nothing was lost."""
    started = time.monotonic()
    if move == "away":
        command = f"--delete --group {breakable.group}"
    else:
        offset = breakable.stands + (-7 if move == "back" else 7)
        topic = f"{breakable.it.photometry}:0"
        command = f"--group {breakable.group} --topic {topic} --reset-offsets --to-offset {offset} --execute"
    run_tool(f"kafka-consumer-groups.sh --bootstrap-server {breakable.it.bootstrap} {command}")

    message = breakable.refused(StateMismatchError.exit_code)  # with a local cache
    for _ in range(breakable.worked_on if move == "away" else 1):
        message = breakable.refused(StateMismatchError.exit_code, "empty")
        breakable.obey(message)

    breakable.finish()
    report = breakable.it.check(where=move)
    note(f"offsets moved {move}", windows=report.windows, seconds=round(time.monotonic() - started))


@pytest.mark.parametrize("fraction", [0.5, pytest.param(1.0, marks=pytest.mark.long)])
def test_truncated_changelog(breakable: Breakable, tmp_path: Path, fraction: float) -> None:
    """cleanup.policy was "delete" for a while, and records went: refused, with a whole local cache, too.

    Rebuilt as the message says, the state is that of all the photometry, and each window of before is there
    twice with the same content.
    """
    started = time.monotonic()
    it, changelog = breakable.it, breakable.changelog
    run_tool(set_topic_config(it.bootstrap, changelog, "cleanup.policy", "delete"))
    message = breakable.refused(TopicError.exit_code)
    assert "cleanup.policy=delete, expected compact" in message
    verified = it.command("topics", "verify")
    assert verified.returncode == TopicError.exit_code
    assert f"topic {changelog} has cleanup.policy=delete" in verified.stderr

    _, end = it.bus.offsets(Partition(changelog, 0))
    it.bus.delete_records(Partition(changelog, 0), int(fraction * end))
    breakable.obey(message)  # the policy is right again, the records are gone
    for state in ("a", "empty"):
        message = breakable.refused(StateMismatchError.exit_code, state)
        assert f"changelog {changelog}/0 begins at offset {int(fraction * end)}" in message
    verified = it.command("topics", "verify")
    assert f"topic {changelog} has lost records" in verified.stderr

    breakable.obey(message)
    worker = breakable.finish()
    assert "is discarded: it belongs to" in worker.output  # the cache is of the deleted topic
    report = audit(it.bus, it.prefix, it.window, scored=False)
    assert [p for p in report.problems if not p.startswith("windows: ")] == []
    assert all("too many" in problem for problem in report.problems), report.problems
    note(f"changelog truncated by {fraction:g}", seconds=round(time.monotonic() - started))


@pytest.mark.long
def test_emptied_changelog(breakable: Breakable) -> None:
    """The topic was deleted and created anew; the group's offsets say that there was a state."""
    it = breakable.it
    run_tool(delete_topic(it.bootstrap, breakable.changelog))
    assert it.command("topics", "create").returncode == 0

    for state in ("a", "empty"):
        message = breakable.refused(StateMismatchError.exit_code, state)
        assert "stands at no offset" in message
    breakable.obey(message)
    breakable.finish()
    report = audit(it.bus, it.prefix, it.window, scored=False)
    assert [p for p in report.problems if not p.startswith("windows: ")] == []


@pytest.mark.long
def test_marker_of_another_offset(breakable: Breakable) -> None:
    """A changelog from a backup: its last marker is older than the group's offset. Refused, never run on."""
    from broker_plugin.runner.changelog import POSITION_KEY
    from broker_plugin.runner.protocols import Output

    it = breakable.it
    producer = it.bus.producer()
    marker = json.dumps({it.photometry: breakable.stands - 3}).encode()
    producer.send(Output(breakable.changelog, POSITION_KEY, marker, partition=0))
    producer.flush()
    producer.close()
    for state in ("a", "empty"):
        message = breakable.refused(StateMismatchError.exit_code, state)
        assert f"stands at offset {breakable.stands - 3}" in message
