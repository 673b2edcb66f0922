"""Outputs on a real Kafka, read by their consumers' own clients."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import fastavro
import pytest
from fink_client.avro_utils import AlertReader
from hop import Stream
from hop.io import StartPosition

from broker_plugin.app import live
from broker_plugin.app.delivery import build_deliver_stages, build_forwarders
from broker_plugin.config import load_config
from broker_plugin.outputs.elasticc import schema
from broker_plugin.records.codec import annotation_from_record, encode_classification
from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.topics import create_missing
from tests.filters.examples import annotation
from tests.integration.pipeline import run_until_idle
from tests.outputs.test_lasair import server_query

pytestmark = pytest.mark.kafka

TEXT = """
prefix = "{prefix}"
[kafka]
bootstrap = "{bootstrap}"
[topics]
partitions = 2
[outputs.container]
format = "avro"
[outputs.desc]
format = "elasticc"
broker_name = "variables"
[outputs.lasair]
format = "lasair"
annotator = "{prefix}"
[filters.novel]
novel = true
[outputs.novel]
format = "hop"
filters = ["novel"]
[outputs.scimma]
format = "hop"
sender = "variables-user"
target.bootstrap = "{bootstrap}"
target.topic = "{prefix}.there"
[outputs.scimma_test]
format = "hop"
content = "avro"
test = true
"""

STARS = [annotation(object_id=f"ZTF18aaaaaa{letter}", novel=letter == "c") for letter in "abc"]


def test_each_consumers_client_reads_its_output(kafka_bus, kafka_bootstrap, prefix, tmp_path: Path) -> None:
    """Three annotations: hop-client, fink-client, DESC's schema, Lasair's program of the Kafka side."""
    path = tmp_path / "c.toml"
    path.write_text(TEXT.format(prefix=prefix, bootstrap=kafka_bootstrap))
    config = load_config(path, {})
    there = f"{prefix}.there"
    create_missing(kafka_bus, [*live.wanted_topics(config), TopicSpec(there, 1)])
    producer = kafka_bus.producer()
    for star in STARS:
        value = encode_classification(star, 1_767_225_600_000)
        producer.send(Output(f"{prefix}.classifications", f"ztf/{star.object_id}".encode(), value))
    producer.flush()
    producer.close()
    run_until_idle(kafka_bus, prefix, list(build_deliver_stages(config)), tmp_path / "state")
    (forwarder,) = build_forwarders(config, kafka_bus, NullSensor())
    forwarder.run_until_idle(timeout_seconds=240)
    forwarder.stop()
    forwarder.run()
    ids = {star.object_id for star in STARS}

    messages = list(read_topic(kafka_bus, f"{prefix}.output.container"))
    folder = tmp_path / "avro"
    folder.mkdir()
    for i, message in enumerate(messages):
        (folder / f"{i}.avro").write_bytes(message.value or b"")
    read = {record["object_id"]: record for record in AlertReader(str(folder)).to_list()}
    assert {name: annotation_from_record(record) for name, record in read.items()} == {
        star.object_id: star for star in STARS
    }

    for message in read_topic(kafka_bus, f"{prefix}.output.desc"):
        record = fastavro.schemaless_reader(io.BytesIO(message.value or b""), schema(), None)
        assert record["brokerName"] == "variables"

    queries = [server_query(json.loads(m.value or b"")) for m in read_topic(kafka_bus, f"anno_{prefix}")]
    assert sorted("'NOVEL'" in query for query in queries) == [False, False, True]

    stream = Stream(auth=False, start_at=StartPosition.EARLIEST, until_eos=True)
    with stream.open(f"kafka://{kafka_bootstrap}/{there}", "r") as messages_there:
        received = list(messages_there.read(metadata=True))
    assert {message.content["object_id"] for message, _ in received} == ids
    assert {dict(metadata.headers)["_sender"] for _, metadata in received} == {b"variables-user"}

    tests = f"kafka://{kafka_bootstrap}/{prefix}.output.scimma_test"
    with stream.open(tests, "r") as passed_over:
        assert list(passed_over.read()) == []
    with stream.open(tests, "r", ignoretest=False) as wanted:
        seen = [message.content["object_id"] for message in wanted.read()]
    assert set(seen) == ids


def test_hop_reads_that_a_novelty_is_none_any_more(
    kafka_bus, kafka_bootstrap, prefix, tmp_path: Path
) -> None:
    """The revision of a later batch, after a restart that restored what had been given; marked, once."""
    path = tmp_path / "c.toml"
    path.write_text(TEXT.format(prefix=prefix, bootstrap=kafka_bootstrap))
    config = load_config(path, {})
    create_missing(kafka_bus, live.wanted_topics(config))
    novel = annotation(object_id="ZTF18aaaaaaa", novel=True, revision=1, changes=("new",))
    ordinary = replace(
        novel,
        novel=False,
        window_id="b" * 32,
        revision=2,
        supersedes=novel.annotation_id,
        changes=("novelty",),
    )
    for restart, said in enumerate((novel, ordinary, replace(ordinary, window_id="c" * 32, revision=3))):
        producer = kafka_bus.producer()
        value = encode_classification(said, 0)
        producer.send(Output(f"{prefix}.classifications", b"ztf/ZTF18aaaaaaa", value))
        producer.flush()
        producer.close()
        run_until_idle(kafka_bus, prefix, list(build_deliver_stages(config)), tmp_path / f"state{restart}")
    stream = Stream(auth=False, start_at=StartPosition.EARLIEST, until_eos=True)
    with stream.open(f"kafka://{kafka_bootstrap}/{prefix}.output.novel", "r") as messages:
        received = list(messages.read(metadata=True))
    told = [(m.content["novel"], m.content.get("filter_outcome")) for m, _ in received]
    assert told == [(True, None), (False, "no_longer_passes")]
    marks = [dict(metadata.headers).get("filter-outcome") for _, metadata in received]
    assert marks == [None, b"no_longer_passes"]


def test_what_hop_publishes_and_what_we_publish_look_the_same(kafka_bus, kafka_bootstrap, prefix) -> None:
    """A message of hop-client's producer beside ours, as a plain consumer sees them."""
    from broker_plugin.outputs import HopFormat, Publication
    from broker_plugin.records import schemas

    topic = f"{prefix}.hop"
    create_missing(kafka_bus, [TopicSpec(topic, 1)])
    record = schemas.decode("classification", encode_classification(STARS[0], 0))
    ours = HopFormat(topic).translate(Publication("classification", record, STARS[0]))
    with Stream(auth=False).open(f"kafka://{kafka_bootstrap}/{topic}", "w") as theirs:
        theirs.write(json.loads(ours.value))
    producer = kafka_bus.producer()
    producer.send(Output(topic, None, ours.value, headers=ours.headers))
    producer.flush()
    producer.close()
    by_hop, by_us = read_topic(kafka_bus, topic)
    assert json.loads(by_hop.value or b"") == json.loads(by_us.value or b"")
    assert [name for name, _ in by_hop.headers] == [name for name, _ in by_us.headers]
    assert dict(by_hop.headers)["_format"] == dict(by_us.headers)["_format"]
