"""What a benchmark leaves: values that go to JSON and back, and tell whether an aim is met."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """One way, measured.

    Attributes
    ----------
    group : str
        What it worked on.
    way, unit : str
    cpu, wall : Spread or None
        Seconds a unit, of the processor and on the clock; None if it could not be measured.
    ratio : Spread or None
        Its processor time over ours, turn by turn; None for ours.
    why_not : str
        Why it could not be measured.
    """

    group: str
    way: str
    unit: str
    cpu: Spread | None = None
    wall: Spread | None = None
    ratio: Spread | None = None
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that is measured, and perhaps what it should be.

    Attributes
    ----------
    name : str
    value : float
    unit : str
    aim : float or None
    sense : {"at least", "at most", ""}
    """

    name: str
    value: float
    unit: str
    aim: float | None = None
    sense: Literal["at least", "at most", ""] = ""

    @property
    def met(self) -> bool | None:
        """Return whether the aim is met, None without one."""
        if self.aim is None:
            return None
        return self.value >= self.aim if self.sense == "at least" else self.value <= self.aim


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the table.

    Attributes
    ----------
    row, title : str
    about : str
        On what it was measured, and how.
    lines : sequence of Line
    figures : sequence of Figure
    date : str
        UTC.
    seconds : float
        That it took.
    load : float
        Average of the minute before its end; on a machine for itself about the cores that the row uses.
    quick : bool
    failed : str
        Why nothing could be measured.
    """

    row: str
    title: str
    about: str = ""
    lines: Sequence[Line] = ()
    figures: Sequence[Figure] = ()
    date: str = ""
    seconds: float = 0.0
    load: float = 0.0
    quick: bool = False
    failed: str = ""


def write(result: Result, path: Path) -> None:
    """Write a row to a file of its own, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(result), indent=1) + "\n")
    partial.replace(path)


def read(path: Path) -> Result:
    """Read a row."""
    return from_json(json.loads(path.read_text()))


def from_json(stored: dict[str, Any]) -> Result:
    """Build a row from its JSON."""
    lines = tuple(Line(**{**line, **_spreads(line)}) for line in stored["lines"])
    figures = tuple(Figure(**each) for each in stored["figures"])
    return Result(**{**stored, "lines": lines, "figures": figures})


def _spreads(line: dict[str, Any]) -> dict[str, Spread | None]:
    return {name: None if line[name] is None else Spread(**line[name]) for name in ("cpu", "wall", "ratio")}


def find(lines: Sequence[Line], way: str, group: str | None = None) -> Line | None:
    """Return the measured line of a way, of a group if there are several, or None."""
    found = [
        line
        for line in lines
        if line.way == way and line.cpu is not None and (group is None or line.group == group)
    ]
    return found[0] if found else None
