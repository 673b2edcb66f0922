"""Combined annotations on a real Kafka: the bands of each object, once, over restarts."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from broker_plugin.annotate.combine import CombineRule
from broker_plugin.app import live
from broker_plugin.app.delivery import build_deliver_stages
from broker_plugin.config import load_config
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import encode_classification
from broker_plugin.records.object_annotation import decode_object
from broker_plugin.records.photometry import object_key
from broker_plugin.runner.bus import Bus, read_partition, read_topic
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.topics import create_missing
from broker_plugin.stages.combine import CombineStage
from tests.annotate.objects import combined, of_band, withdrawn
from tests.integration.pipeline import committed, create_topics, run_until_idle

pytestmark = pytest.mark.kafka

OBJECTS = [f"ZTF18aaaaaa{letter}" for letter in "abcdefgh"]


def send(bus: Bus, prefix: str, annotations: list[Annotation]) -> None:
    producer = bus.producer()
    for one in annotations:
        key = object_key(one.survey, one.object_id)
        producer.send(Output(f"{prefix}.classifications", key, encode_classification(one, 0)))
    producer.flush()
    producer.close()


def stage(prefix: str) -> CombineStage:
    return CombineStage(prefix, CombineRule(), "0", clock=lambda: 0.0)


def test_three_runs_and_a_lost_disk(kafka_bus: Bus, prefix: str, tmp_path: Path) -> None:
    """Bands come in any order, some twice; between the runs the local state is kept once and lost once.

    What a committed reader sees of each object is one chain of revisions without a gap, and its end is what
    the bands come to; the changelog holds just that.
    """
    create_topics(kafka_bus, prefix, partitions=3)
    rng = random.Random(1)
    first = [of_band(band, 1, object_id=name) for name in OBJECTS for band in "gri"]
    second = [of_band(band, 2, object_id=name, p_value=0.01) for name in OBJECTS for band in "gr"]
    taken_back = [withdrawn(of_band("i", 1, object_id=name)) for name in OBJECTS[:3]]
    rng.shuffle(first)
    batches = [[*first, *first[:7]], second, taken_back]
    folders = [tmp_path / "one", tmp_path / "one", tmp_path / "two"]
    for batch, folder in zip(batches, folders, strict=True):
        send(kafka_bus, prefix, batch)
        run_until_idle(kafka_bus, prefix, [stage(prefix)], folder)

    found = [decode_object(message.value or b"") for message in committed(kafka_bus, prefix, "objects")]
    held = {}
    for number in range(3):
        records = read_partition(kafka_bus, f"{prefix}.combine-changelog", number)
        changes, _ = replay_records(records, {})
        held |= {key: value for key, value in changes.items() if value is not None}
    assert len(held) == len(OBJECTS)
    for name in OBJECTS:
        chain = [one for one in found if one.object_id == name]
        assert [one.revision for one in chain] == list(range(1, len(chain) + 1))
        assert [one.supersedes for one in chain[1:]] == [one.combined_id for one in chain[:-1]]
        sent = [one for batch in (first, second, taken_back) for one in batch if one.object_id == name]
        assert len(chain) == len(sent)
        assert chain[-1].bands == combined(*sent).bands
        assert chain[-1].probabilities == pytest.approx(combined(*sent).probabilities)
        assert decode_object(held[b"o/ztf/" + name.encode()]) == chain[-1]


OUTPUTS = """
prefix = "{prefix}"
[kafka]
bootstrap = "{bootstrap}"
[topics]
partitions = 3
[filters.novel]
novel = true
[outputs.everything]
format = "json"
source = "objects"
[outputs.strange]
format = "lasair"
annotator = "{prefix}"
source = "objects"
filters = ["novel"]
"""


def test_outputs_of_whole_objects_over_a_lost_disk(
    kafka_bus: Bus, kafka_bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """One verdict an object, not one a band; who was sent a novelty is told once that it is none any more."""
    path = tmp_path / "c.toml"
    path.write_text(OUTPUTS.format(prefix=prefix, bootstrap=kafka_bootstrap))
    config = load_config(path, {})
    create_missing(kafka_bus, live.wanted_topics(config))
    strange = [of_band(band, 1, object_id=name, p_value=0.001) for name in OBJECTS for band in "gr"]
    usual = [of_band(band, 2, object_id=name, p_value=0.5) for name in OBJECTS[:3] for band in "gr"]
    for batch, folder in ((strange, "one"), (usual, "two")):
        send(kafka_bus, prefix, batch)
        stages = [stage(prefix), *build_deliver_stages(config)]
        run_until_idle(kafka_bus, prefix, stages, tmp_path / folder)

    objects = [decode_object(message.value or b"") for message in committed(kafka_bus, prefix, "objects")]
    everything = [json.loads(m.value or b"") for m in committed(kafka_bus, prefix, "output.everything")]
    assert sorted(one["combined_id"] for one in everything) == sorted(one.combined_id for one in objects)
    sent = [json.loads(message.value or b"") for message in read_topic(kafka_bus, f"anno_{prefix}")]
    for name in OBJECTS:
        told = [one["classdict"] for one in sent if one["objectId"] == name]
        marked = ["filter_outcome" in one for one in told]
        chain = [one.combined_id for one in objects if one.object_id == name]
        assert [one["annotation_id"] for one in told] == chain[: len(told)]
        assert marked.count(True) == (1 if name in OBJECTS[:3] else 0)
        assert marked == sorted(marked)
