"""The stages beside a live Kafka: one runner and one thread each, one way out for all."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import replace

from broker_plugin.app.stages import OUTPUT_TOPICS, build_stages
from broker_plugin.config import Config
from broker_plugin.errors import TopicError
from broker_plugin.runner.bus import Bus, TopicSpec
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.sensor import Sensor
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.topics import compare_topics, plan_topics
from broker_plugin.stages.dead_letters import dead_letter_output

_JOIN_SLICE_SECONDS = 0.5  # signals are handled between two slices


def kafka_bus(config: Config) -> KafkaBus:
    """Return our own cluster."""
    return KafkaBus(
        KafkaSettings(
            config.kafka.bootstrap,
            common=config.kafka.options,
            consumer={**config.kafka.consumer_options, **_membership(config)},
            producer=config.kafka.producer_options,
            operation_timeout_seconds=config.kafka.timeout_seconds,
            transaction_timeout_seconds=config.runner.transaction_timeout_seconds,
        )
    )


def source_bus(config: Config) -> KafkaBus | None:
    """Return the survey's cluster, or None when the alerts are read like all else in our own."""
    if config.source.bootstrap is None and not config.source.options:
        return None
    return KafkaBus(
        KafkaSettings(
            config.source_bootstrap,
            common=config.source_options,
            consumer=_membership(config),
            operation_timeout_seconds=config.kafka.timeout_seconds,
        )
    )


def _membership(config: Config) -> dict[str, int]:
    """Return after how long a silent worker is thought dead."""
    return {
        "session.timeout.ms": round(config.runner.session_timeout_seconds * 1000),
        "max.poll.interval.ms": round(config.runner.max_poll_interval_seconds * 1000),
    }


def wanted_topics(config: Config) -> list[TopicSpec]:
    """Return the topics of an installation as the configuration wants them."""
    return plan_topics(config.prefix, config.topics.partitions, replication=config.topics.replication)


def check_partitions(config: Config, names: Sequence[str], bus: Bus) -> None:
    """Refuse to start stages that key records, or hold state, by another number of partitions.

    The number is final once live: with another one, objects change places and leave their state behind.

    Raises
    ------
    TopicError
        Names each topic whose number is not ``topics.partitions``, and the cure.
    """
    needed = set()
    if "ingest" in names or "accumulate" in names:
        needed.add(config.topic("photometry"))
    if "accumulate" in names:
        needed.add(config.topic("changelog"))
    wanted = [spec for spec in wanted_topics(config) if spec.name in needed]
    counts = bus.partition_counts([spec.name for spec in wanted])
    configs = {name: bus.topic_config(name) for name, count in counts.items() if count is not None}
    problems = compare_topics(wanted, counts, configs)
    if problems:
        raise TopicError("\n  ".join(["the topics are not as configured:", *problems]))


def build_runners(
    config: Config, names: Sequence[str], sensor: Sensor, *, bus: Bus, source: Bus | None
) -> list[Runner]:
    """Build a runner for each named stage, in the order of the flow."""
    settings = RunnerSettings(
        prefix=config.prefix,
        instance=config.runner.instance_id,
        state_dir=config.accumulate.state_directory,
        batch_records=config.runner.batch_records,
        batch_seconds=config.runner.batch_seconds,
    )
    return [
        Runner(
            stage,
            bus,
            dead_letter_output(config.prefix),
            replace(settings, group_name=config.source.group) if stage.name == "ingest" else settings,
            source_bus=source if stage.name == "ingest" else None,
            output_topics=[config.topic(name) for name in OUTPUT_TOPICS[stage.name]],
            sensor=sensor,
        )
        for stage in build_stages(config, names)
    ]


class Host:
    """Runs several runners until one fails or :meth:`stop` is called; then all stop.

    Parameters
    ----------
    runners : sequence of Runner
    """

    def __init__(self, runners: Sequence[Runner]) -> None:
        self._runners = tuple(runners)
        self._errors: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._host, args=(runner,), name=f"stage-{number}")
            for number, runner in enumerate(self._runners)
        ]

    def run(self) -> None:
        """Start all stages and wait for the end of all.

        Raises
        ------
        BrokerPluginError
            Of the first stage that could not go on; the others have been stopped cleanly.
        """
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_JOIN_SLICE_SECONDS)
        if self._errors:
            raise self._errors[0]

    def stop(self) -> None:
        """Let every stage finish its batch, commit and leave; a signal handler may call it."""
        for runner in self._runners:
            runner.stop()

    @property
    def alive(self) -> bool:
        """Return whether every stage's thread runs."""
        return all(thread.is_alive() for thread in self._threads)

    def _host(self, runner: Runner) -> None:
        try:
            runner.run()
        except BaseException as error:  # whatever it is, the other stages must stop and the process must tell
            self._errors.append(error)
        finally:
            self.stop()


def stop_on_signals(host: Host) -> None:
    """Stop cleanly on the first SIGTERM or SIGINT, at once on the second (Kafka then aborts)."""

    def handle(number: int, _frame: object) -> None:
        signal.signal(number, lambda again, _: os._exit(128 + again))
        host.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
