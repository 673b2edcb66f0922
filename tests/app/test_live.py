"""What a configuration makes of runners: who reads where, in which group."""

from __future__ import annotations

import pytest

from broker_plugin.app.live import build_runners, kafka_bus, source_bus, wanted_topics
from broker_plugin.config import Config, load_config
from broker_plugin.errors import ConfigurationError
from broker_plugin.records.codec import encode_window
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Message
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.settings import RunnerSettings
from tests.stages.test_accumulate import DictState
from tests.stages.test_score import window


def config(**variables: str) -> Config:
    return load_config(None, {f"BROKER_PLUGIN_{name}": value for name, value in variables.items()})


def groups(configured: Config) -> dict[str, str]:
    """Return the consumer group of each stage's runner."""
    runners = build_runners(
        configured, ["ingest", "accumulate"], NullSensor(), bus=MemoryBus(), source=MemoryBus()
    )
    return {runner._stage.name: runner._settings.group(runner._stage.name) for runner in runners}


def test_groups_are_named_after_prefix_and_stage() -> None:
    """Unless somebody else prescribes the one of ingest; the others stay ours."""
    assert groups(config(PREFIX="p")) == {"ingest": "p.ingest", "accumulate": "p.accumulate"}
    prescribed = config(PREFIX="p", SOURCE__GROUP="survey-team_7.a")
    assert groups(prescribed) == {"ingest": "survey-team_7.a", "accumulate": "p.accumulate"}


def test_the_transactional_id_does_not_follow_the_group() -> None:
    """It is a name in our own cluster."""
    settings = RunnerSettings("p", instance="i", group_name="theirs")
    assert settings.transactional_id("ingest") == "p.ingest.i"


@pytest.mark.parametrize("name", ["with blank", "x" * 201])
def test_impossible_group_is_refused(name: str) -> None:
    """The key is named."""
    with pytest.raises(ConfigurationError, match=r"source\.group"):
        config(SOURCE__GROUP=name)


def test_group_id_among_the_options_is_refused_with_the_key() -> None:
    """Where a group's name can be set is in the message."""
    with pytest.raises(ConfigurationError, match=r"source\.group"):
        config(SOURCE__OPTIONS='{"group.id": "x"}')


def test_the_source_is_ours_unless_something_is_set() -> None:
    """An address or an option of its own makes it another client; each is told how long silence is death."""
    assert source_bus(config()) is None
    other = source_bus(config(SOURCE__BOOTSTRAP="survey:9092", RUNNER__SESSION_TIMEOUT_SECONDS="30"))
    assert other is not None
    options = other._settings.consumer_options("g")
    assert options["bootstrap.servers"] == "survey:9092"
    assert options["session.timeout.ms"] == 30_000
    assert options["max.poll.interval.ms"] == 300_000
    same = source_bus(config(SOURCE__OPTIONS='{"fetch.wait.max.ms": 5}', KAFKA__BOOTSTRAP="ours:9092"))
    assert same is not None
    options = same._settings.consumer_options("g")
    assert (options["bootstrap.servers"], options["fetch.wait.max.ms"]) == ("ours:9092", 5)
    assert "fetch.wait.max.ms" not in kafka_bus(config())._settings.consumer_options("g")


def test_a_shadow_scores_the_same_windows_into_topics_of_its_own() -> None:
    """Its group, its state and all that it publishes are its own; its topics are planned with the others."""
    both = config(PREFIX="p", SHADOW__BUNDLE="default", SCORE__THREADS="1")
    (runner,) = build_runners(both, ["shadow"], NullSensor(), bus=MemoryBus(), source=None)
    assert runner._stage.input_topics == ("p.lightcurves",)
    assert runner._stage.changelog_topic == "p-shadow.score-changelog"
    assert runner._settings.group("shadow") == "p.shadow"
    message = Message("p.lightcurves", 0, 0, None, encode_window(window()))
    result = runner._stage.step([message, message._replace(value=b"x")], DictState())
    topics = {output.topic for output in result.outputs}
    assert topics == {"p-shadow.classifications", "p.dead-letters"}
    assert [o.name for o in result.observations] == ["dead_letters_total"]
    planned = {spec.name: spec.partitions for spec in wanted_topics(both)}
    assert {name: planned[name] for name in planned if name.startswith("p-shadow.")} == {
        "p-shadow.classifications": 8, "p-shadow.novelties": 1, "p-shadow.score-changelog": 8
    }  # fmt: skip
    assert planned["p.score-changelog"] == planned["p.lightcurves"]
    assert not [spec.name for spec in wanted_topics(config(PREFIX="p")) if "shadow" in spec.name]
