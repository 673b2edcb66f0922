"""Steps with records: a step whose inputs did not change is not done again, an interrupted one goes on.

The record of a step is written last, in one move, so a kill at any moment leaves either a step that is done
or one that is not. Inside a step a fit keeps its own checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.fit import versions
from training.windows import file_digest

Progress = Callable[[str], None]

RECORD = "step.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the experiment.

    Attributes
    ----------
    name : str
        Also its folder: ``fit/joint-seed1``.
    inputs : mapping
        Everything that decides the outcome, JSON values: settings, digests of data and code.
    needs : sequence of str
        Names of steps whose outcome it reads.
    outputs : sequence of str
        Files that it leaves in its folder.
    run : callable
        Given the folder and a progress callable; may find there what an interrupted attempt left.
    """

    name: str
    inputs: Mapping[str, Any]
    needs: Sequence[str]
    outputs: Sequence[str]
    run: Callable[[Path, Progress], None]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What was done.

    Attributes
    ----------
    name : str
    identity : str
        Digest of the inputs and of the identities of the steps that it needs.
    inputs : dict
    outputs : dict of str to str
        sha256 by file.
    versions : dict of str to str
    seconds : float
        Of the last attempt.
    """

    name: str
    identity: str
    inputs: dict[str, Any]
    outputs: dict[str, str]
    versions: dict[str, str]
    seconds: float


def run_steps(steps: Sequence[Step], out: Path, progress: Progress) -> dict[str, StepRecord]:
    """Do the steps in order, skipping those that are done; return the records by name."""
    records: dict[str, StepRecord] = {}
    for number, step in enumerate(steps, start=1):
        needed = {name: records[name].identity for name in step.needs}
        identity = _identity(step, needed)
        folder = out / step.name
        record = _done(folder, step, identity)
        place = f"[{number}/{len(steps)}] {step.name}"
        if record is not None:
            progress(f"{place}: done before")
        else:
            progress(f"{place}: starts")
            started = time.monotonic()
            folder.mkdir(parents=True, exist_ok=True)
            (folder / RECORD).unlink(missing_ok=True)
            _drop_stale(folder, identity)
            step.run(folder, lambda line, place=place: progress(f"{place}: {line}"))  # type: ignore[misc]
            seconds = time.monotonic() - started
            record = _write(folder, step, identity, seconds)
            progress(f"{place}: done in {seconds:.0f} s")
        records[step.name] = record
    return records


def _identity(step: Step, needed: Mapping[str, str]) -> str:
    content = json.dumps([step.name, step.inputs, needed, list(step.outputs)], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()


def _done(folder: Path, step: Step, identity: str) -> StepRecord | None:
    """Return the record if it is of these inputs and every output is there, unchanged."""
    try:
        record = StepRecord(**json.loads((folder / RECORD).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    if record.identity != identity:
        return None
    same = all(
        (folder / name).exists() and file_digest(folder / name) == record.outputs.get(name)
        for name in step.outputs
    )
    return record if same else None


def _drop_stale(folder: Path, identity: str) -> None:
    """Empty the folder of another attempt's remains, unless that attempt had the same inputs."""
    mark = folder / "attempt.txt"
    if mark.exists() and mark.read_text() == identity:
        return
    for entry in folder.iterdir():
        if entry.is_file():
            entry.unlink()
    mark.write_text(identity)


def _write(folder: Path, step: Step, identity: str, seconds: float) -> StepRecord:
    record = StepRecord(
        name=step.name,
        identity=identity,
        inputs=json.loads(json.dumps(step.inputs, default=str)),
        outputs={name: file_digest(folder / name) for name in step.outputs},
        versions=versions(),
        seconds=round(seconds, 1),
    )
    partial = folder / f"{RECORD}.partial"
    columns = {name: getattr(record, name) for name in StepRecord.__slots__}
    partial.write_text(json.dumps(columns, indent=1) + "\n")
    os.replace(partial, folder / RECORD)
    return record
