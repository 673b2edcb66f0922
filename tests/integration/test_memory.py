"""Annotations with a memory, on a real Kafka: withdrawals, a lost worker, another model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from broker_plugin.app.audit import audit
from broker_plugin.app.rescore import find_stale, send, wait_until_judged, windows_of_topic
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_classification, decode_novelty, encode_photometry
from broker_plugin.records.epoch import EpochArray, Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.runner.kafka import KafkaBus
from broker_plugin.runner.protocols import Output
from broker_plugin.stages.accumulate import AccumulateStage
from tests.integration.pipeline import committed, create_topics, run_until_idle
from tests.lightcurve.stores import exposures, withdrawal
from tests.stages.judging import OBJECTS, judging_stage

SETTINGS = WindowSettings()
NOVEL = 7.0


def send_epochs(bus: KafkaBus, prefix: str, packets: list[EpochArray]) -> None:
    """Write packets of every star."""
    producer = bus.producer()
    for number, epochs in enumerate(packets):
        for name in OBJECTS:
            time = float(epochs["time_mjd"][-1])
            photometry = ObjectPhotometry("ztf", name, str(number), time, 10.0, -3.0, {"r": epochs})
            producer.send(
                Output(f"{prefix}.photometry", f"ztf/{name}".encode(), encode_photometry(photometry))
            )
    producer.flush()
    producer.close()


def detections(slots: range, version: int) -> EpochArray:
    mag = NOVEL + 0.1 * np.sin(np.arange(len(slots)))
    return make_epochs(
        exposures(list(slots)), mag, np.full(len(slots), 0.01), origin=Origin.DETECTION, version=version
    )


def run(bus: KafkaBus, prefix: str, state: Path, model: str) -> None:
    """Let workers that know nothing but what Kafka holds do all that there is to do."""
    stages = [AccumulateStage(prefix, SETTINGS), judging_stage(model=model, prefix=prefix)]
    run_until_idle(bus, prefix, stages, state)


def test_withdrawals_restarts_and_another_model(kafka_bus: KafkaBus, prefix: str, tmp_path: Path) -> None:
    """Novel, withdrawn, back again, judged anew: one chain, told on both topics, from restored memory."""
    create_topics(kafka_bus, prefix, partitions=2)
    send_epochs(kafka_bus, prefix, [detections(range(200), 1)])
    run(kafka_bus, prefix, tmp_path / "first", "a")
    send_epochs(kafka_bus, prefix, [withdrawal([7, 8], 2)])
    run(kafka_bus, prefix, tmp_path / "second", "a")  # another disk: state from the changelogs
    send_epochs(kafka_bus, prefix, [detections(range(200, 203), 3), withdrawal([7], 4)])
    run(kafka_bus, prefix, tmp_path / "second", "a")
    assert audit(kafka_bus, prefix, SETTINGS, stage=judging_stage(prefix=prefix)).problems == []

    new = "b" * 64
    stale = find_stale(kafka_bus, prefix, new, windows_of_topic(kafka_bus, prefix))
    assert send(kafka_bus, prefix, stale, windows_of_topic(kafka_bus, prefix)) == len(OBJECTS)
    run(kafka_bus, prefix, tmp_path / "third", "b")
    assert wait_until_judged(kafka_bus, prefix, 0.0)
    assert find_stale(kafka_bus, prefix, new, windows_of_topic(kafka_bus, prefix)).windows == {}

    found = [decode_classification(m.value) for m in committed(kafka_bus, prefix, "classifications")]
    novelties = [decode_novelty(m.value) for m in committed(kafka_bus, prefix, "novelties")]
    for name in OBJECTS:
        chain = [a for a in found if a.object_id == name]
        assert [(a.revision, a.changes, a.withdrawn) for a in chain] == [
            (1, ("new",), False), (2, ("withdrawn",), True), (3, ("epochs",), False), (4, ("model",), False)
        ]  # fmt: skip
        assert [a.supersedes for a in chain[1:]] == [a.annotation_id for a in chain[:-1]]
        assert [n.annotation for n in novelties if n.annotation.object_id == name] == chain
    assert audit(kafka_bus, prefix, SETTINGS).problems == []
