"""The two small protocols between the runner and its surroundings: stages above, a bus below.

The bus is Kafka (:mod:`broker_plugin.runner.kafka`) or lives in this process
(:mod:`broker_plugin.runner.memory`); one contract suite runs against both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

# Records are made some thousand times a second: named tuples in a third of a frozen dataclass's time.


class Partition(NamedTuple):
    """A topic's partition."""

    topic: str
    partition: int


class Message(NamedTuple):
    """A record read from the bus."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_ms: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class Output(NamedTuple):
    """A record to be written; without a partition the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A measured fact for the metrics, applied only after the batch that it belongs to has committed.

    ``name`` is the metric's name without the common prefix, e.g. ``"epochs_added_total"``; counters add
    ``value``, histograms observe it, gauges ending in ``_objects`` move by it.
    """

    name: str
    value: float = 1.0
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one batch led to: everything in it becomes true at once or not at all."""

    outputs: Sequence[Output] = ()
    observations: Sequence[Observation] = ()


class State(Protocol):
    """Keyed bytes of the partitions this worker owns, with the batch's own writes visible."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the value, or None where there is none."""

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Set the value; None deletes it."""

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of every key that starts with the prefix, in key order."""


class Stage(Protocol):
    """A stage of the flow: a pure step over batches, hosted by the runner.

    Attributes
    ----------
    name : str
        ``"ingest"``, ``"accumulate"`` or ``"score"``; names the consumer group and the metrics' label.
    input_topics : sequence of str
    changelog_topic : str or None
        The compacted topic that holds the state; None for a stateless stage.
    """

    name: str
    input_topics: Sequence[str]
    changelog_topic: str | None

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Turn a batch into outputs and state updates.

        Called again with the same messages after an abort, so it has no other effect than its result and
        ``state.put``. Messages of one partition come in offset order. Must not block on I/O.
        """

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Describe restored state for the gauges; called once, before the partition's first message."""

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Undo what :meth:`partition_opened` and later steps added to the gauges."""
