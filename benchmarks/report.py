"""Results as JSON and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from benchmarks.results import Figure, Line, Result, Spread

ALL_IN = "all in: client, step, transaction, cache"
STEP = "step, without Kafka"
"""Names of the figures of a record, microseconds of the processor."""

_MET = {True: "yes", False: "**no**", None: ""}


def write(results: Sequence[Result], machine: Mapping[str, str], folder: Path) -> None:
    """Write ``benchmarks.json`` and ``benchmarks.md``."""
    stored = {
        "machine": dict(machine),
        "rows": [asdict(result) for result in results],
        "measured": _for_capacity(results),
    }
    (folder / "benchmarks.json").write_text(json.dumps(stored, indent=1) + "\n")
    (folder / "benchmarks.md").write_text(markdown(results, machine))


def _for_capacity(results: Sequence[Result]) -> dict[str, dict[str, object]]:
    """Return what :mod:`benchmarks.capacity` takes from here: what a record costs besides its step."""
    figures = {(result.row, figure.name): figure.value for result in results for figure in result.figures}
    whole, step = figures.get(("accumulate-kafka", ALL_IN)), figures.get(("accumulate", STEP))
    if whole is None or step is None:
        return {}
    how = "python -m benchmarks --rows accumulate,accumulate-kafka: all in, less the step"
    return {"runner_seconds": {"value": round((whole - step) / 1e6, 9), "unit": "s", "how": how}}


def markdown(results: Sequence[Result], machine: Mapping[str, str]) -> str:
    """Return the whole table: what was aimed at, then each row."""
    return "\n".join([*_aims(results), "", *_machine(machine), *(line for r in results for line in _row(r))])


def _aims(results: Sequence[Result]) -> Iterator[str]:
    yield "| row | figure | measured | aim | met |\n|---|---|---|---|---|"
    for result in results:
        for figure in result.figures:
            if figure.aim is not None:
                yield f"| {result.title} {_judged(figure)}"
        if result.failed:
            yield f"| {result.title} | | {_cell(result.failed)} | | **no** |"


def _machine(machine: Mapping[str, str]) -> Iterator[str]:
    yield "Measured on: " + ", ".join(f"{name} {value}" for name, value in machine.items()) + "."


def _row(result: Result) -> Iterator[str]:
    yield f"\n## {result.title}\n"
    how = "quick, " if result.quick else ""
    yield f"{result.about}\n\n*{how}{result.date}, {result.seconds:.0f} s, load average {result.load:.1f}*\n"
    if result.failed:
        yield f"Not measured: {result.failed}\n"
    for unit, lines in groupby(result.lines, key=lambda line: line.unit):
        yield from _lines(unit, list(lines))
    if result.figures:
        yield "| | measured | aim | met |\n|---|---|---|---|"
        for figure in result.figures:
            yield _judged(figure)
        yield ""


def _lines(unit: str, lines: Sequence[Line]) -> Iterator[str]:
    yield f"| | | processor, {_an(unit)} | clock, {_an(unit)} | a second | times ours |"
    yield "|---|---|---|---|---|---|"
    group = None
    for line in lines:
        shown, group = "" if line.group == group else line.group, line.group
        if line.cpu is None or line.wall is None:
            yield f"| {shown} | {line.way} | {_cell(line.why_not)} | | | |"
            continue
        ratio = "" if line.ratio is None else _times(line.ratio)
        rate = f"{1.0 / line.cpu.median:,.0f}" if line.cpu.median > 0 else ""
        yield f"| {shown} | {line.way} | {_seconds(line.cpu)} | {_seconds(line.wall)} | {rate} | {ratio} |"
    yield ""


def _seconds(spread: Spread) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if spread.median * factor >= 1.0 or unit == "us":
            low, high = _digits(spread.low * factor), _digits(spread.high * factor)
            return f"{_digits(spread.median * factor)} {unit} ({low} to {high})"
    raise AssertionError(spread)


def _times(ratio: Spread) -> str:
    return f"{_digits(ratio.median)} ({_digits(ratio.low)} to {_digits(ratio.high)})"


def _judged(figure: Figure) -> str:
    return f"| {figure.name} | {_value(figure)} | {_aim(figure)} | {_MET[figure.met]} |"


def _value(figure: Figure) -> str:
    return f"{_digits(figure.value)} {figure.unit}".strip()


def _aim(figure: Figure) -> str:
    return "" if figure.aim is None else f"{figure.sense} {_digits(figure.aim)} {figure.unit}".strip()


def _digits(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _an(unit: str) -> str:
    return f"{'an' if unit[0] in 'aeiou' else 'a'} {unit}"


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
