"""What the runner tells its surroundings while it works; the metrics listen here.

Every hook is called on the thread of the runner that it speaks for, so several stages hosted in one process
call one sensor from several threads. A hook must be quick and must not raise: it stands between a commit
and the next poll.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from broker_plugin.runner.protocols import Observation, Partition

Outcome = Literal["committed", "aborted", "fenced"]
"""How a transaction ended. ``fenced`` covers every end after which producer and consumer are replaced."""


class Sensor(Protocol):
    """Hooks of one process's runners; ``stage`` is always the stage's name."""

    def on_turn(self, stage: str) -> None:
        """Note that the loop begins a turn: a batch, or a poll that brings none."""

    def on_waiting(self, stage: str, reason: str) -> None:
        """Note that there is nothing to join yet: ``reason`` is what is waited for."""

    def on_batch(self, stage: str, n_records: int) -> None:
        """Count a polled batch, never empty; told again when it is polled again after an abort."""

    def on_step_seconds(self, stage: str, seconds: float) -> None:
        """Observe how long the stage's step took over one batch."""

    def on_commit(self, stage: str, outcome: Outcome, seconds: float) -> None:
        """Count a transaction's end; the time runs from its begin."""

    def on_observations(self, stage: str, observations: Sequence[Observation]) -> None:
        """Apply facts that have become true: of a committed batch, or of a partition opened or closed."""

    def on_dead_letters(self, stage: str, reason: str, n_records: int) -> None:
        """Count committed dead letters that the runner itself made; a stage's own come as observations."""

    def on_lag(self, stage: str, topic: str, partition: int, lag: int) -> None:
        """Note how many records of an owned partition this group has not yet committed."""

    def on_assigned(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Note membership of the group and the partitions that came, perhaps none; they are restored next."""

    def on_opened(self, stage: str, partition: Partition) -> None:
        """Note that a partition is restored and runs."""

    def on_revoked(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Forget partitions that left this worker, given away or lost: lag and progress, too."""

    def on_restore_progress(self, stage: str, partition: int, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` offsets of a changelog partition are read; equal when restored."""

    def on_damage(self, stage: str, partition: Partition) -> None:
        """Count a local cache that was found damaged; its partition is restored once more."""

    def on_changelog(self, stage: str, partition: int, end: int, n_bytes: int) -> None:
        """Note the end offset of a changelog partition after a commit, and what the batch wrote to it."""

    def on_state_bytes(self, stage: str, partition: int, n_bytes: int) -> None:
        """Note the size of a partition's local state; told now and then."""

    def on_rejoin(self, stage: str, reason: str) -> None:
        """Count a replacement of producer and consumer; the reason is an error's class name."""


class NullSensor:
    """A sensor that listens to nothing: the default, and a base class for those that listen to a little."""

    def on_turn(self, stage: str) -> None:
        """Ignore."""

    def on_waiting(self, stage: str, reason: str) -> None:
        """Ignore."""

    def on_batch(self, stage: str, n_records: int) -> None:
        """Ignore."""

    def on_step_seconds(self, stage: str, seconds: float) -> None:
        """Ignore."""

    def on_commit(self, stage: str, outcome: Outcome, seconds: float) -> None:
        """Ignore."""

    def on_observations(self, stage: str, observations: Sequence[Observation]) -> None:
        """Ignore."""

    def on_dead_letters(self, stage: str, reason: str, n_records: int) -> None:
        """Ignore."""

    def on_lag(self, stage: str, topic: str, partition: int, lag: int) -> None:
        """Ignore."""

    def on_assigned(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Ignore."""

    def on_opened(self, stage: str, partition: Partition) -> None:
        """Ignore."""

    def on_revoked(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Ignore."""

    def on_restore_progress(self, stage: str, partition: int, done: int, total: int) -> None:
        """Ignore."""

    def on_damage(self, stage: str, partition: Partition) -> None:
        """Ignore."""

    def on_changelog(self, stage: str, partition: int, end: int, n_bytes: int) -> None:
        """Ignore."""

    def on_state_bytes(self, stage: str, partition: int, n_bytes: int) -> None:
        """Ignore."""

    def on_rejoin(self, stage: str, reason: str) -> None:
        """Ignore."""
