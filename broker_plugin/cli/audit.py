"""``audit``: whether what is published is what the photometry must have led to."""

from __future__ import annotations

import click

from broker_plugin.cli.options import config_option
from broker_plugin.config import Config
from broker_plugin.errors import StateMismatchError


@click.command()
@click.option(
    "--recompute",
    is_flag=True,
    help="Let the configured model score all windows again and compare every field; 0.2 s a window. Only "
    "of use if that model has run all along.",
)
@config_option
def audit(config: Config, *, recompute: bool) -> None:
    """Recompute everything from the photometry topic and compare it with what is there.

    Every window must be there once, the revisions of each light curve and, with combine.enabled, of each
    object must be one unbroken chain, and the state must be what the photometry makes of it. Needs the whole
    photometry topic and an idle installation; reads only. Exit code 6 if something differs.
    """
    from broker_plugin.app.audit import audit as compare
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.app.stages import build_stages, window_settings
    from broker_plugin.stages.score import ScoreStage

    stages = build_stages(config, ["score"]) if recompute else []
    report = compare(
        kafka_bus(config),
        config.prefix,
        window_settings(config),
        publish=config.score.publish,
        stage=next((stage for stage in stages if isinstance(stage, ScoreStage)), None),
        combined=config.combine.enabled,
    )
    if report.problems:
        raise StateMismatchError("\n  ".join(["the installation is not what it must be:", *report.problems]))
    click.echo(
        f"{report.photometry:,} photometry records led to {report.windows:,} windows, "
        f"{report.annotations:,} annotations, {report.objects:,} of whole objects and "
        f"{report.state_keys:,} values of state, all as they must be"
    )
