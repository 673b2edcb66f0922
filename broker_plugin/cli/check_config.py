"""``check-config``: what the settings come to, before anything starts."""

from __future__ import annotations

from pathlib import Path

import click

from broker_plugin.config import load_config, render_toml


@click.command("check-config")
@click.argument("file", required=False, type=click.Path(path_type=Path), envvar="BROKER_PLUGIN_CONFIG")
@click.option("--explain", is_flag=True, help="Put each key's meaning above it.")
def check_config(file: Path | None, explain: bool) -> None:
    """Check a configuration and print what it comes to.

    Prints defaults, FILE and environment together, as a TOML file that could be used itself; passwords are
    masked. All mistakes are listed at once (exit code 2).
    """
    click.echo(render_toml(load_config(file), explain=explain), nl=False)
