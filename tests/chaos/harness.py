"""An installation under attack: its topics, its workers as real processes, and the verdict at the end."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

import broker_plugin
from broker_plugin.app.audit import AuditReport, audit
from broker_plugin.errors import BrokerPluginError
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.runner.bus import TopicSpec, read_partition
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.rocks import RocksStore
from broker_plugin.runner.store import CacheStamp
from broker_plugin.runner.topics import create_missing, plan_topics
from tests.chaos.load import Feeder

logger = logging.getLogger(__name__)

KILLED = -signal.SIGKILL
SESSION_SECONDS = 6.0  # the least that a broker takes unless told otherwise
MAX_POLL_SECONDS = 60.0  # a busy machine may take any time over a batch, and whoever waits for this says so
TRANSACTION_SECONDS = 5.0
QUICK = {
    "RUNNER__SESSION_TIMEOUT_SECONDS": f"{SESSION_SECONDS:g}",
    "RUNNER__MAX_POLL_INTERVAL_SECONDS": f"{MAX_POLL_SECONDS:g}",
    "RUNNER__TRANSACTION_TIMEOUT_SECONDS": f"{TRANSACTION_SECONDS:g}",
    "RUNNER__BATCH_RECORDS": "50",
    "RUNNER__BATCH_SECONDS": "0.2",
    "KAFKA__CONSUMER_OPTIONS__HEARTBEAT_INTERVAL_MS": "500",
    "KAFKA__CONSUMER_OPTIONS__FETCH_WAIT_MAX_MS": "100",
    "METRICS__ENABLED": "false",
}
"""Settings under which the dead are noticed within seconds, and a small load makes many commits."""

_INPUT = {
    "accumulate": "photometry",
    "score": "lightcurves",
    "ingest": "alerts",
    "combine": "classifications",
}
PATIENCE_SECONDS = 180.0  # for whatever happens at all; how long it takes is the machine's business
_SLICE_SECONDS = 0.3
_SHOWN = 4000  # characters of a worker's log in a failure


class Worker:
    """One ``broker-plugin run`` process and its log."""

    def __init__(self, name: str, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=Path(broker_plugin.__file__).parents[1],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def alive(self) -> bool:
        """Return whether it has not ended."""
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """Return what it has logged so far."""
        return self.log.read_text(errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it is still there."""
        if self.alive:
            self.process.send_signal(number)

    def kill(self) -> int:
        """SIGKILL, and wait for the end; return the exit status: its own, if that was first."""
        self.send(signal.SIGKILL)
        return self.wait()

    def terminate(self, seconds: float = PATIENCE_SECONDS) -> int:
        """SIGTERM: finish the batch, commit, leave the group; return the exit status."""
        self.send(signal.SIGTERM)
        return self.wait(seconds)

    def leave(self) -> None:
        """SIGTERM; fail unless it ends as it must."""
        status = self.terminate()
        # Before there is a handler, SIGTERM ends it as it ends any process; it has joined nothing yet.
        unborn = -signal.SIGTERM if "running" not in self.output else 0
        assert status in {0, unborn}, f"worker {self.name} ended with {status}:\n{self.output[-_SHOWN:]}"

    def stop(self) -> None:
        """SIGSTOP: from now on it does nothing, and does not know."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.send(signal.SIGCONT)

    def wait_until_stopped(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until SIGSTOP has reached it, from whomever."""

        def stopped() -> bool:
            words = ["ps", "-o", "stat=", "-p", str(self.process.pid)]
            state = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
            assert state, f"worker {self.name} ended with {self.process.poll()}:\n{self.output[-_SHOWN:]}"
            return state.startswith("T")

        wait_until(stopped, lambda: f"the stop of {self.name}:\n{self.output[-_SHOWN:]}", seconds)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for the end; return the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            msg = f"worker {self.name} has not ended within {seconds:g} s:\n{self.output[-_SHOWN:]}"
            raise AssertionError(msg) from None

    def wait_for_log(self, text: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until it has logged a text."""
        wait_until(
            lambda: text in self.output,
            lambda: f"{text!r} in the log of {self.name}:\n{self.output[-_SHOWN:]}",
            seconds,
        )


@dataclass
class Installation:
    """Topics, workers and load under one prefix. As a context, it leaves no process behind.

    Attributes
    ----------
    bootstrap : str
        Address of its Kafka.
    prefix : str
    folder : Path
        State directories (``state/<name>``) and logs (``logs/<name>.log``).
    partitions : int
    window : WindowSettings
        When windows fall due; the workers are told, and so is the audit.
    replication : int or None
        Copies of each partition; None takes the cluster's choice.
    settings : mapping of str to str
        Configuration of every worker over :data:`QUICK`, by environment names without ``BROKER_PLUGIN_``.
    """

    bootstrap: str
    prefix: str
    folder: Path
    partitions: int = 4
    window: WindowSettings = field(default_factory=lambda: WindowSettings(rescore_after=25))
    replication: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bus = KafkaBus(
            KafkaSettings(
                self.bootstrap,
                consumer={"fetch.wait.max.ms": 50},
                connect_timeout_seconds=30.0,
                operation_timeout_seconds=120.0,
            )
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.kill()

    @property
    def photometry(self) -> str:
        """Return the name of the topic that the load goes to."""
        return f"{self.prefix}.photometry"

    def create_topics(self, *, alert_partitions: int = 0) -> None:
        """Create the topics, and one for alerts if it is to have partitions."""
        planned = plan_topics(self.prefix, self.partitions, replication=self.replication)
        if alert_partitions:
            planned.append(TopicSpec(f"{self.prefix}.alerts", alert_partitions, {}, self.replication))
        create_missing(self.bus, planned)

    def feed(self, records: Iterable[Output], per_second: float = float("inf")) -> Feeder:
        """Return a feeder of the photometry topic; use it as a context, or start() and finish() it."""
        return Feeder(self.bus, self.photometry, records, per_second)

    def environment(self, name: str, state: Path | None = None, **settings: str) -> dict[str, str]:
        """Return the environment of a worker or of a command."""
        own = {
            "PREFIX": self.prefix,
            "KAFKA__BOOTSTRAP": self.bootstrap,
            "TOPICS__PARTITIONS": str(self.partitions),
            "ACCUMULATE__WINDOW": self.window.kind,
            "ACCUMULATE__RESCORE_AFTER": str(self.window.rescore_after),
            "ACCUMULATE__MAX_EPOCHS": str(self.window.max_epochs),
            "ACCUMULATE__STATE_DIRECTORY": str(state or self.folder / "state" / name),
            "RUNNER__INSTANCE_ID": name,
            **QUICK,
            **self.settings,
            **settings,
        }
        return os.environ | {f"BROKER_PLUGIN_{key}": value for key, value in own.items()}

    def worker(
        self,
        name: str = "a",
        *,
        stages: str = "accumulate",
        state: Path | None = None,
        crash_point: str = "",
        command: list[str] | None = None,
        **settings: str,
    ) -> Worker:
        """Start a worker.

        Parameters
        ----------
        name : str
            Its ``runner.instance_id``; a second one under the same name fences the first.
        stages : str
        state : Path, optional
            Its state directory; by default the one of its name, which outlives it.
        crash_point : str
            Where it is to die: ``[stage/]point[:n]``, see :mod:`broker_plugin.runner.crash`.
        command : list of str, optional
            Another program than ``broker-plugin run``, under the same environment.
        **settings : str
            Configuration by environment names without ``BROKER_PLUGIN_``.
        """
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        environment = self.environment(name, state, **settings)
        if crash_point:
            environment["BROKER_PLUGIN_CRASH_POINT"] = crash_point
        run = [sys.executable, "-m", "broker_plugin", "run", "--stages", stages]
        worker = Worker(name, command or run, environment, logs / f"{len(self.workers)}-{name}.log")
        self.workers.append(worker)
        return worker

    def command(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a ``broker-plugin`` command to its end, whatever its exit status."""
        return subprocess.run(
            [sys.executable, "-m", "broker_plugin", *words],
            env=self.environment("command", **settings),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def progress(self, stage: str = "accumulate") -> int:
        """Return the sum of the offsets that a stage has committed; waits for open transactions."""
        topic = f"{self.prefix}.{_INPUT[stage]}"
        count = self.bus.partition_counts([topic])[topic] or 0
        found = self.bus.committed(f"{self.prefix}.{stage}", [Partition(topic, n) for n in range(count)])
        return sum(offset or 0 for offset in found.values())

    def wait_for_progress(
        self, records: int, stage: str = "accumulate", seconds: float = PATIENCE_SECONDS
    ) -> int:
        """Wait until a stage has committed so many more records; return the sum of its offsets."""
        found: list[int] = []  # what could be read, while a broker or a transaction may keep it from us

        def advanced() -> bool:
            with contextlib.suppress(BrokerPluginError):
                found.append(self.progress(stage))
                return found[-1] >= found[0] + records
            return False

        wait_until(
            advanced,
            lambda: f"{records} more records of {stage} after {found}; {self.describe_workers()}",
            seconds,
        )
        return found[-1]

    def wait_until_forgotten(self, stage: str) -> None:
        """Wait until the group has taken all of its members for dead, and forgotten them."""
        group = f"{self.prefix}.{stage}"
        admin = AdminClient({"bootstrap.servers": self.bootstrap})

        def members() -> list[str]:
            described = admin.describe_consumer_groups([group])[group].result(PATIENCE_SECONDS)
            return [member.client_id for member in described.members]

        wait_until(lambda: not members(), lambda: f"{group} without members: {members()}")

    def wait_until_fed(self, feeder: Feeder, records: int) -> None:
        """Wait until a feeder has written so many records."""
        wait_until(lambda: feeder.sent >= records, lambda: f"{records} records written, {feeder.sent} are")

    def standing(self) -> str:
        """Return where each stage stands: of each partition the first offset, the end and the group's."""
        lines = []
        for stage, name in _INPUT.items():
            topic = f"{self.prefix}.{name}"
            with contextlib.suppress(BrokerPluginError):
                count = self.bus.partition_counts([topic])[topic] or 0
                here = [Partition(topic, number) for number in range(count)]
                ends = [self.bus.offsets(partition) for partition in here]
                group = self.bus.committed(f"{self.prefix}.{stage}", here)
                stands = [(*ends[p.partition], group[p]) for p in here]
                lines.append(f"{stage}: {stands}")
        return "\n".join(lines)

    def describe_workers(self) -> str:
        """Return the end of the log of each worker that lives."""
        return "\n".join(f"--- {w.log}\n{w.output[-_SHOWN:]}" for w in self.workers if w.alive)

    def backlog(self, stage: str, seconds: float = 1.0) -> bool:
        """Return whether there are committed records that a stage has not committed yet.

        Parameters
        ----------
        stage : str
        seconds : float
            How long to wait for a record; whoever asks again and again need not wait long.

        Raises
        ------
        NotYetError
            A transaction is open.
        """
        topic = f"{self.prefix}.{_INPUT[stage]}"
        count = self.bus.partition_counts([topic])[topic] or 0
        partitions = [Partition(topic, number) for number in range(count)]
        stands = self.bus.committed(f"{self.prefix}.{stage}", partitions)
        for partition in partitions:
            first, end = self.bus.offsets(partition)
            start = stands[partition]
            start = first if start is None else start
            if start >= end:
                continue
            for _ in read_partition(self.bus, topic, partition.partition, start, timeout_seconds=seconds):
                return True
        return False

    def wait_until_idle(self, *stages: str, seconds: float = PATIENCE_SECONDS, exits: bool = False) -> None:
        """Wait until the stages have committed every record there is, while none of the last workers dies.

        Parameters
        ----------
        *stages : str
            In the order of the flow; accumulate by default.
        seconds : float
        exits : bool
            Whether workers may end meanwhile.
        """
        alive = [worker for worker in self.workers if worker.alive]

        def idle() -> bool:
            for worker in alive:
                assert exits or worker.alive, (
                    f"worker {worker.name} ended with {worker.process.returncode}:\n{worker.output[-_SHOWN:]}"
                )
            with contextlib.suppress(BrokerPluginError):
                return not any(self.backlog(stage) for stage in stages or ("accumulate",))
            return False

        def detail() -> str:
            return f"the end of the backlog of {stages or ('accumulate',)}:\n{self.describe_workers()}"

        wait_until(idle, detail, seconds)

    def check_caches(self) -> int:
        """Compare each local cache with the changelog up to where the cache says it stands; return how many.

        Whoever died where: what is on disk must be a true earlier state. For installations whose workers
        have ended and whose changelog is not compacted yet.
        """
        changelogs = {
            number: list(read_partition(self.bus, f"{self.prefix}.changelog", number))
            for number in range(self.partitions)
        }
        checked = 0
        for folder in sorted(self.folder.glob("state/*/accumulate/*")):
            if not folder.name.isdigit():
                continue  # a further slot, which only a worker beside a living one would open
            number = int(folder.name)
            stamp, held = _held(folder)
            if stamp is None:
                continue
            below = [message for message in changelogs[number] if message.offset < stamp.offset]
            changes, positions = replay_records(below, {})
            expected = {key: value for key, value in changes.items() if value is not None}
            assert (dict(stamp.positions), held == expected) == (positions, True), f"{folder}: {stamp}"
            checked += 1
        return checked

    def check(self, *, scored: bool = False, combined: bool = False, where: str = "") -> AuditReport:
        """Audit; fail with every line of what is wrong, and with ``where`` to find it again (the seed)."""
        report = audit(self.bus, self.prefix, self.window, scored=scored, combined=combined)
        assert not report.problems, "\n".join([where, f"logs in {self.folder / 'logs'}", *report.problems])
        assert report.windows > 0, f"{where}: an audit of no windows proves nothing"
        assert not scored or report.annotations > 0, f"{where}: an audit of no annotations proves nothing"
        assert not combined or report.objects > 0, f"{where}: an audit of no whole objects proves nothing"
        return report


def _held(cache: Path) -> tuple[CacheStamp | None, dict[bytes, bytes]]:
    """Return what a cache holds, of a copy: opening the cache itself would empty its log into a table."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(cache, Path(scratch) / cache.name)
        store = RocksStore(Path(scratch), int(cache.name))
        try:
            return store.stamp(), dict(store.scan(b""))
        finally:
            store.close()


def note(attack: str, **figures: float | str) -> None:
    """Tell what an attack has done; with BROKER_PLUGIN_TEST_FIGURES, as a line of JSON in that file, too."""
    logger.warning("%s: %s", attack, ", ".join(f"{name} {value}" for name, value in figures.items()))
    path = os.environ.get("BROKER_PLUGIN_TEST_FIGURES")
    if path:
        with Path(path).open("a") as stream:
            stream.write(json.dumps({"attack": attack, **figures}) + "\n")


def wait_until(
    condition: Callable[[], bool], what: Callable[[], str], seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait until a condition holds; fail saying what does not happen."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline  # before the last look: we may have slept through it ourselves
        if condition():
            return
        assert not late, f"not within {seconds:g} s: {what()}"
        time.sleep(_SLICE_SECONDS)
