"""What can be set on a runner, and the names that follow from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Clock:
    """Where the runner reads the time: seconds that never go back, seconds since 1970, and a way to wait."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """Settings of one runner.

    Attributes
    ----------
    prefix : str
        Common prefix of topics, groups and transactional ids.
    instance : str
        Name of this worker among its stage's workers. It must be stable over restarts and unique at any
        one time: the worker that starts fences the one that had the name before.
    state_dir : Path or None
        Where the local caches live; None keeps them in memory, and every start restores in full.
    batch_records, batch_seconds
        A batch ends at so many records or so long after the last one was taken, whichever comes first.
    on_fenced : {"exit", "rejoin"}
        What to do when another worker took over the transactional id. Two live workers under one name that
        both rejoin would fence each other forever, so the default is to leave.
    max_rejoins : int
        Consecutive rejoins without a committed batch in between, after which the error is raised.
    max_aborts : int
        Consecutive aborts after which producer and consumer are replaced.
    backoff_seconds, backoff_max_seconds : float
        First and longest wait after an abort or before a rejoin; it doubles in between.
    restore_step_records, restore_step_seconds
        A restore reads so much between two polls.
    restore_patience_seconds : float
        A restore that makes no progress for so long is given up (a rejoin follows). Longer than the
        transaction timeout and the broker's interval for noticing it (10 s) together.
    close_seconds : float
        Deadline for leaving the group cleanly.
    max_output_bytes : int
        Larger outputs would be refused by the broker for ever; the input that led to one is a dead letter.
    max_failures_in_a_row : int
        Records on which the step fails, one after the other, until the fault is taken to be the step's, and
        the process ends; 0 for never.
    group_name : str or None
        The consumer group, where somebody else prescribes it; None makes it ``<prefix>.<stage>``.
    """

    prefix: str
    instance: str = "0"
    state_dir: Path | None = None
    batch_records: int = 500
    batch_seconds: float = 1.0
    on_fenced: Literal["exit", "rejoin"] = "exit"
    max_rejoins: int = 5
    max_aborts: int = 20
    backoff_seconds: float = 0.1
    backoff_max_seconds: float = 5.0
    restore_step_records: int = 10_000
    restore_step_seconds: float = 0.5
    restore_patience_seconds: float = 120.0
    close_seconds: float = 10.0
    max_output_bytes: int = 900_000
    max_failures_in_a_row: int = 50
    group_name: str | None = None

    def group(self, stage: str) -> str:
        """Return the consumer group of a stage."""
        return self.group_name or f"{self.prefix}.{stage}"

    def transactional_id(self, stage: str) -> str:
        """Return the transactional id of this worker, the same after every restart."""
        return f"{self.prefix}.{stage}.{self.instance}"
