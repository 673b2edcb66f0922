"""``check-config``: what the settings come to, before anything starts."""

from __future__ import annotations

import time
from pathlib import Path

import click

from broker_plugin.config import load_config, render_toml
from broker_plugin.errors import ConfigurationError


@click.command("check-config")
@click.argument("file", required=False, type=click.Path(path_type=Path), envvar="BROKER_PLUGIN_CONFIG")
@click.option("--explain", is_flag=True, help="Put each key's meaning above it.")
def check_config(file: Path | None, explain: bool) -> None:
    """Check a configuration and print what it comes to.

    Prints defaults, FILE and environment together, as a TOML file that could be used itself; passwords are
    masked. All mistakes are listed at once (exit code 2). Nothing is connected to.
    """
    from broker_plugin.app.live import files_not_here, refused_by_clients

    config = load_config(file)
    refused = refused_by_clients(config)
    if refused:
        raise ConfigurationError("\n  ".join(["the clients cannot be made:", *refused]))
    for note in files_not_here(config):
        click.echo(f"note: {note}", err=True)
    click.echo(render_toml(config, explain=explain), nl=False)
    if config.source.nightly_topics:
        topics = ", ".join(config.source.topics_at(time.time()))
        click.echo(f"\n# Read now, as far as they exist: {topics}")
