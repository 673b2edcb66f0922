"""``run``: the stages at work on Kafka, until they are told to stop."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import click

from broker_plugin.cli.logs import set_up_logging
from broker_plugin.cli.options import config_option
from broker_plugin.config import Config
from broker_plugin.errors import ConfigurationError

logger = logging.getLogger(__name__)

STAGES = ("ingest", "accumulate", "score", "combine", "shadow", "deliver")


def _parse(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    unknown = [name for name in names if name not in STAGES]
    if unknown or not names:
        msg = f"found {value!r}, expected some of {', '.join(STAGES)}, separated by commas"
        raise click.BadParameter(msg)
    return names


@click.command()
@click.option(
    "--stages",
    callback=_parse,
    help=f"Which to host in this process: some of {', '.join(STAGES)}. By default all, deliver only where "
    "there are [outputs], shadow only where there is a [shadow] bundle, combine unless combine.enabled is "
    "false. Several processes share the work.",
)
@config_option
def run(config: Config, stages: tuple[str, ...] | None) -> None:
    """Read alerts from Kafka and publish classifications, novelties and what is said of each object.

    Each result is published exactly once for readers of committed records, whatever crashes. SIGTERM or
    Ctrl-C lets each stage finish its batch; a second one ends at once, which loses nothing either. Metrics
    are served at http://127.0.0.1:9464/metrics unless configured otherwise.
    """
    from broker_plugin.app import delivery, live
    from broker_plugin.app.endpoints import start_http
    from broker_plugin.app.model_facts import model_facts
    from broker_plugin.app.stages import build_stages
    from broker_plugin.config import digest
    from broker_plugin.metrics import Health, Metrics
    from broker_plugin.stages.score import ScoreStage

    set_up_logging(config.log)
    if stages is None:
        idle = {
            "combine": not config.combine.enabled,
            "deliver": not config.outputs,
            "shadow": config.shadow.bundle is None,
        }
        stages = tuple(name for name in STAGES if not idle.get(name, False))
    if "deliver" in stages and not config.outputs:
        msg = "--stages deliver: there is nothing to deliver; the configuration has no [outputs.<name>]"
        raise ConfigurationError(msg)
    if "shadow" in stages and config.shadow.bundle is None:
        msg = "--stages shadow: there is no second model; set shadow.bundle in the configuration"
        raise ConfigurationError(msg)
    hosted = [name for name in stages if name != "deliver"]
    if "deliver" in stages:
        hosted += delivery.delivery_names(config)
    health = Health(hosted, config.runner.max_poll_interval_seconds, needs_model="score" in stages)
    metrics = Metrics(health=health)
    metrics.set_config(
        digest=digest(config),
        prefix=config.prefix,
        worker=config.runner.instance_id,
        stages=",".join(name for name in STAGES if name in stages),
    )
    if set(STAGES[1:]) & set(stages):  # those with state
        metrics.watch_disk(config.accumulate.state_directory)
    with ExitStack() as closing:
        # First of all: whoever probes while the model proves itself gets an answer.
        server = start_http(config.metrics, metrics)
        if server is not None:
            closing.callback(server.close)
        built = build_stages(config, stages)
        if "deliver" in stages:
            built += delivery.build_deliver_stages(config)
        for stage in built:
            if isinstance(stage, ScoreStage) and stage.name == "score":
                metrics.set_model(model_facts(stage.bundle, config.score.runtime))
        bus, source = live.kafka_bus(config), live.source_bus(config)
        live.check_partitions(config, stages, bus)
        runners = live.build_runners(config, stages, metrics, bus=bus, source=source, stages=built)
        forwarders = delivery.build_forwarders(config, bus, metrics) if "deliver" in stages else []
        host = live.Host([*runners, *forwarders], on_end=health.ended)
        live.stop_on_signals(host)
        logger.info(
            "running %s on %s as %s", ", ".join(hosted), config.kafka.bootstrap, config.runner.instance_id
        )
        host.run()
    logger.info("stopped: every batch that was begun is committed")
