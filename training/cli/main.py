"""The group of verbs."""

from __future__ import annotations

import os
from typing import Any

import click

from broker_plugin.errors import BrokerPluginError
from training.cli.data import add_labels, collect, prepare, simulate, two_minima
from training.cli.experiment import fit_features, reproduce
from training.cli.judge import calibrate, evaluate
from training.cli.model import export, fit, import_published

# TensorFlow's notes about processors and rounding are no news to an astronomer.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


class _Verbs(click.Group):
    """A group whose expected errors end in one line and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen verb."""
        try:
            return super().invoke(ctx)
        except BrokerPluginError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Train, judge and package the model that the stream serves."""


for verb in (
    *(collect, simulate, add_labels, prepare, fit, export, evaluate, calibrate),
    *(reproduce, fit_features, import_published, two_minima),
):
    main.add_command(verb)
