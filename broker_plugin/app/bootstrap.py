"""Archived photometry into the photometry topic, in a lane beside the live alerts.

Records and the mark of how far a file is are one transaction, under a transactional id that all bootstraps
of an installation share: one that is killed leaves nothing of its last batch, the next one fences it and
goes on behind the last mark. So each row is loaded once; and were it loaded twice, the merge of epochs
would make nothing of it.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from broker_plugin.app.bootstrap_source import ArchiveSource, Batch, Unit
from broker_plugin.bootstrap import BadRow, Census
from broker_plugin.errors import AbortableTransactionError, FencedError, InputError
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.runner.bus import Bus, NotYetError, Producer, read_topic
from broker_plugin.runner.crash import crash_point
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.topics import require_topics
from broker_plugin.stages.ingest import photometry_output

logger = logging.getLogger(__name__)

_NAME = "bootstrap"  # in the transactional id and at the crash points
_ASK_SECONDS = 1.0
_MAX_ABORTS = 5
_BAD_KEPT = 20


@dataclass(slots=True)
class BootstrapReport:
    """What was loaded.

    Attributes
    ----------
    rows, rows_before : int
        Read now, and loaded by earlier runs.
    records : int
        Written.
    rejected : Counter of str
        Epochs that are not used, by reason.
    bad_rows : int
    bad : list of BadRow
        The first of them.
    unmatched : set of str
        The archive's ids that no object of the stream has.
    census : Census
        Of what was loaded now.
    """

    rows: int = 0
    rows_before: int = 0
    records: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    bad_rows: int = 0
    bad: list[BadRow] = field(default_factory=list)
    unmatched: set[str] = field(default_factory=set)
    census: Census = field(default_factory=Census)

    def add(self, batch: Batch) -> None:
        """Count a batch."""
        self.rows += batch.rows
        self.records += len(batch.photometry)
        self.rejected.update(batch.rejected)
        self.bad_rows += len(batch.bad)
        self.bad += batch.bad[: max(0, _BAD_KEPT - len(self.bad))]
        self.unmatched |= batch.unmatched
        for photometry in batch.photometry:
            self.census.add(photometry)


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """How much of the installation the history may take.

    Attributes
    ----------
    epochs_per_second : float or None
        None: as fast as it goes.
    max_lag : int
        Wait while accumulate is more records behind than this, for a live alert waits behind what lies
        before it; 0: never wait.
    """

    epochs_per_second: float | None = None
    max_lag: int = 5000


class Lane:
    """Holds the history up where the live alerts would have to wait for it.

    Parameters
    ----------
    bus : Bus
    prefix : str
    settings : LaneSettings
    on_wait : callable
        Told how far accumulate is behind, at the beginning of each wait.
    clock : Clock
    """

    def __init__(
        self,
        bus: Bus,
        prefix: str,
        settings: LaneSettings,
        *,
        on_wait: Callable[[int], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        self._bus = bus
        self._settings = settings
        self._on_wait = on_wait
        self._clock = clock or Clock()
        topic = f"{prefix}.photometry"
        count = bus.partition_counts([topic])[topic] or 0
        self._partitions = [Partition(topic, number) for number in range(count)]
        self._group = RunnerSettings(prefix).group("accumulate")
        self._started = self._clock.monotonic()
        self._asked = -float("inf")
        self._sent = 0

    def wait(self) -> None:
        """Return when more may be sent."""
        rate = self._settings.epochs_per_second
        if rate is not None:
            due = self._started + self._sent / rate
            if due > self._clock.monotonic():
                self._clock.sleep(due - self._clock.monotonic())
        if not self._settings.max_lag:
            return
        told = False
        while (lag := self._lag()) > self._settings.max_lag:
            if not told:
                self._on_wait(lag)
                told = True
            self._clock.sleep(_ASK_SECONDS)

    def sent(self, photometry: Sequence[ObjectPhotometry]) -> None:
        """Note what was sent."""
        self._sent += sum(len(epochs) for each in photometry for epochs in each.bands.values())

    def _lag(self) -> int:
        """Return how many records accumulate has not committed; asked once a second at most."""
        if self._clock.monotonic() - self._asked < _ASK_SECONDS:
            return 0
        while True:
            try:
                committed = self._bus.committed(self._group, self._partitions)
                break
            except NotYetError:  # in the middle of a commit
                self._clock.sleep(_ASK_SECONDS)
        self._asked = self._clock.monotonic()
        lag = 0
        for partition in self._partitions:
            first, end = self._bus.offsets(partition)
            stands = committed[partition]
            # The last transaction's marker is no record, and nobody commits it.
            lag += max(0, end - (first if stands is None else max(stands, first)) - 1)
        if lag > self._settings.max_lag:
            self._asked = -float("inf")
        return lag


class Bootstrap:
    """Loads archives into an installation.

    Parameters
    ----------
    bus : Bus
    settings : RunnerSettings
        Prefix.
    source : ArchiveSource
    lane : Lane
    strict : bool
        Stop at the first bad row.
    clock : Clock, optional
    """

    def __init__(
        self,
        bus: Bus,
        settings: RunnerSettings,
        source: ArchiveSource,
        lane: Lane,
        *,
        strict: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._bus = bus
        self._settings = settings
        self._source = source
        self._lane = lane
        self._strict = strict
        self._clock = clock or Clock()
        self._marks_topic = f"{settings.prefix}.bootstrapped"

    def run(
        self, units: Sequence[Unit], *, again: bool = False, on_batch: Callable[[BootstrapReport], None]
    ) -> BootstrapReport:
        """Load what is not loaded yet.

        Parameters
        ----------
        units : sequence of Unit
        again : bool
            From the beginning, whatever was loaded before.
        on_batch : callable
            Told the report after each batch.

        Raises
        ------
        InputError
            A file cannot be used; what was loaded before stays loaded.
        FencedError
            Another bootstrap was started.
        AbortableTransactionError, FatalBusError
            Kafka did not take a batch; start again, and it goes on where it stopped.
        """
        require_topics(self._bus, [f"{self._settings.prefix}.photometry", self._marks_topic])
        report = BootstrapReport()
        producer = self._bus.producer(self._settings.transactional_id(_NAME))
        try:
            producer.init_transactions()
            marks = {} if again else self._marks()
            for unit in units:
                key = self._source.key(unit)
                start_row = marks.get(key, 0)
                report.rows_before += start_row
                for batch in self._source.batches(unit, start_row):
                    check(batch, strict=self._strict)
                    self._lane.wait()
                    self._commit(producer, unit, key, batch)
                    self._lane.sent(batch.photometry)
                    report.add(batch)
                    on_batch(report)
        except FencedError as error:
            msg = f"another bootstrap of this installation has taken over; what was loaded stays: {error}"
            raise FencedError(msg) from error
        finally:
            producer.close()
        return report

    def _commit(self, producer: Producer, unit: Unit, key: str, batch: Batch) -> None:
        """Write one batch and its mark, all or nothing."""
        crash_point(_NAME, "after_step")
        mark = json.dumps({"file": unit.name, "rows": batch.end_row}).encode()
        for attempt in range(_MAX_ABORTS + 1):
            producer.begin()
            try:
                for photometry in batch.photometry:
                    producer.send(photometry_output(self._settings.prefix, photometry))
                crash_point(_NAME, "after_outputs")
                producer.send(Output(self._marks_topic, key.encode(), mark))
                crash_point(_NAME, "after_changelog")
                producer.commit()
            except AbortableTransactionError as error:
                producer.abort()
                if attempt == _MAX_ABORTS:
                    raise
                logger.warning("a batch of %s was not taken, once more: %s", unit.name, error)
                self._clock.sleep(_ASK_SECONDS)
            except KeyboardInterrupt:
                producer.abort()  # let no reader wait for the transaction to time out
                raise
            else:
                break
        crash_point(_NAME, "after_commit")

    def _marks(self) -> dict[str, int]:
        """Return the rows of each unit that are loaded, by its key."""
        marks: dict[str, int] = {}
        for message in read_topic(self._bus, self._marks_topic):
            marks[(message.key or b"").decode()] = int(json.loads(message.value or b"{}").get("rows", 0))
        return marks


def read_all(
    source: ArchiveSource,
    units: Sequence[Unit],
    report: BootstrapReport,
    *,
    strict: bool = False,
    on_batch: Callable[[BootstrapReport], None] = lambda _: None,
) -> Iterator[ObjectPhotometry]:
    """Yield the photometry of archives without an installation, counting it up in the report."""
    for unit in units:
        for batch in source.batches(unit):
            check(batch, strict=strict)
            report.add(batch)
            on_batch(report)
            yield from batch.photometry


def check(batch: Batch, *, strict: bool) -> None:
    """Raise InputError for the first bad row, if that is wanted."""
    if strict and batch.bad:
        raise InputError(str(batch.bad[0]))
