"""An audit of an installation: what the photometry topic must have led to, against what is there.

It reads the photometry topic from its beginning, computes windows and state with the pure code, and compares
them with what a reader of committed records sees. It needs the whole photometry topic and an idle
installation, and holds the state of one partition at a time in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from broker_plugin.features import screen
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_classification, decode_novelty, decode_window
from broker_plugin.records.window import WINDOW_EPOCHS
from broker_plugin.runner.bus import Bus, read_partition, read_topic
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.protocols import Message, Partition
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import MemoryStore
from broker_plugin.stages.accumulate import AccumulateStage

_BATCH = 500
_NAMED = 5  # of each kind of difference, enough to look at


@dataclass(slots=True)
class AuditReport:
    """What was compared, and what differs.

    Attributes
    ----------
    photometry, windows, annotations, state_keys : int
        How many were expected.
    problems : list of str
        One line each; empty when everything is as it must be.
    """

    photometry: int = 0
    windows: int = 0
    annotations: int = 0
    state_keys: int = 0
    problems: list[str] = field(default_factory=list)

    def compare(self, what: str, expected: Counter[str], found: Counter[str]) -> None:
        """Note what is missing, repeated or foreign."""
        for verdict, difference in (("missing", expected - found), ("too many", found - expected)):
            if difference:
                names = ", ".join(f"{name} ({n})" for name, n in difference.most_common(_NAMED))
                self.problems.append(f"{what}: {difference.total()} {verdict}, for instance {names}")


def audit(bus: Bus, prefix: str, settings: WindowSettings, *, scored: bool = True) -> AuditReport:
    """Compare an installation with what its photometry topic must have led to.

    Parameters
    ----------
    bus : Bus
    prefix : str
    settings : WindowSettings
        Those the installation has run with all along.
    scored : bool
        Whether the score stage has run to the end, too.

    Returns
    -------
    AuditReport
    """
    report = AuditReport()
    expected_windows: Counter[str] = Counter()
    scorable: Counter[str] = Counter()
    photometry = f"{prefix}.photometry"
    for number in range(bus.partition_counts([photometry])[photometry] or 0):
        partition = Partition(photometry, number)
        values, state, end = _expected(bus, partition, AccumulateStage(prefix, settings), report)
        for value in values:
            window = decode_window(value)
            name = f"{window.object_id}/{window.band}/{window.window_id}"
            expected_windows[name] += 1
            epochs = window.epochs
            if len(epochs) == WINDOW_EPOCHS and not screen(
                epochs["time_mjd"], epochs["mag"], epochs["magerr"]
            ):
                scorable[name] += 1
        _compare_state(bus, prefix, partition, state, end=end, report=report)
    report.windows = expected_windows.total()
    report.annotations = scorable.total()
    report.compare("windows", expected_windows, Counter(_windows(bus, prefix)))
    if scored:
        _compare_annotations(bus, prefix, scorable, report)
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
    stands = positions.get(partition.topic)
    if stands != committed:
        report.problems.append(f"{where}: the changelog stands at {stands}, the group at {committed}")
    if (committed or 0) < (end or 0):
        report.problems.append(f"{where}: the group stands at {committed}, the topic ends at {end}: not idle")


def _compare_annotations(bus: Bus, prefix: str, scorable: Counter[str], report: AuditReport) -> None:
    found: Counter[str] = Counter()
    novel: Counter[str] = Counter()
    for message in read_topic(bus, f"{prefix}.classifications"):
        annotation = decode_classification(message.value or b"")
        found[f"{annotation.object_id}/{annotation.band}/{annotation.window_id}"] += 1
        if annotation.novel:
            novel[annotation.annotation_id] += 1
    report.compare("annotations", scorable, found)
    published: Iterable[str] = (
        decode_novelty(message.value or b"").annotation.annotation_id
        for message in read_topic(bus, f"{prefix}.novelties")
    )
    report.compare("novelties", novel, Counter(published))


def _windows(bus: Bus, prefix: str) -> Iterator[str]:
    for message in read_topic(bus, f"{prefix}.lightcurves"):
        window = decode_window(message.value or b"")
        yield f"{window.object_id}/{window.band}/{window.window_id}"
