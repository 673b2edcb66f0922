"""Times of several ways to do the same, taken in turns so that their ratios hold on a shared machine.

Ours, theirs, ours, theirs, ...: what slows the machine down for a while slows both. Processor time is taken
beside the time on the clock: other work on the machine enters the latter whole, the former by its caches.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.results import Line, Spread


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    repetitions : int
        Turns of each way.
    slice_seconds : float
        Of processor time that a turn takes at least.
    minutes : float
        Of the end-to-end load.
    quick : bool
        Rows with loads of their own take small ones.
    """

    repetitions: int = 7
    slice_seconds: float = 0.2
    minutes: float = 10.0
    quick: bool = False


QUICK = Effort(repetitions=3, slice_seconds=0.1, minutes=0.5, quick=True)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to do something.

    Attributes
    ----------
    name : str
    work : callable
        Does it once.
    units : float
        Alerts, windows, ... that this is.
    """

    name: str
    work: Callable[[], object]
    units: float = 1.0


class CannotRunError(Exception):
    """A way cannot be measured here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A way that cannot be measured here."""

    name: str
    reason: str


def way(name: str, build: Callable[[], Way]) -> Way | Absent:
    """Build a way that may need what is not there."""
    try:
        return build()
    except (ImportError, CannotRunError) as error:
        install = "; pip install -c constraints.txt -e '.[bench]'" if isinstance(error, ImportError) else ""
        return Absent(name, f"{error}{install}")


@dataclass(frozen=True, slots=True)
class Turn:
    """Seconds of one unit of work, on the clock and of the processor (all threads of this process)."""

    wall: float
    cpu: float


def in_turns(ways: Sequence[Way], effort: Effort) -> dict[str, list[Turn]]:
    """Measure ways in turns, the order reversed each time, after a first run of each that does not count."""
    for each in ways:
        each.work()
    calls = {each.name: _calls(each, effort) for each in ways}
    turns: dict[str, list[Turn]] = {each.name: [] for each in ways}
    for repetition in range(effort.repetitions):
        for each in ways if repetition % 2 == 0 else reversed(ways):
            turns[each.name].append(_turn(each, calls[each.name]))
    return turns


def lines(
    group: str,
    unit: str,
    ours: Way,
    others: Sequence[Way | Absent],
    effort: Effort,
    *,
    also: Sequence[Way] = (),
    slow: Sequence[Way | Absent] = (),
) -> list[Line]:
    """Measure a group of ways and compare each with the first.

    Parameters
    ----------
    group : str
        What the ways work on.
    unit : str
    ours : Way
    others : sequence of Way or Absent
        What a user would use instead.
    effort : Effort
    also : sequence of Way
        Ours, too, with nothing to be compared.
    slow : sequence of Way or Absent
        Others so slow that they have one turn, beside the median of ours.
    """
    present = [each for each in others if isinstance(each, Way)]
    turns = in_turns([ours, *also, *present], effort)
    typical = Turn(*(spread([getattr(t, name) for t in turns[ours.name]]).median for name in ("wall", "cpu")))
    for each in slow:
        if isinstance(each, Way):
            turns[each.name] = [_turn(each, 1)]
    found = [_line(group, unit, each.name, turns[each.name], None) for each in (ours, *also)]
    for each in (*others, *slow):
        if isinstance(each, Absent):
            found.append(Line(group, each.name, unit, why_not=each.reason))
        else:
            beside = [typical] if each in slow else turns[ours.name]
            found.append(_line(group, unit, each.name, turns[each.name], beside))
    return found


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the quartiles."""
    if len(values) < 2:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def _line(group: str, unit: str, name: str, turns: Sequence[Turn], ours: Sequence[Turn] | None) -> Line:
    ratio = None
    if ours is not None:  # turn by turn: neighbours in time share the state of the machine
        ratio = spread([other.cpu / our.cpu for other, our in zip(turns, ours, strict=True)])
    return Line(
        group,
        name,
        unit,
        cpu=spread([turn.cpu for turn in turns]),
        wall=spread([turn.wall for turn in turns]),
        ratio=ratio,
    )


def _calls(each: Way, effort: Effort) -> int:
    turn = _turn(each, 1)
    return max(1, round(effort.slice_seconds / max(turn.cpu * each.units, 1e-7)))


def _turn(each: Way, calls: int) -> Turn:
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        each.work()
    units = calls * each.units
    return Turn((time.perf_counter() - wall) / units, (time.process_time() - cpu) / units)
