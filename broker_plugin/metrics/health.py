"""What the probes answer: whether the process works (``/livez``) and does its part (``/readyz``)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from broker_plugin.runner.protocols import Partition


@dataclass(slots=True)
class _StageHealth:
    """What is known of one stage; ``turned_at`` is None until its loop begins."""

    turned_at: float | None = None
    member: bool = False  # of its group: partitions were given out, perhaps none to us
    waits_for: str | None = None
    opening: dict[Partition, tuple[int, int]] = field(default_factory=dict)  # done and total offsets


class Health:
    """Follows each hosted stage by what its runner tells.

    Parameters
    ----------
    stages : sequence of str
        The stages that this process hosts.
    patience_seconds : float
        A loop that has not turned for so long is stuck. A turn is a batch or an empty poll, so the bound is
        that after which the stage's partitions are somebody else's, ``runner.max_poll_interval_seconds``.
    needs_model : bool
        Not ready before :meth:`model_verified`.
    monotonic : callable
        Seconds that never go back.
    """

    def __init__(
        self,
        stages: Sequence[str] = (),
        patience_seconds: float = 300.0,
        *,
        needs_model: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience_seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()  # stages tell from their threads, probes ask from the server's
        self._stages = {stage: _StageHealth() for stage in stages}
        self._model_pending = needs_model
        self._started = monotonic()
        self._ended: str | None = None

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the stages that were announced or have spoken."""
        with self._lock:
            return tuple(self._stages)

    def stuck(self) -> str | None:
        """Return what has stopped working, None when nothing has; for ``/livez``."""
        now = self._monotonic()
        with self._lock:
            if self._ended is not None:
                return self._ended
            for stage, health in self._stages.items():
                since = now - (self._started if health.turned_at is None else health.turned_at)
                if since > self._patience:
                    return (
                        f"{stage}: the loop has not turned for {since:.0f} s, "
                        f"expected a turn within {self._patience:g} s"
                    )
        return None

    def unready(self) -> str | None:
        """Return what is still missing, None when nothing is; for ``/readyz``."""
        trouble = self.stuck()
        if trouble is not None:
            return trouble
        with self._lock:
            if self._model_pending:
                return "score: the model bundle is not verified yet"
            for stage, health in self._stages.items():
                if health.waits_for is not None:
                    return f"{stage}: waits for {health.waits_for}"
                if not health.member:
                    return f"{stage}: no partitions were given out to it yet"
                for partition, (done, total) in health.opening.items():
                    return f"{stage}: {_where(partition)} is restored to {done} of {total} offsets"
        return None

    def model_verified(self) -> None:
        """Note that the bundle's digests are right and that it reproduces its golden outputs."""
        with self._lock:
            self._model_pending = False

    def ended(self, reason: str) -> None:
        """Note that a stage is over, for good."""
        with self._lock:
            self._ended = reason

    def turned(self, stage: str) -> None:
        """Note a turn of a stage's loop."""
        now = self._monotonic()
        with self._lock:
            self._of(stage).turned_at = now

    def waits(self, stage: str, reason: str) -> None:
        """Note that a stage has nothing to join yet; ends with its next membership."""
        with self._lock:
            health = self._of(stage)
            health.waits_for, health.member = reason, False

    def assigned(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Note membership of the group, and partitions that open next."""
        with self._lock:
            health = self._of(stage)
            health.member, health.waits_for = True, None
            health.opening.update(dict.fromkeys(partitions, (0, 0)))

    def restored(self, stage: str, number: int, done: int, total: int) -> None:
        """Note how far a partition is restored; a stage with state reads one topic, so the number will do."""
        with self._lock:
            opening = self._of(stage).opening
            opening.update({p: (done, total) for p in opening if p.partition == number})

    def reopening(self, stage: str, partition: Partition) -> None:
        """Note that a partition that ran is restored once more."""
        with self._lock:
            self._of(stage).opening[partition] = (0, 0)

    def opened(self, stage: str, partition: Partition) -> None:
        """Note that a partition runs."""
        with self._lock:
            self._of(stage).opening.pop(partition, None)

    def revoked(self, stage: str, partitions: Sequence[Partition]) -> None:
        """Forget partitions that are somebody else's now."""
        with self._lock:
            for partition in partitions:
                self._of(stage).opening.pop(partition, None)

    def left(self, stage: str) -> None:
        """Note that a stage is no member of its group: it joins anew."""
        with self._lock:
            health = self._of(stage)
            health.member = False
            health.opening.clear()

    def _of(self, stage: str) -> _StageHealth:
        return self._stages.setdefault(stage, _StageHealth())


def _where(partition: Partition) -> str:
    return f"{partition.topic}/{partition.partition}"
