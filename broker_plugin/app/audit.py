"""An audit of an installation: what the photometry topic must have led to, against what is there.

It reads the photometry topic from its beginning, computes windows and state with the pure code, and compares
them with what a reader of committed records sees. It needs the whole photometry topic and an idle
installation, and holds the state of one partition at a time in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from broker_plugin.annotate.memory import Publish
from broker_plugin.app.audit_annotations import (
    expected_annotations,
    memory_problems,
    published_novelties,
    read_chains,
)
from broker_plugin.app.audit_model import recomputed_problems
from broker_plugin.app.audit_objects import read_objects
from broker_plugin.app.audit_place import place_problems
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_window
from broker_plugin.records.window import WITHDRAWAL
from broker_plugin.runner.bus import Bus, read_partition, read_topic
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.protocols import Message, Partition
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import MemoryStore
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.score import RESCORE, ScoreStage, unfit

_BATCH = 500
_NAMED = 5  # of each kind of difference, enough to look at


@dataclass(slots=True)
class AuditReport:
    """What was compared, and what differs.

    Attributes
    ----------
    photometry, windows, annotations, objects, state_keys : int
        How many were expected; of objects their combined annotations.
    problems : list of str
        One line each; empty when everything is as it must be.
    """

    photometry: int = 0
    windows: int = 0
    annotations: int = 0
    objects: int = 0
    state_keys: int = 0
    problems: list[str] = field(default_factory=list)

    def compare(self, what: str, expected: Counter[str], found: Counter[str]) -> None:
        """Note what is missing, repeated or foreign."""
        for verdict, difference in (("missing", expected - found), ("too many", found - expected)):
            if difference:
                names = ", ".join(f"{name} ({n})" for name, n in difference.most_common(_NAMED))
                self.problems.append(f"{what}: {difference.total()} {verdict}, for instance {names}")


def audit(
    bus: Bus,
    prefix: str,
    settings: WindowSettings,
    *,
    scored: bool = True,
    publish: Publish = "changes",
    stage: ScoreStage | None = None,
    combined: bool = False,
) -> AuditReport:
    """Compare an installation with what its photometry topic must have led to.

    Parameters
    ----------
    bus : Bus
    prefix : str
    settings : WindowSettings
        Those the installation has run with all along.
    scored : bool
        Whether the score stage has run to the end, too.
    publish : {"changes", "all"}
        What it publishes, as the installation is configured.
    stage : ScoreStage, optional
        Built as the one that has run all along, model included: the annotations are computed again, too,
        with some 0.2 s a window.
    combined : bool
        Whether the combine stage has run to the end, too.

    Returns
    -------
    AuditReport
    """
    report = AuditReport()
    expected_windows: Counter[str] = Counter()
    scorable: dict[str, None] = {}
    photometry = f"{prefix}.photometry"
    for number in range(bus.partition_counts([photometry])[photometry] or 0):
        partition = Partition(photometry, number)
        values, state, end = _expected(bus, partition, AccumulateStage(prefix, settings), report)
        for value in values:
            window = decode_window(value)
            name = f"{window.object_id}/{window.band}/{window.window_id}"
            expected_windows[name] += 1
            if window.kind != WITHDRAWAL and unfit(window) is None:
                scorable[name] = None
        _compare_state(bus, prefix, partition, state, end=end, report=report)
    report.windows = expected_windows.total()
    report.compare("windows", expected_windows, Counter(_windows(bus, prefix)))
    if scored:
        _compare_annotations(bus, prefix, scorable, publish, report)
        if stage is not None:
            report.problems += recomputed_problems(bus, prefix, stage)
    if combined:
        whole = read_objects(bus, prefix)
        report.objects = whole.expected.total()
        report.compare("objects", whole.expected, whole.found)
        report.problems += whole.problems
    return report


def _expected(
    bus: Bus, partition: Partition, stage: AccumulateStage, report: AuditReport
) -> tuple[list[bytes], dict[bytes, bytes], int | None]:
    """Return the windows and the state that one partition of photometry must lead to, and its end."""
    # Everything stays in the batch's layer: nothing is committed, so below it there is nothing.
    state = BatchState(CommittedState({partition.partition: MemoryStore()}))
    windows: list[bytes] = []
    end: int | None = None
    batch: list[Message] = []
    for message in (*read_partition(bus, partition.topic, partition.partition), None):
        if message is not None:
            batch.append(message)
            end = message.offset + 1
            report.photometry += 1
        if batch and (message is None or len(batch) == _BATCH):
            outputs = stage.step(batch, state).outputs
            windows += [o.value for o in outputs if o.value and o.topic.endswith(".lightcurves")]
            batch = []
    values = state.changes.get(partition.partition, {})
    return windows, {key: value for key, value in values.items() if value is not None}, end


def _compare_state(
    bus: Bus,
    prefix: str,
    partition: Partition,
    expected: dict[bytes, bytes],
    *,
    end: int | None,
    report: AuditReport,
) -> None:
    report.state_keys += len(expected)
    changes, positions = replay_records(read_partition(bus, f"{prefix}.changelog", partition.partition), {})
    found = {key: value for key, value in changes.items() if value is not None}
    differing = [k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k)]
    where = f"state of partition {partition.partition}"
    if differing:
        names = ", ".join(repr(key) for key in sorted(differing)[:_NAMED])
        report.problems.append(f"{where}: {len(differing)} values differ, for instance {names}")
    committed = bus.committed(f"{prefix}.accumulate", [partition])[partition]
    report.problems += place_problems(where, positions.get(partition.topic), committed)
    if (committed or 0) < (end or 0):
        report.problems.append(f"{where}: the group stands at {committed}, the topic ends at {end}: not idle")


def _compare_annotations(
    bus: Bus, prefix: str, scorable: Collection[str], publish: Publish, report: AuditReport
) -> None:
    chains = read_chains(bus, prefix)
    expected = expected_annotations(scorable, chains, publish)
    report.annotations = expected.total()
    report.compare("annotations", expected, chains.windows)
    report.compare("annotations", Counter(), chains.repeated)
    report.compare("novelties", chains.novelties, published_novelties(bus, prefix))
    report.problems += chains.problems[:_NAMED]
    report.problems += memory_problems(bus, prefix, chains)


def _windows(bus: Bus, prefix: str) -> Iterator[str]:
    for message in read_topic(bus, f"{prefix}.lightcurves"):
        if any(name == RESCORE for name, _ in message.headers):
            continue  # sent again by `rescore`, so that another model judges it
        window = decode_window(message.value or b"")
        yield f"{window.object_id}/{window.band}/{window.window_id}"
