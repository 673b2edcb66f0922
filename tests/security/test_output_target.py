"""An output that goes to another cluster behind TLS and a password: options and secrets as for our own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from broker_plugin.app.delivery import build_deliver_stages, build_forwarders
from broker_plugin.app.live import files_not_here, kafka_bus, wanted_topics
from broker_plugin.config import Config, load_config
from broker_plugin.errors import ConfigurationError
from broker_plugin.records.codec import encode_classification
from broker_plugin.runner.bus import Bus, TopicSpec, read_topic
from broker_plugin.runner.protocols import Observation, Output
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.topics import create_missing
from tests.filters.examples import annotation
from tests.integration.pipeline import run_until_idle
from tests.secured_kafka import PASSWORD, USER, SecuredKafka

TEXT = """
prefix = "{prefix}"
[kafka]
bootstrap = "{ours}"
[topics]
partitions = 1
[outputs.there]
format = "json"
[outputs.there.target]
bootstrap = "{theirs}"
topic = "{prefix}.there"
[outputs.there.target.options]
security.protocol = "SASL_SSL"
sasl.mechanism = "SCRAM-SHA-512"
sasl.username = "{user}"
ssl.ca.location = "{authority}"
"""
SECRET = "BROKER_PLUGIN_OUTPUTS__THERE__TARGET__OPTIONS__SASL_PASSWORD"


class Failures(NullSensor):
    """Remembers why nothing was delivered."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def on_observations(self, stage: str, observations: list[Observation]) -> None:  # type: ignore[override]
        self.reasons += [o.labels["reason"] for o in observations if o.name == "forward_failures_total"]


def _text(secured: SecuredKafka, prefix: str) -> str:
    return TEXT.format(
        prefix=prefix,
        ours=secured.bootstrap("PLAIN"),
        theirs=secured.bootstrap("SASL"),
        user=USER,
        authority=secured.certificates.authority,
    )


def _installed(secured: SecuredKafka, prefix: str, config: Config, folder: Path) -> Bus:
    """Make the topics here and there, and an annotation that waits for the forwarder."""
    bus = kafka_bus(config)
    create_missing(bus, [*wanted_topics(config), TopicSpec(f"{prefix}.there", 1)])
    secured.allow(USER, [("topic", "there", ("write", "describe"))], prefix=prefix)
    producer = bus.producer()
    said = annotation()
    producer.send(Output(f"{prefix}.classifications", b"ztf/ZTF18abcdefg", encode_classification(said, 0)))
    producer.flush()
    producer.close()
    run_until_idle(bus, prefix, list(build_deliver_stages(config)), folder / "state")
    return bus


@pytest.mark.kafka
@pytest.mark.parametrize("way", ["environment", "mounted file", "file named in the configuration"])
def test_the_password_by_each_way(secured: SecuredKafka, prefix: str, tmp_path: Path, way: str) -> None:
    """The record arrives through TLS, whichever way the secret came; our own cluster needs none."""
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    path = tmp_path / "c.toml"
    path.write_text(_text(secured, prefix))
    environment = {}
    if way == "environment":
        environment = {SECRET: PASSWORD}
    elif way == "mounted file":
        environment = {f"{SECRET}_FILE": str(secret)}
    else:
        path.write_text(path.read_text() + f'"sasl.password_file" = "{secret}"\n')
    config = load_config(path, environment)
    assert PASSWORD not in repr(config)
    bus = _installed(secured, prefix, config, tmp_path)
    (forwarder,) = build_forwarders(config, bus, NullSensor())
    forwarder.run_until_idle(timeout_seconds=180)
    forwarder.stop()
    forwarder.run()
    assert len(list(read_topic(bus, f"{prefix}.there"))) == 1


@pytest.mark.kafka
def test_a_wrong_password_loses_nothing(secured: SecuredKafka, prefix: str, tmp_path: Path) -> None:
    """It waits, says why, and a forwarder with the right one delivers what has waited."""
    path = tmp_path / "c.toml"
    path.write_text(_text(secured, prefix))
    wrong, right = (load_config(path, {SECRET: word}) for word in ("wrong", PASSWORD))
    bus = _installed(secured, prefix, right, tmp_path)
    failures = Failures()
    (forwarder,) = build_forwarders(wrong, bus, failures)
    deadline = time.monotonic() + 180
    while "blocked" not in failures.reasons:  # the client tries for some time before it says why
        assert time.monotonic() < deadline, "no failure is told"
        with pytest.raises(TimeoutError, match="not idle"):
            forwarder.run_until_idle(timeout_seconds=2)
    with pytest.raises(TimeoutError, match=r"sasl\.password"):
        forwarder.run_until_idle(timeout_seconds=2)
    forwarder.stop()
    forwarder.run()
    assert set(failures.reasons) == {"blocked"}
    assert list(read_topic(bus, f"{prefix}.there")) == []
    (forwarder,) = build_forwarders(right, bus, NullSensor())
    forwarder.run_until_idle(timeout_seconds=180)
    forwarder.stop()
    forwarder.run()
    assert len(list(read_topic(bus, f"{prefix}.there"))) == 1


def _config(folder: Path, extra: str, **environment: str) -> Config:
    path = folder / "c.toml"
    known = {"prefix": "t", "ours": "a:1", "theirs": "b:1", "user": USER, "authority": folder / "ca.pem"}
    path.write_text(TEXT.format(**known) + extra)
    return load_config(path, environment)


def test_what_is_wrong_is_told_before_anything_is_connected_to(tmp_path: Path) -> None:
    """A secret in the file, a file that is not here, options that make no whole: as for our own cluster."""
    with pytest.raises(ConfigurationError, match=r"sasl\.password.*holds a secret"):
        _config(tmp_path, 'sasl.password = "x"\n')
    with pytest.raises(ConfigurationError, match="cannot be read"):
        _config(tmp_path, "", **{f"{SECRET}_FILE": str(tmp_path / "nothing")})
    with pytest.raises(ConfigurationError, match=r"ssl\.ca\.location has no effect"):
        _config(tmp_path, "", **{SECRET.replace("SASL_PASSWORD", "SECURITY_PROTOCOL"): "SASL_PLAINTEXT"})
    told = files_not_here(_config(tmp_path, "", **{SECRET: "x"}))
    assert told == [
        f"outputs.there.target.options: ssl.ca.location: {tmp_path / 'ca.pem'} is not on this machine"
    ]
