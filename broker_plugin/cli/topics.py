"""``topics``: the topics that an installation needs, and whether they are right."""

from __future__ import annotations

from dataclasses import replace

import click

from broker_plugin.cli.failures import PluginGroup
from broker_plugin.cli.options import config_option
from broker_plugin.config import Config
from broker_plugin.errors import TopicError
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.topics import create_missing, verify_topics


@click.group(cls=PluginGroup)
def topics() -> None:
    """Plan, create and verify the Kafka topics."""


@topics.command()
@config_option
def plan(config: Config) -> None:
    """Print the topics that the configuration asks for. Needs no Kafka."""
    for spec in wanted_topics(config):
        settings = " ".join(f"{name}={value}" for name, value in sorted(spec.config.items()))
        copies = f"partitions={spec.partitions} replication={spec.replication}"
        click.echo(f"{spec.name:<40} {copies} {settings}".rstrip())


@topics.command()
@config_option
def create(config: Config) -> None:
    """Create the topics that do not exist yet; those that exist are left as they are."""
    from broker_plugin.app.live import kafka_bus

    created = create_missing(kafka_bus(config), wanted_topics(config))
    for name in created:
        click.echo(f"created {name}")
    if not created:
        click.echo("all topics exist already; `broker-plugin topics verify` looks at their layout")


@topics.command()
@config_option
def verify(config: Config) -> None:
    """Compare the topics that exist with those that are configured (exit code 5 if they differ)."""
    from broker_plugin.app.live import kafka_bus

    wanted = wanted_topics(config)
    problems = verify_topics(kafka_bus(config), wanted)
    if problems:
        raise TopicError("\n  ".join(["the topics are not as configured:", *problems]))
    click.echo(f"all {len(wanted)} topics are as configured")


def wanted_topics(config: Config) -> list[TopicSpec]:
    """Return the topics that should exist in our cluster, the alerts' own among them if they live there."""
    from broker_plugin.app import live

    specs = live.wanted_topics(config)
    if config.source.bootstrap is None:
        partitions, replication = config.topics.partitions, config.topics.replication
        alerts = [TopicSpec(name, partitions, replication=replication) for name in config.source_topics]
        specs = alerts + specs
    if config.topics.retention_hours is None:
        return specs
    kept = {"retention.ms": str(round(config.topics.retention_hours * 3_600_000))}
    # Compaction, not age, decides what the changelog keeps: age would lose state.
    return [
        spec
        if "compact" in spec.config.get("cleanup.policy", "")
        else replace(spec, config={**spec.config, **kept})
        for spec in specs
    ]
