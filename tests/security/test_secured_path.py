"""The whole path through SASL_SSL, by a user who has the rights that the documentation lists and no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broker_plugin.app.live import kafka_bus, wanted_topics
from broker_plugin.app.stages import build_stages
from broker_plugin.archive.packets import iter_packets
from broker_plugin.config import load_config
from broker_plugin.errors import AccessError, BrokerPluginError
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.topics import create_missing, verify_topics
from broker_plugin.simulate.generate import simulate
from broker_plugin.simulate.settings import demo_settings
from tests.integration.pipeline import committed, publish, run_until_idle
from tests.secured_kafka import STRANGER, USER, SecuredKafka

pytestmark = pytest.mark.kafka

# docs/deploy/security.md has the same table.
RIGHTS = (
    ("topic", "", ("read", "write", "describe", "describe_configs", "create")),
    ("group", "", ("read", "describe")),
    ("transactional_id", "", ("write", "describe")),
)


def _environment(kafka: SecuredKafka, prefix: str, user: str) -> dict[str, str]:
    options = {
        f"BROKER_PLUGIN_KAFKA__OPTIONS__{name.upper().replace('.', '_')}": value
        for name, value in kafka.options(user=user).items()
    }
    return options | {
        "BROKER_PLUGIN_PREFIX": prefix,
        "BROKER_PLUGIN_KAFKA__BOOTSTRAP": kafka.bootstrap("SASL"),
        "BROKER_PLUGIN_TOPICS__PARTITIONS": "2",
        "BROKER_PLUGIN_SCORE__PUBLISH": "all",
    }


def test_from_alerts_to_annotations(secured: SecuredKafka, prefix: str, tmp_path: Path) -> None:
    """Topics created and verified; the nights of some stars ingested, accumulated and scored."""
    secured.allow(USER, RIGHTS, prefix=prefix)
    nights = tmp_path / "nights"
    simulated = simulate(replace(demo_settings(seed=5), n_objects=3, bands=("r",)), nights, None)
    config = load_config(None, _environment(secured, prefix, USER))
    bus = kafka_bus(config)
    alerts = config.topic("alerts")
    wanted = [TopicSpec(alerts, 1), *wanted_topics(config)]

    create_missing(bus, wanted)
    assert verify_topics(bus, wanted) == []
    assert publish(bus, alerts, (p.payload for p in iter_packets([nights]))) >= simulated.alerts
    run_until_idle(bus, prefix, build_stages(config), tmp_path / "state")

    windows = committed(bus, prefix, "lightcurves")
    annotations = committed(bus, prefix, "classifications")
    assert len(annotations) == len(windows) > 0


def test_a_user_who_may_read_but_not_join(secured: SecuredKafka, prefix: str, tmp_path: Path) -> None:
    """The right on the consumer group is forgotten: the process ends and names it."""
    secured.allow(USER, RIGHTS, prefix=prefix)
    secured.allow(STRANGER, RIGHTS[:1] + RIGHTS[2:], prefix=prefix)
    config = load_config(None, _environment(secured, prefix, USER))
    create_missing(kafka_bus(config), [TopicSpec(config.topic("alerts"), 1), *wanted_topics(config)])

    config = load_config(None, _environment(secured, prefix, STRANGER))
    with pytest.raises(AccessError, match=r"grant it Read on the consumer group"):
        run_until_idle(kafka_bus(config), prefix, build_stages(config, ["accumulate"]), tmp_path / "state")


def test_a_user_who_may_not_write_transactions(secured: SecuredKafka, prefix: str, tmp_path: Path) -> None:
    """The right on the transactional id is forgotten: the process ends and names it."""
    secured.allow(USER, RIGHTS, prefix=prefix)
    secured.allow(STRANGER, RIGHTS[:2], prefix=prefix)
    config = load_config(None, _environment(secured, prefix, USER))
    create_missing(kafka_bus(config), [TopicSpec(config.topic("alerts"), 1), *wanted_topics(config)])

    config = load_config(None, _environment(secured, prefix, STRANGER))
    with pytest.raises(
        BrokerPluginError, match=r"grant it Write and Describe on the transactional id"
    ) as told:
        run_until_idle(kafka_bus(config), prefix, build_stages(config, ["accumulate"]), tmp_path / "state")
    assert told.value.exit_code == 10
