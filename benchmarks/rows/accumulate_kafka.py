"""Accumulate on a real Kafka, from the epoch record to the committed state, beside Quix Streams."""

from __future__ import annotations

import contextlib
import math
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import CannotRunError, Effort, Turn, spread
from benchmarks.own_environment import python_of
from benchmarks.processes import cpu_seconds, wait_for
from benchmarks.report import ALL_IN
from benchmarks.results import Figure, Line, Result, Spread
from benchmarks.rows import Say
from benchmarks.samples import Curve, photometry_record
from benchmarks.soak import size_mb
from broker_plugin.errors import BrokerPluginError
from broker_plugin.records import schemas
from broker_plugin.runner.bus import Bus
from broker_plugin.runner.protocols import Output, Partition
from tests.chaos.counters import free_port, scrape, total
from tests.chaos.harness import Installation, Worker
from tests.kafka_server import KafkaNotFoundError, KafkaServer, kafka_jars

OURS = "broker-plugin run --stages accumulate"
QUIX = "Quix Streams, exactly-once"
_AS_SHIPPED = {"RUNNER__BATCH_RECORDS": "500", "RUNNER__BATCH_SECONDS": "1", "METRICS__ENABLED": "true"}
_FIRST_MJD = 59_000.0
_MARK_MAG = 15.015625
_PARTITIONS = 4
_EPOCHS_BEFORE = range(20, 180)
"""Of the objects in turns: packed chunks of state of every fill."""


@contextmanager
def kafka(folder: Path) -> Iterator[KafkaServer]:
    """Start a Kafka of its own."""
    try:
        with KafkaServer(kafka_jars(), folder) as server:
            yield server
    except KafkaNotFoundError as error:
        raise CannotRunError(str(error)) from error


class Template:
    """Photometry records of one epoch, microseconds each: encoded once, id, times and magnitude patched."""

    def __init__(self) -> None:
        curve = Curve(np.array([_FIRST_MJD]), np.array([_MARK_MAG]), np.array([0.02]))
        key, value = photometry_record("ZTF000000000", curve)
        self._key = bytearray(key)
        self._value = bytearray(value)
        self._ids = (key.index(b"ZTF0") + 3, value.index(b"ZTF0") + 3)
        mark = struct.pack("<d", _FIRST_MJD)
        places = [n for n in range(len(value)) if value.startswith(mark, n)]
        if len(places) != 2:  # the epoch's and the alert's
            msg = f"time is {len(places)} times in the record, expected twice"
            raise RuntimeError(msg)
        self._times = places
        self._mag = value.index(struct.pack("<f", _MARK_MAG))

    def record(self, topic: str, number: int, night: int) -> Output:
        """Return one object's record of one night."""
        digits = b"%09d" % number
        self._key[self._ids[0] : self._ids[0] + 9] = digits
        self._value[self._ids[1] : self._ids[1] + 9] = digits
        for place in self._times:
            struct.pack_into("<d", self._value, place, _FIRST_MJD + 3.0 * night)
        # Digits without an end: equal magnitudes would be squeezed to nothing on Kafka's disk.
        struct.pack_into("<f", self._value, self._mag, 15.0 + math.sin(number * 7.1 + night * 3.3))
        return Output(topic, bytes(self._key), bytes(self._value))


def publish(bus: Bus, records: Iterator[Output]) -> int:
    """Write records as fast as the broker takes them; return how many."""
    producer = bus.producer()
    count = 0
    for count, record in enumerate(records, 1):  # noqa: B007
        producer.send(record)
    producer.flush()
    producer.close()
    return count


@dataclass(frozen=True, slots=True)
class Stretch:
    """Of a topic: from when a group has committed ``start`` records until it has committed ``end``."""

    group: str
    start: int
    end: int


def turn_of(
    worker: Worker, home: Installation, stretch: Stretch, counters: Callable[[], list[float]] = list
) -> tuple[Turn, list[float]]:
    """Return what a record costs a process over a stretch, and by how much each counter grows with it."""
    partitions = [Partition(home.photometry, number) for number in range(_PARTITIONS)]
    seen = [0]

    def reached(wanted: int) -> bool:
        if not worker.alive:
            msg = f"{worker.name} ended:\n{worker.output[-1500:]}"
            raise CannotRunError(msg)
        with contextlib.suppress(BrokerPluginError):  # a group that is being made has no coordinator yet
            seen[0] = sum(offset or 0 for offset in home.bus.committed(stretch.group, partitions).values())
        return seen[0] >= wanted

    def waited() -> str:
        return f"{stretch} by {worker.name}, {seen[0]} are committed: {worker.output[-800:]}"

    wait_for(lambda: reached(stretch.start), waited, 600.0)
    done, wall, cpu, counted = seen[0], time.monotonic(), cpu_seconds(worker.process.pid), counters()
    wait_for(lambda: reached(stretch.end), waited, 600.0)
    units = max(1, stretch.end - done)
    turn = Turn((time.monotonic() - wall) / units, (cpu_seconds(worker.process.pid) - cpu) / units)
    return turn, [(after - before) / units for after, before in zip(counters(), counted, strict=True)]


def accumulate_kafka(effort: Effort, say: Say) -> Result:
    """Measure ours and theirs in turns, each as a process that reads the same topic from its start."""
    n_objects, nights = (2000, 5) if effort.quick else (5000, 10)
    repetitions = 1 if effort.quick else 3
    ours: list[Turn] = []
    theirs: list[Turn] = []
    why_not, changelog = "", [0.0, 0.0]
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as closing:
        folder = Path(name)
        server = closing.enter_context(kafka(folder / "kafka"))
        try:
            python = python_of("quixstreams", Path(__file__).parents[1] / "quix-constraints.txt", say)
        except CannotRunError as error:
            why_not = str(error)
        for repetition in range(repetitions):
            prefix = f"bench{repetition}"
            home = Installation(
                server.bootstrap, prefix, folder / prefix, partitions=_PARTITIONS, settings=_AS_SHIPPED
            )
            with home:
                home.create_topics()
                publish(home.bus, _before(home.photometry, n_objects))
                count = publish(home.bus, _nightly(home.photometry, n_objects, nights))
                start, end = n_objects + count // 10, n_objects + count
                say(f"turn {repetition + 1} of {repetitions}: {count:,} records")
                stretch = Stretch(f"{prefix}.accumulate", start, end)
                ((turn, changelog),) = _ours(home, [stretch], folder / "kafka")
                ours.append(turn)
                if not why_not:
                    worker = home.worker("quix", command=_quix(python, server.bootstrap, prefix, folder))
                    theirs.append(turn_of(worker, home, Stretch(f"{prefix}.quix", start, end))[0])
                    worker.kill()
    found = [Line("1 epoch a record", OURS, "record", _cpu(ours), _wall(ours))]
    if theirs:
        ratio = spread([other.cpu / our.cpu for other, our in zip(theirs, ours, strict=True)])
        found.append(Line("1 epoch a record", QUIX, "record", _cpu(theirs), _wall(theirs), ratio))
    else:
        found.append(Line("1 epoch a record", QUIX, "record", why_not=why_not))
    figures = [
        Figure(ALL_IN, _cpu(ours).median * 1e6, "us/record", 60.0, "at most"),
        Figure("changelog as written, before lz4", changelog[0], "B/alert", 600.0, "at most"),
        Figure("changelog on Kafka's disk, lz4", changelog[1], "B/alert"),
    ]
    about = (
        f"{n_objects:,} objects with {_EPOCHS_BEFORE[0]} to {_EPOCHS_BEFORE[-1]} epochs each, then {nights} "
        f"nights, one new epoch a record, {_PARTITIONS} partitions, as shipped. Processor time of the "
        "whole process, Kafka client included, over the nights but the first records; exactly once, with a "
        "changelog, for both. Quix Streams does less: it sorts and drops equal times, without revisions, "
        "withdrawals, bounds of memory or metrics, and its value is the whole light curve at each record."
    )
    return Result("accumulate-kafka", "Accumulate, from the record to committed state", about, found, figures)


def accumulate_objects(effort: Effort, say: Say) -> Result:
    """Measure how the cost of a record grows with the objects that there are."""
    sizes = (1_000, 10_000) if effort.quick else (10_000, 100_000, 1_000_000)
    counted, repetitions = (5_000, 1) if effort.quick else (60_000, 3)
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, kafka(Path(name) / "kafka") as server:
        for size in sizes:
            prefix = f"objects{size}"
            with Installation(
                server.bootstrap, prefix, Path(name) / prefix, partitions=_PARTITIONS, settings=_AS_SHIPPED
            ) as home:
                home.create_topics()
                say(f"{size:,} objects, then {repetitions} x {counted:,} records of any of them")
                publish(home.bus, _growing(home.photometry, size, repetitions * counted))
                group = f"{prefix}.accumulate"
                ends = [size + number * counted for number in range(1, repetitions + 1)]
                stretches = [Stretch(group, end - counted + counted // 6, end) for end in ends]
                turns = [turn for turn, _ in _ours(home, stretches, Path(name) / "kafka")]
                found.append(Line(f"{size:,} objects", OURS, "record", _cpu(turns), _wall(turns)))
    cpu = [line.cpu.median for line in found if line.cpu is not None]
    figures = [Figure(f"{sizes[-1]:,} objects over {sizes[0]:,}", cpu[-1] / cpu[0], "times", 1.25, "at most")]
    about = (
        f"One epoch of each object first; what is measured is {repetitions} times {counted:,} records after "
        "them, of objects drawn at random: each is read from RocksDB, merged, and committed."
    )
    return Result("accumulate-objects", "Accumulate, by the number of objects", about, found, figures)


def _before(topic: str, n_objects: int) -> Iterator[Output]:
    """Yield the light curve that each object has already, in one record."""
    longest = max(_EPOCHS_BEFORE)
    time_mjd = _FIRST_MJD - 3.0 * np.arange(longest, 0, -1, dtype=np.float64)
    rng = np.random.default_rng(0)
    for number in range(n_objects):
        curve = Curve(time_mjd, 15.0 + rng.normal(0.0, 0.3, longest), rng.uniform(0.01, 0.1, longest))
        held = _EPOCHS_BEFORE[number % len(_EPOCHS_BEFORE)]
        yield Output(topic, *photometry_record(f"ZTF{number:09d}", curve, last=held))


def _nightly(topic: str, n_objects: int, nights: int) -> Iterator[Output]:
    template = Template()
    for night in range(nights):
        for number in range(n_objects):
            yield template.record(topic, number, night)


def _ours(
    home: Installation, stretches: Sequence[Stretch], kafka_folder: Path
) -> list[tuple[Turn, list[float]]]:
    """Run our worker over stretches; counted are the changelog's bytes, as written and on Kafka's disk."""
    port = free_port()
    worker = home.worker("ours", METRICS__PORT=str(port))

    def counters() -> list[float]:
        written = total(scrape([port]), "changelog_written_bytes_total")
        return [written, 1e6 * size_mb(kafka_folder / "data", f"{home.prefix}.changelog-")]

    try:
        return [turn_of(worker, home, stretch, counters) for stretch in stretches]
    finally:
        worker.kill()


def _growing(topic: str, size: int, counted: int) -> Iterator[Output]:
    template = Template()
    for number in range(size):
        yield template.record(topic, number, 0)
    drawn = np.random.default_rng(0).integers(size, size=counted)
    for night, number in enumerate(drawn.tolist(), 1):
        yield template.record(topic, number, night)


def _quix(python: Path, bootstrap: str, prefix: str, folder: Path) -> list[str]:
    script = Path(__file__).parents[1] / "quix.py"
    schema = max(
        (schemas.schema_directory() / "photometry").glob("v*.avsc"), key=lambda path: int(path.stem[1:])
    )
    return [str(python), str(script), bootstrap, prefix, str(folder / f"{prefix}-quix"), str(schema)]


def _cpu(turns: Sequence[Turn]) -> Spread:
    return spread([turn.cpu for turn in turns])


def _wall(turns: Sequence[Turn]) -> Spread:
    return spread([turn.wall for turn in turns])
