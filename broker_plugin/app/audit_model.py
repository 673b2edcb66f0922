"""The part of an audit that needs the model: what the score stage must have made of its windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from broker_plugin.app.annotation_diff import diff
from broker_plugin.records import schemas
from broker_plugin.runner.bus import Bus, read_partition, read_topic
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.protocols import Message
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import MemoryStore
from broker_plugin.stages.score import ScoreStage

_BATCH = 200
_NAMED = 5
_KINDS = {"classifications": "classification", "novelties": "novelty"}


def recomputed_problems(bus: Bus, prefix: str, stage: ScoreStage) -> Iterator[str]:
    """Yield a line for each kind of difference between what is published and what the windows lead to.

    Parameters
    ----------
    bus : Bus
    prefix : str
    stage : ScoreStage
        As it has run since the first window that the topic holds.
    """
    windows = f"{prefix}.lightcurves"
    expected: dict[str, list[dict[str, Any]]] = {name: [] for name in _KINDS}
    for number in range(bus.partition_counts([windows])[windows] or 0):
        state = BatchState(CommittedState({number: MemoryStore()}))
        for batch in _batches(read_partition(bus, windows, number)):
            for output in stage.step(batch, state).outputs:
                name = output.topic.removeprefix(f"{prefix}.")
                if name in _KINDS:
                    expected[name].append(schemas.decode(_KINDS[name], output.value or b""))
        changes, _ = replay_records(read_partition(bus, f"{prefix}.score-changelog", number), {})
        held = {key: value for key, value in changes.items() if value is not None}
        wanted = state.changes.get(number, {})
        differing = sorted(key for key in wanted.keys() | held.keys() if wanted.get(key) != held.get(key))
        if differing:
            names = ", ".join(repr(key) for key in differing[:_NAMED])
            yield f"memory of partition {number}: {len(differing)} values differ, for instance {names}"
    for name, kind in _KINDS.items():
        published = (schemas.decode(kind, m.value or b"") for m in read_topic(bus, f"{prefix}.{name}"))
        found = diff(expected[name], published)
        for what, ids in (
            ("missing", list(found.only_here)),
            ("too many", [*found.only_there, *found.repeated_there]),
            ("different", [f"{d.annotation_id} ({', '.join(d.fields)})" for d in found.differing]),
        ):
            if ids:
                examples = ", ".join(ids[:_NAMED])
                yield f"{name}, computed again: {len(ids)} {what}, for instance {examples}"


def _batches(messages: Iterator[Message]) -> Iterator[list[Message]]:
    batch: list[Message] = []
    for message in messages:
        batch.append(message)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
