"""The three stages on any bus, driven in turns until nothing is left to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from broker_plugin.runner.bus import Bus, TopicSpec, read_topic
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.protocols import Message, Output, Stage
from broker_plugin.runner.sensor import Sensor
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.topics import create_missing, plan_topics
from broker_plugin.stages.dead_letters import dead_letter_output


def create_topics(bus: Bus, prefix: str, partitions: int = 4, *, alert_partitions: int | None = None) -> str:
    """Create the topics of an installation and one of alerts; return the name of the latter.

    One partition of alerts keeps their order on the way to the re-key.
    """
    alerts = f"{prefix}.alerts"
    create_missing(bus, [TopicSpec(alerts, alert_partitions or partitions), *plan_topics(prefix, partitions)])
    return alerts


def publish(bus: Bus, topic: str, packets: Iterable[bytes]) -> int:
    """Write alert packets without a key, as surveys do; return their number."""
    producer = bus.producer()
    n = 0
    for packet in packets:
        producer.send(Output(topic, None, packet))
        n += 1
    producer.flush()
    producer.close()
    return n


def run_until_idle(
    bus: Bus,
    prefix: str,
    stages: Sequence[Stage],
    state_dir: Path | None = None,
    sensor: Sensor | None = None,
) -> None:
    """Run the stages one after the other, each until it has committed everything there is."""
    settings = RunnerSettings(prefix=prefix, state_dir=state_dir, batch_seconds=0.2)
    with ExitStack() as closing:
        for stage in stages:
            runner = Runner(stage, bus, dead_letter_output(prefix), settings, sensor=sensor)
            closing.enter_context(runner).run_until_idle(timeout_seconds=240)


def committed(bus: Bus, prefix: str, name: str) -> list[Message]:
    """Return what a read_committed consumer sees of a topic."""
    return list(read_topic(bus, f"{prefix}.{name}"))
