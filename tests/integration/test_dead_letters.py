"""Dead letters on a real Kafka: what is re-driven goes through once, wherever the redrive is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping

import pytest

from broker_plugin.app.audit import audit
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_photometry, encode_dead_letter
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.kafka import KafkaBus
from broker_plugin.runner.protocols import Output
from broker_plugin.stages.accumulate import AccumulateStage
from broker_plugin.stages.ingest import IngestStage
from tests.integration.pipeline import committed, create_topics, publish, run_until_idle
from tests.shared import shared_path
from tests.stages.test_accumulate import photometry

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]

N_LETTERS = 23
BATCH = 5


class Redriver:
    """The command under one configuration."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._environment = os.environ | {
            "BROKER_PLUGIN_PREFIX": prefix,
            "BROKER_PLUGIN_KAFKA__BOOTSTRAP": bootstrap,
            "BROKER_PLUGIN_RUNNER__BATCH_RECORDS": str(BATCH),
        }

    def __call__(
        self, *words: str, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "broker_plugin", "dead-letters", *words],
            env={**self._environment, **(more or {})},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


@pytest.fixture
def redriver(kafka_bootstrap, prefix) -> Redriver:
    return Redriver(kafka_bootstrap, prefix)


def put_aside(bus: KafkaBus, prefix: str, n_letters: int) -> None:
    """Write letters of photometry that a past version of accumulate could not read."""
    producer = bus.producer()
    for n in range(n_letters):
        letter = DeadLetter(
            stage="accumulate",
            reason="undecodable_photometry",
            detail="a field of the future",
            topic=f"{prefix}.photometry",
            partition=0,
            offset=n,
            timestamp_ms=0,
            key=b"ztf/ZTF18aaaaaaa",
            value=photometry("ZTF18aaaaaaa", [n], n),
            headers=(("number", b"%d" % n),),
        )
        producer.send(Output(f"{prefix}.dead-letters", letter.key, encode_dead_letter(letter)))
    producer.flush()
    producer.close()


def numbers(bus: KafkaBus, prefix: str) -> Counter[bytes]:
    return Counter(dict(m.headers)["number"] for m in committed(bus, prefix, "photometry"))


ONCE = Counter(b"%d" % n for n in range(N_LETTERS))


@pytest.mark.parametrize("point", ["after_step:3", "after_outputs:3", "after_changelog:3", "after_commit:3"])
def test_killed_in_the_middle(kafka_bus, prefix, redriver, point) -> None:
    """SIGKILL inside the third of five transactions; started again, each letter went through exactly once."""
    create_topics(kafka_bus, prefix, partitions=2)
    put_aside(kafka_bus, prefix, N_LETTERS)

    killed = redriver("redrive", more={"BROKER_PLUGIN_CRASH_POINT": f"redrive/{point}"})
    assert killed.returncode == -9, killed.stderr
    again = redriver("redrive")

    assert again.returncode == 0, again.stderr
    before = 3 * BATCH if point.startswith("after_commit") else 2 * BATCH
    assert f"{before} were re-driven before" in again.stdout
    assert f"{N_LETTERS - before}  re-driven" in again.stdout
    assert numbers(kafka_bus, prefix) == ONCE
    assert "nothing was re-driven" in redriver("redrive").stdout
    run_until_idle(kafka_bus, prefix, [AccumulateStage(prefix, WindowSettings())])
    report = audit(kafka_bus, prefix, WindowSettings(), scored=False)
    assert (report.problems, report.photometry) == ([], N_LETTERS)


def test_packets_put_aside_and_mended(kafka_bus, prefix, redriver, tmp_path) -> None:
    """A packet that could not be decoded in its frame goes through ingest once the letter holds it mended.

    The letters of garbage stay letters. Purged, there is nothing left to list or to redrive.
    """
    alerts = create_topics(kafka_bus, prefix, partitions=2)
    packet = next(iter(sorted(shared_path("alerts/ztf").rglob("*.avro")))).read_bytes()
    publish(kafka_bus, alerts, [b"garbage"])
    run_until_idle(kafka_bus, prefix, [IngestStage([alerts], prefix)])
    mended = DeadLetter("ingest", "malformed", "a schema was missing", "survey", 0, 4, 0, None, packet)
    producer = kafka_bus.producer()
    producer.send(Output(f"{prefix}.dead-letters", None, encode_dead_letter(mended)))
    producer.flush()

    first = redriver("redrive")
    assert first.returncode == 0, first.stderr
    assert "put aside again  ingest" in first.stdout
    (record,) = committed(kafka_bus, prefix, "photometry")
    assert decode_photometry(record.value).object_id
    redriver("redrive")  # the garbage's new letter, and nothing else
    assert len(committed(kafka_bus, prefix, "photometry")) == 1
    assert len(committed(kafka_bus, prefix, "dead-letters")) == 4

    purged = redriver("purge", "--yes")
    assert "deleted 4 dead letters, 1 of them never re-driven" in purged.stdout
    assert redriver("list").stdout == ""
    assert "there are no dead letters" in redriver("purge").stdout
