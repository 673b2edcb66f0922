"""Decode and photometry of alert packets beside readers that only decode."""

from __future__ import annotations

from functools import partial

from benchmarks.measure import Absent, Effort, Way, lines, way
from benchmarks.results import Figure, Line, Result, find
from benchmarks.rows import Say
from benchmarks.samples import Packets, messages, packets, readers, stages
from benchmarks.stage_costs import CountingState

OURS = "ingest step: decode, photometry, encode"
READER = "fastavro.reader"
ALL = "all versions"
BATCH = 100


def ingest_ztf(effort: Effort, say: Say) -> Result:
    """Measure packets of ZTF."""
    return _ingest("ztf", 1333.0, 1.6, effort, say)


def ingest_lsst(effort: Effort, say: Say) -> Result:
    """Measure packets of LSST."""
    return _ingest("lsst", 2600.0, None, effort, say)


def ways(groups: dict[str, Packets]) -> tuple[Way, list[Way | Absent]]:
    """Return our way and the others through all packets of the groups, repeated until they fill a batch."""
    times = -(-BATCH // sum(len(group.payloads) for group in groups.values()))
    repeated = [group.payloads * times for group in groups.values()]
    payloads = [payload for group in repeated for payload in group]
    (stage,) = stages("ingest")
    batch, state = messages(payloads), CountingState()
    built = [readers(group) for group in repeated]
    count = len(payloads)

    def other(name: str) -> Way:
        works = [builders[name]() for builders in built]
        return Way(name, lambda: [work() for work in works], count)

    ours = Way(OURS, lambda: stage.step(batch, state), count)
    return ours, [way(name, partial(other, name)) for name in built[0]]


def _ingest(survey: str, aim_rate: float, aim_ratio: float | None, effort: Effort, say: Say) -> Result:
    groups = packets(survey)
    if survey == "lsst" and "simulated" not in groups:
        groups |= packets(survey, simulated=True)
    aimed = "simulated" if survey == "lsst" else ALL
    found: list[Line] = []
    parts = {name: {name: group} for name, group in groups.items()}
    if survey == "ztf":
        parts = {ALL: groups, **(parts if len(parts) > 1 else {})}
    for name, part in parts.items():
        say(f"{survey} packets, {name}")
        ours, others = ways(part)
        found += lines(name, "alert", ours, others, effort)
    figures = []
    mine, reader = find(found, OURS, aimed), find(found, READER, aimed)
    if mine is not None and mine.cpu is not None:
        figures.append(Figure("on one core", 1.0 / mine.cpu.median, "alerts/s", aim_rate, "at least"))
    if reader is not None and reader.ratio is not None:
        ratio = reader.ratio.median
        figures.append(Figure("beside fastavro.reader alone", ratio, "times", aim_ratio, "at least"))
    where = ", ".join(f"{name}: {group.about}" for name, group in groups.items())
    about = (
        f"Packets of {survey.upper()} by schema version, containers of one alert each ({where}), batches of "
        f"{BATCH} or more. Ours is the whole step: decode, apparent magnitudes, barycentric times, quality "
        "cuts, the slim record. The others only decode."
    )
    if survey == "lsst":
        about += (
            " The published samples of LSST have no usable flux, so the aim is judged on simulated packets."
        )
    return Result(f"ingest-{survey}", f"Decode and photometry, {survey.upper()}", about, found, figures)
