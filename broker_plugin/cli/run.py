"""``run``: the stages at work on Kafka, until they are told to stop."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import click

from broker_plugin.cli.logs import set_up_logging
from broker_plugin.cli.model_in_use import bundle_in_use
from broker_plugin.cli.options import config_option
from broker_plugin.config import Config

logger = logging.getLogger(__name__)

STAGES = ("ingest", "accumulate", "score")


def _parse(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))
    unknown = [name for name in names if name not in STAGES]
    if unknown or not names:
        msg = f"found {value!r}, expected some of {', '.join(STAGES)}, separated by commas"
        raise click.BadParameter(msg)
    return names


@click.command()
@click.option(
    "--stages",
    default=",".join(STAGES),
    show_default=True,
    callback=_parse,
    help="Which to host in this process. Several processes share the work.",
)
@config_option
def run(config: Config, stages: tuple[str, ...]) -> None:
    """Read alerts from Kafka and publish classifications and novelties.

    Each result is published exactly once for readers of committed records, whatever crashes. SIGTERM or
    Ctrl-C lets each stage finish its batch; a second one ends at once, which loses nothing either. Metrics
    are served at http://127.0.0.1:9464/metrics unless configured otherwise.
    """
    from broker_plugin.app import live
    from broker_plugin.metrics import Metrics, MetricsServer

    set_up_logging(config.log)
    metrics = Metrics()
    if "score" in stages:
        bundle = bundle_in_use(config)
        name, version = bundle.manifest.name, bundle.manifest.version
        metrics.set_model(name=name, version=version, digest=bundle.digest, runtime=config.score.runtime)
    bus, source = live.kafka_bus(config), live.source_bus(config)
    live.check_partitions(config, stages, bus)
    host = live.Host(live.build_runners(config, stages, metrics, bus=bus, source=source))

    def trouble() -> str | None:
        return None if host.alive else "a stage has ended; the log says why"

    with ExitStack() as closing:
        if config.metrics.enabled:
            server = MetricsServer(
                metrics, config.metrics.address, config.metrics.port, live=trouble, ready=metrics.unready
            )
            closing.callback(server.close)
        live.stop_on_signals(host)
        logger.info(
            "running %s on %s as %s", ", ".join(stages), config.kafka.bootstrap, config.runner.instance_id
        )
        host.run()
    logger.info("stopped: every batch that was begun is committed")
