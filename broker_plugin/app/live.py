"""The stages beside a live Kafka: one runner and one thread each, one way out for all."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from broker_plugin.app.delivery import delivery_topics
from broker_plugin.app.stages import SHADOW, build_stages, output_topics, shadow_topics
from broker_plugin.config import Config
from broker_plugin.errors import TopicError
from broker_plugin.runner.bus import Bus, TopicSpec
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings, missing_files, refused_options
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.protocols import Stage
from broker_plugin.runner.sensor import Sensor
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.topics import compare_topics, plan_topics
from broker_plugin.stages.dead_letters import dead_letter_output
from broker_plugin.stages.deliver import DeliverStage

_JOIN_SLICE_SECONDS = 0.5  # signals are handled between two slices


def kafka_bus(config: Config) -> KafkaBus:
    """Return our own cluster."""
    return KafkaBus(_own_settings(config))


def source_bus(config: Config) -> KafkaBus | None:
    """Return the survey's cluster, or None when the alerts are read like all else in our own."""
    settings = _source_settings(config)
    return None if settings is None else KafkaBus(settings)


def refused_by_clients(config: Config) -> list[str]:
    """Return the librdkafka options that it would not take, a line each; nothing is connected to."""
    source = _source_settings(config)
    found = [f"kafka: {problem}" for problem in refused_options(_own_settings(config))]
    if source is not None:
        told = {problem.removeprefix("kafka: ") for problem in found}
        found += [f"source.options: {problem}" for problem in refused_options(source) if problem not in told]
    for name, output in config.outputs.items():
        if output.target.bootstrap is not None:
            settings = KafkaSettings(output.target.bootstrap, common=output.target.options)
            found += [f"outputs.{name}.target.options: {problem}" for problem in refused_options(settings)]
    return found


def files_not_here(config: Config) -> list[str]:
    """Return the options that name files which are not on this machine, a line each."""
    options = {**config.source_options, **config.kafka.options}
    missing = {name: str(path) for name, path in missing_files(options).items()}
    for name, output in config.outputs.items():
        found = missing_files(output.target.options)
        missing |= {f"outputs.{name}.target.options: {option}": str(path) for option, path in found.items()}
    if config.catalogue.file is not None and not config.catalogue.file.exists():
        missing["catalogue.file"] = str(config.catalogue.file)
    return [f"{name}: {path} is not on this machine" for name, path in missing.items()]


def _own_settings(config: Config) -> KafkaSettings:
    return KafkaSettings(
        config.kafka.bootstrap,
        common=config.kafka.options,
        consumer={**config.kafka.consumer_options, **_membership(config)},
        producer=config.kafka.producer_options,
        operation_timeout_seconds=config.kafka.timeout_seconds,
        transaction_timeout_seconds=config.runner.transaction_timeout_seconds,
    )


def _source_settings(config: Config) -> KafkaSettings | None:
    if config.source.bootstrap is None and not config.source.options:
        return None
    return KafkaSettings(
        config.source_bootstrap,
        common=config.source_options,
        consumer=_membership(config),
        operation_timeout_seconds=config.kafka.timeout_seconds,
    )


def _membership(config: Config) -> dict[str, int]:
    """Return after how long a silent worker is thought dead."""
    return {
        "session.timeout.ms": round(config.runner.session_timeout_seconds * 1000),
        "max.poll.interval.ms": round(config.runner.max_poll_interval_seconds * 1000),
    }


def wanted_topics(config: Config) -> list[TopicSpec]:
    """Return the topics of an installation as the configuration wants them."""
    planned = plan_topics(config.prefix, config.topics.partitions, replication=config.topics.replication)
    as_ours = {spec.name: spec for spec in planned}
    shadow = [
        replace(as_ours[config.topic(name.removeprefix(f"{config.shadow_prefix}."))], name=name)
        for name in shadow_topics(config)
    ]
    return [*planned, *shadow, *delivery_topics(config)]


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
    if "score" in names or SHADOW in names:
        needed.add(config.topic("lightcurves"))
    if "score" in names:
        needed.add(config.topic("score-changelog"))
    if "score" in names or "combine" in names:
        needed.add(config.topic("classifications"))
    if "combine" in names:
        needed.add(config.topic("combine-changelog"))
    wanted = [spec for spec in wanted_topics(config) if spec.name in needed]
    counts = bus.partition_counts([spec.name for spec in wanted])
    configs = {name: bus.topic_config(name) for name, count in counts.items() if count is not None}
    problems = compare_topics(wanted, counts, configs, bus.address)
    if problems:
        raise TopicError("\n  ".join(["the topics are not as configured:", *problems]))


def build_runners(
    config: Config,
    names: Sequence[str],
    sensor: Sensor,
    *,
    bus: Bus,
    source: Bus | None,
    stages: Sequence[Stage] | None = None,
) -> list[Runner]:
    """Build a runner for each named stage, in the order of the flow.

    ``stages`` are those of the names if they are built already: the model is not loaded twice.
    """
    settings = RunnerSettings(
        prefix=config.prefix,
        instance=config.runner.instance_id,
        state_dir=config.accumulate.state_directory,
        batch_records=config.runner.batch_records,
        batch_seconds=config.runner.batch_seconds,
        max_failures_in_a_row=config.runner.max_failures_in_a_row,
    )
    return [
        Runner(
            stage,
            bus,
            dead_letter_output(config.prefix),
            replace(settings, group_name=config.source.group) if stage.name == "ingest" else settings,
            source_bus=source if stage.name == "ingest" else None,
            output_topics=stage.output_topics
            if isinstance(stage, DeliverStage)
            else output_topics(config, stage.name),
            wanted_topics=config.source.topics_at
            if stage.name == "ingest" and config.source.nightly_topics
            else None,
            sensor=sensor,
        )
        for stage in (build_stages(config, names) if stages is None else stages)
    ]


class Hosted(Protocol):
    """What a host runs: a :class:`Runner`, or a :class:`broker_plugin.app.forward.Forwarder`."""

    def run(self) -> None:
        """Work until :meth:`stop`; raise what makes going on impossible."""

    def stop(self) -> None:
        """Ask for the end; any thread and any signal handler may call it."""


class Host:
    """Runs several runners until one fails or :meth:`stop` is called; then all stop.

    Parameters
    ----------
    runners : sequence of Hosted
    on_end : callable, optional
        Told in one line that a stage has failed; on its thread.
    """

    def __init__(self, runners: Sequence[Hosted], *, on_end: Callable[[str], None] | None = None) -> None:
        self._runners = tuple(runners)
        self._on_end = on_end
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

    def _host(self, runner: Hosted) -> None:
        try:
            runner.run()
        except BaseException as error:  # whatever it is, the other stages must stop and the process must tell
            self._errors.append(error)
            if self._on_end is not None:
                self._on_end("a stage has ended; the log says why")
        finally:
            self.stop()


def stop_on_signals(host: Host) -> None:
    """Stop cleanly on the first SIGTERM or SIGINT, at once on the second (Kafka then aborts)."""

    def handle(number: int, _frame: object) -> None:
        signal.signal(number, lambda again, _: os._exit(128 + again))
        host.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
