"""Merging epochs into light curves beside a dictionary that keeps nothing when the process ends."""

from __future__ import annotations

import io
from bisect import bisect_left
from typing import Any

import fastavro

from benchmarks.measure import Effort, Way, lines
from benchmarks.report import STEP
from benchmarks.results import Figure, Result, find
from benchmarks.rows import Say
from benchmarks.samples import Curve, curves, messages, photometry_record, stages
from benchmarks.stage_costs import CountingState
from broker_plugin.records import schemas

OURS = "accumulate step, state in memory"
DICTIONARY = "a dictionary of lists, no durability"
_BATCH = 500
_RESCORE_AFTER = 20
_WINDOW = 200
_HEAD_BYTES = 10  # of Avro's single-object encoding: a mark and the schema's fingerprint


def records(n_objects: int, n_epochs: int) -> list[bytes]:
    """Return photometry of one epoch a record, night by night."""
    stars = curves(n_objects, n_epochs)
    grown = [
        Curve(star.time_mjd[: n + 1], star.mag[: n + 1], star.magerr[: n + 1])
        for n in range(n_epochs)
        for star in stars
    ]
    return [
        photometry_record(f"ZTF{n % n_objects:09d}", curve, last=1, alert=n)[1]
        for n, curve in enumerate(grown)
    ]


def ways(n_objects: int, n_epochs: int) -> tuple[Way, Way]:
    """Return our way and the dictionary's, each from nothing through the same records."""
    values = records(n_objects, n_epochs)
    batches = [messages(values[start : start + _BATCH]) for start in range(0, len(values), _BATCH)]

    def ours() -> CountingState:
        (stage,) = stages("accumulate")
        state = CountingState()
        for batch in batches:
            stage.step(batch, state)
        return state

    return Way(OURS, ours, len(values)), Way(DICTIONARY, lambda: _in_a_dictionary(values), len(values))


def _in_a_dictionary(values: list[bytes]) -> int:
    """Do what one would write first: sorted lists of epochs by object, a window at each twentieth."""
    schema = schemas.latest_schema("photometry")
    light_curves: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    n_windows = 0
    for value in values:
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[_HEAD_BYTES:]), schema)
        for band in record["bands"]:
            curve = light_curves.setdefault((record["object_id"], band["band"]), [])
            for epoch in zip(band["time_mjd"], band["mag"], band["magerr"], strict=True):
                place = bisect_left(curve, epoch)
                if place == len(curve) or curve[place][0] != epoch[0]:
                    curve.insert(place, epoch)
            if len(curve) >= _WINDOW and len(curve) % _RESCORE_AFTER == 0:
                n_windows += len(curve[-_WINDOW:]) == _WINDOW
    return n_windows


def accumulate(effort: Effort, say: Say) -> Result:
    """Measure the step by itself."""
    n_objects = 10 if effort.quick else 20
    ours, dictionary = ways(n_objects, 240)
    say(f"{ours.units:,.0f} epoch records")
    found = lines("1 epoch a record", "record", ours, [dictionary], effort)
    state = ours.work()
    assert isinstance(state, CountingState)
    figures = [Figure("changelog, before lz4", state.put_bytes / ours.units, "B/alert", 600.0, "at most")]
    mine = find(found, OURS)
    if mine is not None and mine.cpu is not None:
        figures.append(Figure(STEP, mine.cpu.median * 1e6, "us/record"))
    about = (
        f"{n_objects} objects from their first to their 240th epoch, one new epoch a record, batches of "
        f"{_BATCH}. Ours merges by the identity rules (repeats, revisions, withdrawals), packs, counts and "
        "emits windows of 200 epochs; the dictionary sorts and drops equal times."
    )
    return Result("accumulate", "Accumulate, the step alone", about, found, figures)
