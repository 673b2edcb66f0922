"""Alerts from another cluster, whose offsets cannot be in our transaction: repeated, and without effect."""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broker_plugin.archive.packets import iter_packets
from broker_plugin.cli.held_state import FrozenStore, held_bands
from broker_plugin.errors import BrokerPluginError
from broker_plugin.records.codec import decode_classification, decode_photometry
from broker_plugin.runner.bus import TopicSpec, read_partition, read_topic
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import demo_settings
from tests.chaos.harness import KILLED, Installation, Worker, note, wait_until
from tests.chaos.load import Feeder
from tests.kafka_server import KafkaServer

pytestmark = pytest.mark.kafka

SEED = 20220704
TOPIC = "survey-alerts"


class Survey:
    """The other cluster, with a topic of simulated alerts that fills while we read it."""

    def __init__(self, server: KafkaServer, folder: Path, *, n_objects: int, partitions: int) -> None:
        self.server = server
        self.bus = KafkaBus(
            KafkaSettings(server.bootstrap, connect_timeout_seconds=60.0, operation_timeout_seconds=120.0)
        )
        self.partitions = [Partition(TOPIC, number) for number in range(partitions)]
        self.bus.create_topics([TopicSpec(TOPIC, partitions)])
        settings = replace(demo_settings(seed=SEED), n_objects=n_objects, bands=("r",), damaged_fraction=0.01)
        simulate(settings, folder, None)
        self.alerts = [
            Output(TOPIC, None, packet.payload, partition=number % partitions)
            for number, packet in enumerate(iter_packets([folder], order="time"))
        ]

    def settings(self, group: str) -> dict[str, str]:
        """Return the configuration of an installation that reads here."""
        return {
            "SOURCE__BOOTSTRAP": self.server.bootstrap,
            "SOURCE__TOPICS": TOPIC,
            "SOURCE__GROUP": group,
            "SOURCE__OPTIONS__HEARTBEAT_INTERVAL_MS": "500",
            "SCORE__THREADS": "1",
        }

    def read(self, group: str) -> int:
        """Return the sum of a group's committed offsets; its coordinator may be on its way."""
        answers: list[int] = []

        def answered() -> bool:
            with contextlib.suppress(BrokerPluginError):
                answers.append(sum(o or 0 for o in self.bus.committed(group, self.partitions).values()))
            return bool(answers)

        wait_until(answered, lambda: f"an answer about the offsets of {group}")
        return answers[0]

    def wait_until_read(self, group: str, records: int, worker: Worker) -> None:
        """Wait until a group has committed so many records, while its worker lives."""

        def enough() -> bool:
            assert worker.alive, worker.output
            return self.read(group) >= records

        wait_until(enough, lambda: f"{records} alerts read by {group}: {worker.output[-3000:]}")


class Reader:
    """An installation that reads the survey's alerts: one worker for ingest, one for the rest."""

    def __init__(self, installation: Installation, survey: Survey, rng: random.Random) -> None:
        self.it = installation
        self.survey = survey
        self.group = f"prescribed-{installation.prefix}"
        self.rng = rng
        self.kills = 0
        installation.create_topics()
        self.rest = installation.worker("rest", stages="accumulate,score")

    def ingest(self, crash_point: str = "") -> Worker:
        return self.it.worker("ingest", stages="ingest", crash_point=crash_point)

    def die_at(self, point: str) -> None:
        """Let a worker of ingest die at a point of the commit."""
        worker = self.ingest(f"ingest/{point}:{self.rng.randint(2, 4)}")
        assert worker.wait() == KILLED, worker.output
        self.kills += 1

    def die_at_random(self, among_records: int) -> None:
        """Kill a worker of ingest somewhere in its work."""
        worker = self.ingest()
        self.survey.wait_until_read(self.group, self.survey.read(self.group) + 1, worker)
        time.sleep(self.rng.uniform(0.0, 1.5))
        worker.kill()
        self.kills += 1

    def lose_the_survey(self, down_seconds: float) -> None:
        """Kill the survey's broker under a working worker of ingest, and bring it back."""
        worker = self.ingest()
        self.survey.wait_until_read(self.group, self.survey.read(self.group) + 1, worker)
        self.survey.server.kill()
        time.sleep(down_seconds)
        self.survey.server.start()
        self.kills += 1
        target = min(self.survey.read(self.group) + 20, len(self.survey.alerts))
        self.survey.wait_until_read(self.group, target, worker)
        worker.kill()
        self.kills += 1

    def finish(self) -> None:
        """Read to the end, undisturbed, and stop in order."""
        worker = self.ingest()
        self.survey.wait_until_read(self.group, len(self.survey.alerts), worker)
        self.it.wait_until_idle("accumulate", "score")
        assert worker.terminate() == 0, worker.output
        assert self.rest.terminate() == 0, self.rest.output
        assert self.it.bus.committed(f"{self.it.prefix}.ingest", self.survey.partitions[:1]) == {
            self.survey.partitions[0]: None
        }, "the group's name was prescribed"

    def values(self, topic: str) -> Counter[bytes]:
        return Counter(m.value or b"" for m in read_topic(self.it.bus, f"{self.it.prefix}.{topic}"))

    def state(self) -> dict[int, dict[bytes, bytes]]:
        """Return the state of each partition: what the changelog says."""
        held = {}
        for number in range(self.it.partitions):
            messages = read_partition(self.it.bus, f"{self.it.prefix}.changelog", number)
            changes, _ = replay_records(messages, {})
            held[number] = {key: value for key, value in changes.items() if value is not None}
        return held

    def light_curves(self) -> dict[tuple[str, str], np.ndarray]:
        """Return the epochs of each object and band."""
        store = FrozenStore({k: v for part in self.state().values() for k, v in part.items()})
        objects = {
            (record.survey, record.object_id)
            for value in self.values("photometry")
            for record in [decode_photometry(value)]
        }
        return {
            (name, held.band): held.epochs
            for survey, name in sorted(objects)
            for held in held_bands(store, survey, name)
        }

    def annotations(self) -> Counter[tuple[str, ...]]:
        return Counter(
            (a.annotation_id, a.object_id, a.band, a.window_id, a.predicted_class, f"{a.energy:.6g}")
            for a in map(decode_classification, self.values("classifications").elements())
        )


@contextmanager
def readers(
    bootstrap: str, prefix: str, folder: Path, survey: Survey, rng: random.Random
) -> Iterator[tuple[Reader, Reader]]:
    """Yield a reader to be disturbed, and one that is left alone."""
    with (
        Installation(
            bootstrap, prefix, folder / "disturbed", settings=survey.settings(f"prescribed-{prefix}")
        ) as disturbed,
        Installation(
            bootstrap,
            f"{prefix}-calm",
            folder / "calm",
            settings=survey.settings(f"prescribed-{prefix}-calm"),
        ) as calm,
    ):
        yield Reader(disturbed, survey, rng), Reader(calm, survey, rng)


def test_repeated_alerts_change_nothing(
    kafka_bootstrap: str, second_kafka: KafkaServer, prefix: str, tmp_path: Path
) -> None:
    """One partition: state, windows and annotations are those of the undisturbed run, to the byte."""
    started = time.monotonic()
    survey = Survey(second_kafka, tmp_path / "nights", n_objects=8, partitions=1)
    with readers(kafka_bootstrap, prefix, tmp_path, survey, random.Random(SEED)) as (disturbed, calm):
        with Feeder(survey.bus, TOPIC, survey.alerts, per_second=60.0):
            disturbed.die_at("after_commit")
            disturbed.lose_the_survey(1.0)
        disturbed.finish()
        calm.finish()
        compare_exactly(disturbed, calm, started, "second cluster, short")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_many_repetitions_change_nothing(
    kafka_bootstrap: str, second_kafka: KafkaServer, prefix: str, tmp_path: Path, seed: int
) -> None:
    """The same with kills around the commit, at random moments, and of the broker, in any order."""
    started = time.monotonic()
    survey = Survey(second_kafka, tmp_path / "nights", n_objects=60, partitions=1)
    rng = random.Random(seed)
    with readers(kafka_bootstrap, prefix, tmp_path, survey, rng) as (disturbed, calm):
        attacks = [
            *["after_commit", "after_cache", "after_outputs", "after_offsets"] * 2,
            *[""] * 6,
            *["broker"] * 4,
        ]
        rng.shuffle(attacks)
        with Feeder(survey.bus, TOPIC, survey.alerts, per_second=len(survey.alerts) / 200.0):
            for attack in attacks:
                if attack == "broker":
                    disturbed.lose_the_survey(rng.uniform(0.0, 10.0))
                elif attack:
                    disturbed.die_at(attack)
                else:
                    disturbed.die_at_random(50)
        disturbed.finish()
        calm.finish()
        compare_exactly(disturbed, calm, started, f"second cluster, seed {seed}")


@pytest.mark.long
def test_light_curves_are_the_same_whatever_the_order(
    kafka_bootstrap: str, second_kafka: KafkaServer, prefix: str, tmp_path: Path
) -> None:
    """Three partitions: the light curves are the same in the end.

    How the partitions interleave is not fixed, with or without kills, so an intermediate window may hold what
    was known at another moment. Each run is consistent with what it has read.
    """
    started = time.monotonic()
    survey = Survey(second_kafka, tmp_path / "nights", n_objects=30, partitions=3)
    with readers(kafka_bootstrap, prefix, tmp_path, survey, random.Random(SEED)) as (disturbed, calm):
        with Feeder(survey.bus, TOPIC, survey.alerts, per_second=len(survey.alerts) / 60.0):
            for point in ("after_commit", "after_cache", "after_commit"):
                disturbed.die_at(point)
            disturbed.lose_the_survey(3.0)
        disturbed.finish()
        calm.finish()
        repeated = check_repetition(disturbed, calm)
        found, expected = disturbed.light_curves(), calm.light_curves()
        assert found.keys() == expected.keys()
        for name, epochs in expected.items():
            np.testing.assert_array_equal(found[name], epochs, err_msg=str(name))
        for reader in (disturbed, calm):
            reader.it.check(scored=True)
        note(
            "second cluster, three partitions",
            alerts=len(survey.alerts),
            repeated=repeated,
            kills=disturbed.kills,
            seconds=round(time.monotonic() - started),
        )


def check_repetition(disturbed: Reader, calm: Reader) -> int:
    """Return how many records more than in the calm run there are; their content is the same."""
    found, expected = disturbed.values("photometry"), calm.values("photometry")
    assert found.keys() == expected.keys()
    repeated = (found - expected).total()
    assert repeated > 0, "no alert was repeated, so nothing was shown"
    assert not expected - found
    return repeated


def compare_exactly(disturbed: Reader, calm: Reader, started: float, attack: str) -> None:
    """Fail unless both runs have the same state, windows and annotations, and are sound in themselves."""
    repeated = check_repetition(disturbed, calm)
    assert disturbed.state() == calm.state()
    assert disturbed.values("lightcurves") == calm.values("lightcurves")
    assert disturbed.annotations() == calm.annotations()
    for reader in (disturbed, calm):
        report = reader.it.check(scored=True, where=attack)
    note(
        attack,
        alerts=len(disturbed.survey.alerts),
        repeated=repeated,
        kills=disturbed.kills,
        windows=report.windows,
        annotations=report.annotations,
        seconds=round(time.monotonic() - started),
    )
