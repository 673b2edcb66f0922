"""Outputs built from a configuration: the stages that write them, and what carries them elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from broker_plugin.app.forward import Courier, Forwarder, forward_name
from broker_plugin.app.kafka_courier import KafkaCourier
from broker_plugin.app.lasair_courier import LasairCourier
from broker_plugin.app.registry import register_schema
from broker_plugin.config import Config
from broker_plugin.config.delivery import OutputConfig
from broker_plugin.filters import Filter, build_filter
from broker_plugin.outputs import (
    KINDS,
    AvroFormat,
    ElasticcFormat,
    Format,
    HopFormat,
    JsonFormat,
    LasairFormat,
    Source,
    load_taxonomy,
    shipped_taxonomy,
)
from broker_plugin.runner.bus import Bus, TopicSpec
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from broker_plugin.runner.sensor import Sensor
from broker_plugin.runner.topics import plan_topics
from broker_plugin.stages.dead_letters import dead_letter_output
from broker_plugin.stages.deliver import DELIVER_NAMES, DeliverStage, Route


def sources_in_use(config: Config) -> tuple[Source, ...]:
    """Return the topics that outputs are made from."""
    return tuple(s for s in DELIVER_NAMES if any(output.source == s for output in config.outputs.values()))


def delivery_names(config: Config) -> tuple[str, ...]:
    """Return the names of everything that delivers: stages, then forwarders."""
    leaving = [forward_name(name) for name, output in config.outputs.items() if output.leaves]
    return (*(DELIVER_NAMES[source] for source in sources_in_use(config)), *leaving)


def delivery_topics(config: Config) -> list[TopicSpec]:
    """Return the topics that delivering needs besides those of the other stages."""
    partitions, replication = config.topics.partitions, config.topics.replication
    plan = {spec.name: spec for spec in plan_topics(config.prefix, partitions, replication=replication)}
    specs = []
    for source in sources_in_use(config):
        like = plan[config.topic(source)]
        changelog = config.topic(f"{DELIVER_NAMES[source]}-changelog")
        specs.append(replace(plan[config.topic("changelog")], name=changelog, partitions=like.partitions))
        for name, output in config.outputs.items():
            if output.source == source:
                specs += [replace(like, name=topic) for topic in output.topics(config.prefix, name)]
    return specs


def build_deliver_stages(config: Config) -> list[DeliverStage]:
    """Build a stage for each source that outputs are made from.

    Raises
    ------
    ConfigurationError
        A schema registry does not answer, or a taxonomy has gone bad.
    """
    filters = {name: build_filter(name, spec) for name, spec in config.filters.items()}
    return [
        DeliverStage(
            config.prefix,
            source,
            [
                route
                for name, output in config.outputs.items()
                if output.source == source
                for route in _routes(config, name, output, filters)
            ],
        )
        for source in sources_in_use(config)
    ]


def build_forwarders(config: Config, bus: Bus, sensor: Sensor) -> list[Forwarder]:
    """Build what carries each output that leaves our cluster."""
    return [
        Forwarder(
            name,
            tuple(output.topics(config.prefix, name)),
            bus,
            _courier(config, output),
            group=config.topic(forward_name(name)),
            dead_letter_output=dead_letter_output(config.prefix),
            batch_records=output.rest.batch if output.rest.endpoint else config.runner.batch_records,
            sensor=sensor,
        )
        for name, output in config.outputs.items()
        if output.leaves
    ]


def _routes(config: Config, name: str, output: OutputConfig, filters: dict[str, Filter]) -> Sequence[Route]:
    return [
        Route(
            name,
            topic,
            tuple(filters[each] for each in chosen),
            _format(output, topic),
            output.follow_up,
            part=chosen[0] if output.topic_per_filter else "",
        )
        for topic, chosen in output.topics(config.prefix, name).items()
    ]


def _format(output: OutputConfig, topic: str) -> Format:
    if output.format == "json":
        return JsonFormat()
    if output.format == "avro":
        kind = KINDS[output.source]
        ids = {} if output.registry_url is None else {kind: register_schema(output.registry_url, topic, kind)}
        return AvroFormat(output.framing, ids)
    if output.format == "lasair":
        assert output.annotator is not None, "the configuration has been checked"
        return LasairFormat(output.annotator, output.url or "")
    if output.format == "elasticc":
        assert output.broker_name is not None, "the configuration has been checked"
        taxonomy = shipped_taxonomy() if output.taxonomy is None else load_taxonomy(output.taxonomy)
        return ElasticcFormat(taxonomy, output.broker_name)
    sender = output.sender or output.target.options.get("sasl.username")
    return HopFormat(
        output.target.topic or topic, output.content, None if sender is None else str(sender), output.test
    )


def _courier(config: Config, output: OutputConfig) -> Courier:
    if output.rest.endpoint is not None:
        rest = output.rest
        assert rest.token is not None, "the configuration has been checked"
        return LasairCourier(
            output.rest.endpoint,
            rest.token,
            calls_per_hour=rest.calls_per_hour,
            batch=rest.batch,
            timeout_seconds=rest.timeout_seconds,
        )
    target = output.target
    assert target.bootstrap is not None, "only what leaves is forwarded"
    seconds = config.kafka.timeout_seconds
    # Among the common ones: asking who is there needs the security options, too.
    there = KafkaBus(
        KafkaSettings(target.bootstrap, common=target.options, operation_timeout_seconds=seconds)
    )
    return KafkaCourier(there, lambda topic: target.topic or topic)
