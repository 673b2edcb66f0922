"""Named points at which a test may kill the process, so that every step of the commit can be the last one.

``BROKER_PLUGIN_CRASH_POINT=after_commit:3`` sends SIGKILL to the process at the third passage of
``after_commit``; ``accumulate/after_commit`` counts passages of one stage only. A fourth part says what else
to do there:

- ``after_changelog:3:kill=1`` lets the client's own threads work for a second first, so that what was
  queued has left;
- ``after_begin:3:stop`` sends SIGSTOP: whoever sends SIGCONT later wakes a worker that knows nothing;
- ``after_step:3:hang=20`` stays there for 20 s, while the client's own threads go on.

Several go with commas. Unset, a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence

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
    "in_assign",
    "in_revoke",
)
"""Names, in the order in which a batch passes them; abort, restore and rebalance have their own."""


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
    for trap in _traps:
        trap.pass_by(stage, point)


def arm(name: str, nth: int, action: Callable[[], None]) -> None:
    """Run ``action`` at the nth passage of a point, once; for tests inside one process."""
    global _traps  # noqa: PLW0603  one switch per process is the point of it
    _traps = (_Trap(name, nth, action),)


def disarm() -> None:
    """Forget the armed points."""
    global _traps  # noqa: PLW0603
    _traps = ()


def parse_traps(text: str) -> tuple[_Trap, ...]:
    """Parse ``[stage/]point[:n[:kill|stop|hang[=seconds]]]``, several with commas.

    Raises
    ------
    ValueError
        A part is none of these.
    """
    return tuple(_parse_trap(part) for part in text.split(",") if part)


def _parse_trap(text: str) -> _Trap:
    given = text.split(":")
    name, nth, action, *more = given + ["1", "kill"][len(given) - 1 :]
    verb, _, seconds = action.partition("=")
    if more or verb not in _ACTIONS:
        msg = f"crash point {text!r}: expected point[:n[:action[=seconds]]] with {' or '.join(_ACTIONS)}"
        raise ValueError(msg)
    delay, last = float(seconds or 0), _ACTIONS[verb]

    def act() -> None:
        time.sleep(delay)
        if last is not None:
            os.kill(os.getpid(), last)

    return _Trap(name, int(nth), act)


_ACTIONS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP, "hang": None}

_traps: Sequence[_Trap] = parse_traps(os.environ.get("BROKER_PLUGIN_CRASH_POINT", ""))
