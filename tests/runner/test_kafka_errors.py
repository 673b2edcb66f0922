"""Settings and brokers that do not work: one clear error, in seconds."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from broker_plugin.errors import (
    AbortableTransactionError,
    BrokerUnreachableError,
    ConfigurationError,
    FencedError,
    TopicError,
)
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.protocols import Output
from tests.conftest import kafka_settings
from tests.kafka_server import KafkaServer, java_version, kafka_jars
from tests.runner.counting import CountingStage, dead_letter_to, expected_outputs, fill, outputs, topic_specs
from tests.runner.test_bus_contract import Recorder
from tests.runner.test_exactly_once import runner_settings


def test_a_broker_that_is_not_there_is_named_in_seconds() -> None:
    """Nothing listens at the address."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        bus = KafkaBus(KafkaSettings(address, connect_timeout_seconds=1.5))
        runner = Runner(CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t"))
        started = time.monotonic()

        with pytest.raises(
            BrokerUnreachableError, match=f"no Kafka broker answers at {address} within 1.5 s"
        ):
            runner.run()

        assert time.monotonic() - started < 10  # not the half minute that an operation may take


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("common", "kafka.options"),
        ("consumer", "kafka.consumer_options"),
        ("producer", "kafka.producer_options"),
    ],
)
def test_options_that_would_break_the_guarantee_are_refused(section: str, key: str) -> None:
    """Exactly-once does not survive ``enable.auto.commit``."""
    settings = KafkaSettings("127.0.0.1:1", **{section: {"enable.auto.commit": True}})
    options = settings.producer_options if section == "producer" else settings.consumer_options
    with pytest.raises(ConfigurationError, match=rf"enable\.auto\.commit in '{key}'"):
        options("x")


def test_an_unknown_option_is_named() -> None:
    """The client's own complaint reaches the operator."""
    with pytest.raises(ConfigurationError, match=r"no\.such\.option"):
        KafkaBus(KafkaSettings("127.0.0.1:1", common={"no.such.option": 1})).cluster_id()


@pytest.mark.kafka
def test_nobody_sends_no_offsets(kafka_bus: KafkaBus, prefix: str) -> None:
    """Before the first join there is no generation: Kafka would take offsets sent without one unfenced."""
    kafka_bus.create_topics(topic_specs(prefix))
    consumer = kafka_bus.consumer(f"{prefix}.g", [f"{prefix}.in"], Recorder())
    with pytest.raises(AbortableTransactionError, match="no member of group"):
        consumer.group_metadata()
    consumer.close()


@pytest.mark.kafka
def test_a_transaction_that_timed_out_is_fenced(kafka_bootstrap: str, prefix: str) -> None:
    """The process was suspended in the middle of a transaction for longer than the broker waits."""
    bus = KafkaBus(kafka_settings(kafka_bootstrap, session_seconds=3.0))
    bus.create_topics(topic_specs(prefix))
    producer = bus.producer(f"{prefix}.p")
    producer.init_transactions()
    producer.begin()
    producer.send(Output(f"{prefix}.out", b"k", b"late"))
    producer.flush()
    assert not outputs(
        bus, prefix
    )  # read to the end, which the broker shows when it has ended the transaction

    with pytest.raises((FencedError, AbortableTransactionError)):
        producer.commit()
    producer.close()
    assert not outputs(bus, prefix)


@pytest.mark.kafka
def test_a_record_for_an_unknown_topic_is_told(kafka_bus: KafkaBus, prefix: str) -> None:
    """The topic was deleted while the worker ran."""
    producer = kafka_bus.producer()
    producer.send(Output(f"{prefix}.nowhere", b"k", b"v"))
    with pytest.raises(TopicError, match="UNKNOWN_TOPIC"):
        producer.flush()
    producer.close()


@pytest.mark.kafka
@pytest.mark.long  # it waits for sessions to end; make test has the attack on the only broker in its place
@pytest.mark.skipif(java_version() < 17, reason="needs Java 17 to start a Kafka of its own")
def test_a_broker_that_dies_and_comes_back(tmp_path: Path) -> None:
    """SIGKILL to the broker between two portions, restart on the same data: the same worker carries on."""
    with KafkaServer(kafka_jars(), tmp_path / "kafka") as server:
        bus = KafkaBus(kafka_settings(server.bootstrap))
        bus.create_topics(topic_specs("t"))
        fill(bus, "t", 50)
        with Runner(
            CountingStage("t"),
            bus,
            dead_letter_to("t"),
            runner_settings("t", tmp_path / "state", max_rejoins=20),
        ) as runner:
            runner.run_until_idle(120)
            server.kill()
            server.start()
            fill(bus, "t", 50, first=50)
            runner.run_until_idle(120)

        assert outputs(bus, "t") == expected_outputs(100)
