"""``audit``: whether what is published is what the photometry must have led to."""

from __future__ import annotations

import click

from broker_plugin.cli.options import config_option
from broker_plugin.config import Config
from broker_plugin.errors import StateMismatchError


@click.command()
@config_option
def audit(config: Config) -> None:
    """Recompute everything from the photometry topic and compare it with what is there.

    Every window must be there once, with one annotation, and the state must be what the photometry makes
    of it. Needs the whole photometry topic and an idle installation; reads only. Exit code 6 if something
    differs.
    """
    from broker_plugin.app.audit import audit as compare
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.app.stages import window_settings

    report = compare(kafka_bus(config), config.prefix, window_settings(config))
    if report.problems:
        raise StateMismatchError("\n  ".join(["the installation is not what it must be:", *report.problems]))
    click.echo(
        f"{report.photometry:,} photometry records led to {report.windows:,} windows, "
        f"{report.annotations:,} annotations and {report.state_keys:,} values of state, all as they must be"
    )
