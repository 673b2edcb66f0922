"""Named points at which a test may kill the process, so that every step of the commit can be the last one.

``BROKER_PLUGIN_CRASH_POINT=after_commit:3`` sends SIGKILL to the process at the third passage of
``after_commit``; ``accumulate/after_commit`` counts passages of one stage only. Unset, a point costs one
comparison.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

POINTS = (
    "after_poll",
    "after_step",
    "after_begin",
    "after_outputs",
    "after_changelog",
    "after_offsets",
    "after_commit",
    "after_cache",
    "before_abort",
    "after_abort",
    "during_restore",
    "after_restore",
)
"""Names, in the order in which a batch passes them; abort and restore have their own."""


class _Trap:
    """One armed point."""

    def __init__(self, name: str, nth: int, action: Callable[[], None]) -> None:
        self.stage, _, self.point = name.rpartition("/")
        if self.point not in POINTS or nth < 1:
            msg = f"crash point {name!r}:{nth} is none of {', '.join(POINTS)} with a count from 1"
            raise ValueError(msg)
        self._left = nth
        self._action = action
        self._lock = threading.Lock()

    def pass_by(self, stage: str, point: str) -> None:
        if point != self.point or self.stage not in {"", stage}:
            return
        with self._lock:
            self._left -= 1
            due = self._left == 0
        if due:
            self._action()


def crash_point(stage: str, point: str) -> None:
    """Die here, if a test has asked for it."""
    if _trap is not None:
        _trap.pass_by(stage, point)


def arm(name: str, nth: int, action: Callable[[], None]) -> None:
    """Run ``action`` at the nth passage of a point, once; for tests inside one process."""
    global _trap  # noqa: PLW0603  one switch per process is the point of it
    _trap = _Trap(name, nth, action)


def disarm() -> None:
    """Forget the armed point."""
    global _trap  # noqa: PLW0603
    _trap = None


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _from_environment() -> _Trap | None:
    text = os.environ.get("BROKER_PLUGIN_CRASH_POINT", "")
    if not text:
        return None
    name, _, nth = text.partition(":")
    return _Trap(name, int(nth or 1), _kill)


_trap: _Trap | None = _from_environment()
