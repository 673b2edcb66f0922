"""Outputs from the configuration to their consumers, in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from broker_plugin.app import live
from broker_plugin.app.delivery import (
    build_deliver_stages,
    build_forwarders,
    delivery_names,
    delivery_topics,
)
from broker_plugin.app.registry import register_schema
from broker_plugin.config import Config, load_config
from broker_plugin.errors import AbortableTransactionError, ConfigurationError, FatalBusError
from broker_plugin.metrics import Metrics
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import annotation_from_record, encode_classification
from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.topics import create_missing
from tests.app.lasair_server import ANNOTATOR, TOKEN, LasairServer
from tests.app.registry_server import RegistryServer
from tests.filters.examples import annotation
from tests.integration.pipeline import run_until_idle

TEXT = """
prefix = "t"
[topics]
partitions = 2
[filters.rr]
classes = ["RRAB", "RRCD"]
new_or_changed = true
[outputs.lasair_rr]
format = "lasair"
annotator = "{annotator}"
filters = ["rr"]
rest.endpoint = "{endpoint}"
rest.calls_per_hour = 3.6e6
[outputs.all_json]
format = "json"
[outputs.light_curves]
format = "avro"
source = "novelties"
[outputs.whole]
format = "json"
source = "objects"
"""


@pytest.fixture
def lasair() -> Iterator[LasairServer]:
    with LasairServer() as server:
        yield server


def load(tmp_path, text: str, environment: dict[str, str]) -> Config:
    path = tmp_path / "c.toml"
    path.write_text(text)
    return load_config(path, environment)


@pytest.fixture
def config(tmp_path, lasair) -> Config:
    text = TEXT.format(annotator=ANNOTATOR, endpoint=lasair.endpoint)
    return load(tmp_path, text, {"BROKER_PLUGIN_OUTPUTS__LASAIR_RR__REST__TOKEN": TOKEN})


def publish(bus: MemoryBus, *stars: Annotation) -> None:
    producer = bus.producer()
    for star in stars:
        key = f"{star.survey}/{star.object_id}".encode()
        producer.send(Output("t.classifications", key, encode_classification(star, 0)))
    producer.flush()
    producer.close()


def star(number: int, **changes: object) -> Annotation:
    return annotation(survey="lsst", object_id=str(number), **changes)


def test_names_and_topics(config) -> None:
    """What `topics create` makes and what the probes wait for."""
    assert delivery_names(config) == (
        "deliver",
        "deliver-novelties",
        "deliver-objects",
        "forward-lasair_rr",
    )
    specs = {spec.name: spec for spec in delivery_topics(config)}
    assert {name: spec.partitions for name, spec in specs.items()} == {
        "t.deliver-changelog": 2,
        f"anno_{ANNOTATOR}": 2,
        "t.output.all_json": 2,
        "t.deliver-novelties-changelog": 1,
        "t.output.light_curves": 1,
        "t.deliver-objects-changelog": 2,
        "t.output.whole": 2,
    }
    assert specs["t.deliver-changelog"].config["cleanup.policy"] == "compact"
    assert set(specs) <= {spec.name for spec in live.wanted_topics(config)}


def test_from_the_classification_to_lasair_over_a_restart(config, lasair, tmp_path) -> None:
    """Filtered, remembered in the state across a restart, delivered over HTTP, counted by strict metrics."""
    bus = MemoryBus()
    create_missing(bus, live.wanted_topics(config))
    sensor = Metrics(strict=True)

    def work() -> None:
        run_until_idle(bus, "t", list(build_deliver_stages(config)), tmp_path / "state", sensor)
        for forwarder in build_forwarders(config, bus, sensor):
            forwarder.run_until_idle()
            forwarder.stop()
            forwarder.run()

    publish(bus, star(1), star(2, probabilities={"ECL": 1.0}), star(3))
    work()
    assert sorted(lasair.stored) == [1, 3]
    assert json.loads(lasair.stored[1]["classdict"])["annotation_id"] == star(1).annotation_id

    publish(bus, star(1, energy=1.0), star(3, novel=True, energy=30.0))
    work()
    assert lasair.stored[1]["explanation"] != ""
    assert lasair.stored[3]["classification"] == "NOVEL"
    sent = [json.loads(m.value or b"")["objectId"] for m in read_topic(bus, f"anno_{ANNOTATOR}")]
    assert sorted(sent) == ["1", "3", "3"]  # the second of star 1 was no news
    assert len(list(read_topic(bus, "t.output.all_json"))) == 5
    text = "".join(
        f"{s.labels} {s.value:g}\n"
        for family in sensor.registry.collect()
        for s in family.samples
        if s.name == "broker_plugin_outputs_total"
    )
    assert "{'output': 'lasair_rr', 'outcome': 'sent'} 3" in text
    assert "{'output': 'lasair_rr', 'outcome': 'filtered'} 2" in text


def test_aborted_batch_is_delivered_once(config, lasair, tmp_path) -> None:
    """The transaction fails, then its outcome is unknown: outputs and memory as if undisturbed."""
    bus = MemoryBus()
    create_missing(bus, live.wanted_topics(config))
    publish(bus, star(1), star(1, energy=3.0), star(2))
    bus.fail_next("commit", AbortableTransactionError("coordinator moved"), times=2)
    bus.fail_next("commit", FatalBusError("outcome unknown"), after=True)
    run_until_idle(bus, "t", list(build_deliver_stages(config)), tmp_path / "state")
    sent = sorted(json.loads(m.value or b"")["objectId"] for m in read_topic(bus, f"anno_{ANNOTATOR}"))
    assert sent == ["1", "2"]
    assert len(list(read_topic(bus, "t.output.all_json"))) == 3


def test_confluents_own_client_reads_registered_avro(tmp_path) -> None:
    """It finds the schema by the id in the frame."""
    with RegistryServer() as registry:
        text = (
            'prefix = "t"\n[outputs.a]\nformat = "avro"\nframing = "confluent"\n'
            f'registry_url = "http://{registry.host}"\n'
        )
        config = load(tmp_path, text, {})
        bus = MemoryBus()
        create_missing(bus, live.wanted_topics(config))
        publish(bus, star(1))
        run_until_idle(bus, "t", list(build_deliver_stages(config)))
        (message,) = read_topic(bus, "t.output.a")
        client = SchemaRegistryClient({"url": f"http://{registry.host}"})
        context = SerializationContext("t.output.a", MessageField.VALUE)
        record = AvroDeserializer(client)(message.value, context)
        assert annotation_from_record(record) == star(1)
        assert [subject for subject, _ in registry.schemas] == ["t.output.a-value"]


def test_registering_twice_and_with_a_password() -> None:
    """The same id; user and password go into the header, not into the request."""
    with RegistryServer() as registry:
        address = f"http://me:p%40ss@{registry.host}"
        assert register_schema(address, "t", "novelty") == register_schema(address, "t", "novelty") == 1
        assert registry.authorisations == 2 * ["Basic bWU6cEBzcw=="]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((409, {"message": "incompatible"}), "answered 409"),
        ((200, {"name": "something else"}), "not as a schema registry does"),
        ((200, {"id": "7"}), "expected a number"),
    ],
)
def test_registry_that_refuses(answer, expected) -> None:
    """At start, with the address and the cure."""
    with RegistryServer() as registry:
        registry.answer = answer
        with pytest.raises(ConfigurationError, match=expected):
            register_schema(f"http://{registry.host}", "t", "novelty")


def test_registry_that_is_not_there() -> None:
    """A closed port."""
    with pytest.raises(ConfigurationError, match="does not answer"):
        register_schema("http://127.0.0.1:9", "t", "novelty")


def test_output_without_its_topic_stops_at_start(config) -> None:
    """Outputs were added, `topics create` was not run again."""
    bus = MemoryBus()
    create_missing(bus, [TopicSpec("t.classifications", 2)])
    (forwarder,) = build_forwarders(config, bus, NullSensor())
    with pytest.raises(Exception, match="topics create"):
        forwarder.run()
