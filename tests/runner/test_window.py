"""Nightly topics: a window of explicit names that rolls while the worker runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from broker_plugin.config import load_config
from broker_plugin.errors import BrokerUnreachableError
from broker_plugin.runner.bus import Bus, TopicSpec
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.settings import Clock, RunnerSettings
from broker_plugin.runner.topics import create_missing
from broker_plugin.runner.window import CHECK_SECONDS, TopicWindow
from tests.runner.counting import ForwardStage, dead_letter_to, outputs, topic_specs


class Night:
    """A clock that the test turns on; it goes on by itself, too, so that deadlines end."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._begin = datetime(2026, 1, 9, 22, 0, tzinfo=UTC).timestamp() - time.monotonic()

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: time.monotonic() + self.ahead,
            wall=lambda: self._begin + time.monotonic() + self.ahead,
        )


class Waiting(NullSensor):
    """Notes what the runner waits for."""

    reason = ""

    def on_waiting(self, stage: str, reason: str) -> None:
        self.reason = reason


class Site:
    """A stage on the nights of one programme, two nights back."""

    def __init__(self, bus: Bus, prefix: str, night: Night) -> None:
        self.bus, self.prefix, self.night = bus, prefix, night
        create_missing(bus, topic_specs(prefix))
        self.sensor = Waiting()
        source = load_config(
            None,
            {
                "BROKER_PLUGIN_SOURCE__NIGHTLY_TOPICS": f"{prefix}_%Y%m%d_programid1",
                "BROKER_PLUGIN_SOURCE__NIGHTS": "2",
            },
        ).source
        self.runner = Runner(
            ForwardStage(prefix),
            bus,
            dead_letter_to(prefix),
            RunnerSettings(prefix, batch_seconds=0.2),
            wanted_topics=source.topics_at,
            sensor=self.sensor,
            clock=night.clock(),
        )

    def topic(self, day: int) -> str:
        return f"{self.prefix}_202601{day:02d}_programid1"

    def alerts(self, day: int, *values: bytes) -> None:
        create_missing(self.bus, [TopicSpec(self.topic(day), 1)])
        producer = self.bus.producer()
        for value in values:
            producer.send(Output(self.topic(day), None, value))
        producer.flush()
        producer.close()

    def read_all(self) -> list[bytes]:
        self.runner.run_until_idle(60)
        return sorted(outputs(self.bus, self.prefix).elements())


@pytest.fixture
def site(bus: Bus, prefix: str) -> Iterator[Site]:
    site = Site(bus, prefix, Night())
    yield site
    site.runner.close()


def test_window_rolls_at_midnight_while_the_worker_runs(site: Site) -> None:
    """From tonight's topic to tomorrow's, which appears late; then the first leaves the window for good."""
    site.alerts(9, b"a", b"b")
    assert site.read_all() == [b"a", b"b"]

    site.night.ahead = (
        3 * 3600.0
    )  # 01:00 on the 10th; no exposure yet, and the 9th still gets its last alerts
    site.alerts(9, b"c")
    assert site.read_all() == [b"a", b"b", b"c"]
    assert site.runner._stage.input_topics == (site.topic(9),)

    site.alerts(10, b"d")
    site.night.ahead += CHECK_SECONDS
    assert site.read_all() == [b"a", b"b", b"c", b"d"]
    assert site.runner._stage.input_topics == (site.topic(9), site.topic(10))

    site.night.ahead += 86_400.0
    site.alerts(11, b"f")
    site.alerts(9, b"too late")
    assert site.read_all() == [b"a", b"b", b"c", b"d", b"f"]
    assert site.runner._stage.input_topics == (site.topic(10), site.topic(11))


class Forgetful(MemoryBus):
    """A cluster whose metadata no longer name some topics."""

    deleted: frozenset[str] = frozenset()

    def partition_counts(self, topics):  # type: ignore[no-untyped-def]
        found = super().partition_counts(topics)
        return {name: None if name in self.deleted else count for name, count in found.items()}


def test_survey_deletes_a_night_within_the_window(prefix: str) -> None:
    """It is let go, and the others are read on."""
    bus = Forgetful()
    site = Site(bus, prefix, Night())
    site.alerts(8, b"a")
    site.alerts(9, b"b")
    assert site.read_all() == [b"a", b"b"]
    bus.deleted = frozenset({site.topic(8)})
    site.night.ahead = CHECK_SECONDS
    site.alerts(9, b"c")
    assert site.read_all() == [b"a", b"b", b"c"]
    assert site.runner._stage.input_topics == (site.topic(9),)
    site.runner.close()


def test_no_night_has_begun(site: Site) -> None:
    """The worker waits, says for what, and begins by itself."""
    assert site.read_all() == []
    assert site.sensor.reason == f"one of the topics {site.topic(8)}, {site.topic(9)}"
    site.alerts(9, b"a")
    site.night.ahead = CHECK_SECONDS
    assert site.read_all() == [b"a"]


class Deaf(MemoryBus):
    """A cluster that may not answer."""

    silent = True

    def partition_counts(self, topics):  # type: ignore[no-untyped-def]
        if self.silent:
            msg = "no answer"
            raise BrokerUnreachableError(msg)
        return super().partition_counts(topics)


def test_cluster_that_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    """At the start it is a mistake to be told; later the topics that were known are read on."""
    bus, night = Deaf(), Night()
    window = TopicWindow(lambda _seconds: ["a", "b"], bus, night.clock())
    with pytest.raises(BrokerUnreachableError):
        window.existing()
    bus.silent = False
    create_missing(bus, [TopicSpec("a", 1)])
    assert window.existing() == ("a",)
    bus.silent = True
    night.ahead = CHECK_SECONDS
    assert window.existing() == ("a",)
    assert "looking for new topics" in caplog.text
    bus.silent = False
    create_missing(bus, [TopicSpec("b", 1)])
    assert window.existing() == ("a",)  # not asked again so soon
    night.ahead += CHECK_SECONDS
    assert window.existing() == ("a", "b")
