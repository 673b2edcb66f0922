"""Processor time and memory of running processes, as Linux tells them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import CannotRunError

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and its threads so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def peak_mb(pid: int) -> float:
    """Return the highest resident memory of a process so far, MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def wait_for(
    condition: Callable[[], bool], what: Callable[[], str], seconds: float, every: float = 0.1
) -> None:
    """Wait until a condition holds.

    Raises
    ------
    CannotRunError
        It does not within so many seconds; ``what`` tells what was waited for.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            msg = f"not within {seconds:g} s: {what()}"
            raise CannotRunError(msg)
        time.sleep(every)
