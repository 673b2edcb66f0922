"""Packets damaged in every way: none stops the stream, none fills the memory, each is accounted for."""

from __future__ import annotations

import gc
import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import pytest

from broker_plugin.app.audit import audit
from broker_plugin.app.conservation import balances
from broker_plugin.app.offline import CountingSensor
from broker_plugin.archive.packets import iter_packets
from broker_plugin.decode import Alert, Decoder, Malformed
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.photometry import QualityCuts, measure
from broker_plugin.records.codec import decode_dead_letter
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.topics import create_missing, plan_topics
from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import SimulationSettings
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.dead_letters import dead_letter_output
from broker_plugin.stages.ingest import IngestStage
from tests.chaos.counters import free_port, scrape, total
from tests.chaos.harness import Installation, wait_until
from tests.chaos.mutations import NAMES, Packet, mutated
from tests.decode.packets import assert_same, real_packets

logger = logging.getLogger(__name__)

SEED = 20190611
CHUNK = 500
MAX_GROWTH_MB = 100.0
WARM_UP = 0.2  # of the packets: schemas are compiled, arenas are grown

TOO_LARGE = "output_too_large"
REJECTED = "alerts_rejected_total"

Fate = tuple[str, str]
"""``("published", key)``, ``("rejected", reason)`` or ``("dead", reason)``."""


@pytest.fixture
def sound_packets(request, tmp_path) -> list[Packet]:
    """Every kind of packet: both surveys, both framings, each ZTF schema that there is."""
    if request.param == "real":
        return [Packet(data) for data in real_packets()]
    kinds = [
        SimulationSettings(n_objects=3, n_nights=60, seed=1, clear_fraction=1.0, stamp_bytes=2000),
        SimulationSettings(survey="lsst", n_objects=3, n_nights=60, seed=2, framing="registry"),
        SimulationSettings(survey="lsst", n_objects=3, n_nights=60, seed=3, lsst_schema="11.0"),
    ]
    found = []
    for number, settings in enumerate(kinds):
        folder = tmp_path / f"nights-{number}"
        simulate(replace(settings, cadence_factor=3.0), folder, None)
        payloads = [packet.payload for packet in iter_packets([folder])]
        found += payloads[:: max(1, len(payloads) // 12)]
    return [Packet(data) for data in found]


@pytest.mark.parametrize(
    ("sound_packets", "n_packets"),
    [
        pytest.param("simulated", 1000, id="short-simulated"),
        pytest.param("real", 1000, id="short-real"),
        pytest.param("simulated", 50_000, id="long-simulated", marks=pytest.mark.long),
        pytest.param("real", 50_000, id="long-real", marks=pytest.mark.long),
    ],
    indirect=["sound_packets"],
)
@pytest.mark.timeout(3000)
def test_no_damage_stops_the_stream_or_is_lost(sound_packets, n_packets) -> None:
    """All packets through ingest and accumulate in this process, each compared with what it had to become."""
    stream = Stream()
    damage: Counter[str] = Counter()
    judge = Judge(sound_packets)
    source = mutated(sound_packets, SEED)
    rss: list[float] = []
    started = time.monotonic()
    for _ in range(0, n_packets, CHUNK):
        names, packets = zip(*islice(source, CHUNK), strict=True)
        damage.update(names)
        fates = judge.fates(packets)
        found = stream.process(packets)
        assert_accounted_for(names, packets, fates, found)
        del packets, fates, found
        gc.collect()
        rss.append(resident_mb())
    seconds = time.monotonic() - started

    sheets = balances(stream.sensor.counts, packets=n_packets)
    assert [str(sheet) for sheet in sheets if not sheet.balanced and sheet.what != "windows"] == []
    warm = rss[int(len(rss) * WARM_UP)]
    assert max(rss[int(len(rss) * WARM_UP) :]) < warm + MAX_GROWTH_MB, f"memory in MB, by chunk: {rss}"
    assert judge.compared > 0.1 * n_packets, "the scan has hardly been tried"
    if n_packets > 10_000:
        assert damage.keys() == NAMES
    logger.info(
        "%d packets in %.0f s, memory %.0f, %.0f .. %.0f MB (at most %.0f), %d alerts compared",
        *(n_packets, seconds, rss[0], warm, rss[-1], max(rss), judge.compared),
    )
    for sheet in sheets:
        logger.info("%s", sheet)


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("sound_packets", "n_packets"),
    [
        pytest.param("simulated", 400, id="short"),
        pytest.param("simulated", 5000, id="long-simulated", marks=pytest.mark.long),
        pytest.param("real", 5000, id="long-real", marks=pytest.mark.long),
    ],
    indirect=["sound_packets"],
)
@pytest.mark.timeout(1200)
def test_damaged_packets_through_a_real_worker(
    sound_packets, n_packets, kafka_bootstrap, prefix, tmp_path
) -> None:
    """The same through Kafka and a process: it lives, its counters balance, the topics agree with them."""
    packets = [data for _, data in islice(mutated(sound_packets, SEED + 1), n_packets)]
    expected = Counter(fate for fates in Judge(sound_packets).fates(packets) for fate in fates)
    port, rss = free_port(), []
    with Installation(kafka_bootstrap, prefix, tmp_path, window=WindowSettings(rescore_after=1000)) as it:
        it.create_topics(alert_partitions=2)
        worker = it.worker(stages="ingest,accumulate", METRICS__ENABLED="true", METRICS__PORT=str(port))
        producer = it.bus.producer()
        for start in range(0, n_packets, n_packets // 4):
            for packet in packets[start : start + n_packets // 4]:
                producer.send(Output(f"{prefix}.alerts", None, packet))
            producer.flush()
            it.wait_until_idle("ingest", "accumulate", seconds=300)
            rss.append(resident_mb(worker.process.pid))
        producer.close()
        wait_until(lambda: not unbalanced(port, n_packets), lambda: "\n".join(unbalanced(port, n_packets)))
        counts = scrape([port])
        assert worker.terminate() == 0, worker.output[-4000:]
        letters = [decode_dead_letter(m.value or b"") for m in read_topic(it.bus, f"{prefix}.dead-letters")]
        keys = Counter((m.key or b"").decode() for m in read_topic(it.bus, f"{prefix}.photometry"))
        report = audit(it.bus, prefix, it.window, scored=False)

    assert keys == of_kind(expected, "published")
    assert Counter(letter.reason for letter in letters) == of_kind(expected, "dead")
    assert Counter({dict(k)["reason"]: n for (name, k), n in counts.items() if name == REJECTED}) == of_kind(
        expected, "rejected"
    )
    assert {letter.value for letter in letters if letter.reason != TOO_LARGE} <= set(packets)
    assert report.problems == []
    assert report.photometry == total(counts, "photometry_consumed_total") > 0
    assert rss[-1] < rss[0] + MAX_GROWTH_MB, f"memory of the worker in MB: {rss}"
    dead = of_kind(expected, "dead").total()
    logger.info("%d packets, %d dead, through a worker of %s MB", n_packets, dead, rss)


def unbalanced(port: int, packets: int) -> list[str]:
    sheets = balances(scrape([port]), packets=packets)
    return [str(sheet) for sheet in sheets if not sheet.balanced and sheet.what != "windows"]  # nobody scores


def of_kind(fates: Counter[Fate], kind: str) -> Counter[str]:
    return Counter({what: n for (found, what), n in fates.items() if found == kind})


class Judge:
    """Says what must become of packets: read by fastavro throughout, and held against the scan.

    Attributes
    ----------
    compared : int
        Sound alerts that both ways agreed on.
    """

    def __init__(self, sound: Sequence[Packet]) -> None:
        self.compared = 0
        self._whole = Decoder(scan=False)
        self._scanning = Decoder()
        for packet in sound:
            for _ in range(2):  # the second use of a schema compiles it
                self._scanning.decode(packet.data)

    def fates(self, packets: Sequence[bytes | None]) -> list[list[Fate]]:
        """Return what must become of each packet's alerts; of its damaged ones together, one letter."""
        decoded = [self._decode(packet) for packet in packets]
        alerts = [entry for entries in decoded for entry in entries if isinstance(entry, Alert)]
        results = iter(measure(alerts, QualityCuts()).results)
        found: list[list[Fate]] = []
        for packet, entries in zip(packets, decoded, strict=True):
            dead = [("dead", entry.reason) for entry in entries if isinstance(entry, Malformed)]
            fates = dead[:1]
            for entry in entries:
                if isinstance(entry, Malformed):
                    continue
                result = next(results) if isinstance(entry, Alert) else entry
                if isinstance(result, ObjectPhotometry):
                    fates.append(("published", f"{result.survey}/{result.object_id}"))
                else:
                    fates.append(("rejected", result.reason))
            too_large = dead and len(packet or b"") > RunnerSettings("t").max_output_bytes
            found.append([("dead", TOO_LARGE)] if too_large else fates)
        return found

    def _decode(self, packet: bytes | None) -> list:
        whole, scanned = self._whole.decode(packet), self._scanning.decode(packet)
        assert len(whole) == len(scanned)
        for one, other in zip(whole, scanned, strict=True):
            assert_same(one, other)
            self.compared += isinstance(one, Alert)
        return whole


@dataclass
class Found:
    """What became of some packets."""

    letters: dict[int, list[DeadLetter]] = field(default_factory=dict)
    published: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)


class Stream:
    """Ingest and accumulate on a bus in this process, drained after each portion."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        create_missing(self.bus, [TopicSpec("alerts", 1), *plan_topics("t", 1)])
        self.sensor = CountingSensor()
        settings = RunnerSettings("t", batch_seconds=0.0)
        stages = (IngestStage(["alerts"], "t"), AccumulateStage("t", WindowSettings(rescore_after=1000)))
        self._runners = [
            Runner(stage, self.bus, dead_letter_output("t"), settings, sensor=self.sensor) for stage in stages
        ]
        self.sent = 0

    def process(self, packets: Sequence[bytes | None]) -> Found:
        """Run packets through both stages; return what came of them, letters by place in the portion."""
        found, before = Found(), self._rejected()
        producer = self.bus.producer()
        for packet in packets:
            producer.send(Output("alerts", None, packet))
        start = self.bus.offsets(Partition("alerts", 0))[1] - len(packets)
        for runner in self._runners:
            runner.run_until_idle()
            if runner is self._runners[0]:
                found.published = Counter(
                    (m.key or b"").decode() for m in read_topic(self.bus, "t.photometry")
                )
        for message in read_topic(self.bus, "t.dead-letters"):
            letter = decode_dead_letter(message.value or b"")
            found.letters.setdefault(letter.offset - start, []).append(letter)
        found.rejected = self._rejected() - before
        self.bus.delete_consumed()
        for topic in ("t.dead-letters", "t.lightcurves"):
            partition = Partition(topic, 0)
            self.bus.delete_records(partition, before=self.bus.offsets(partition)[1])
        self.sent += len(packets)
        return found

    def _rejected(self) -> Counter[str]:
        counts = self.sensor.counts.items()
        return Counter({dict(labels)["reason"]: n for (name, labels), n in counts if name == REJECTED})


def assert_accounted_for(
    names: Sequence[str], packets: Sequence[bytes | None], fates: Sequence[Sequence[Fate]], found: Found
) -> None:
    """Each packet must have come out as what it had to become: no more, no less, whole."""
    for place, (name, packet, some) in enumerate(zip(names, packets, fates, strict=True)):
        letters = found.letters.pop(place, [])
        where = f"packet {place} ({name}) of this portion, seed {SEED}"
        assert [letter.reason for letter in letters] == [what for kind, what in some if kind == "dead"], where
        for letter in letters:
            assert (
                (packet or b"").startswith(letter.value or b"")
                if letter.reason == TOO_LARGE
                else (letter.value == packet)
            ), where
    assert not found.letters, "dead letters of nothing that was sent"
    expected = Counter(fate for some in fates for fate in some)
    assert found.published == of_kind(expected, "published")
    assert found.rejected == of_kind(expected, "rejected")


def resident_mb(pid: int | None = None) -> float:
    pages = int(Path(f"/proc/{pid or os.getpid()}/statm").read_text().split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
