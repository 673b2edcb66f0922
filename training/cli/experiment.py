"""Verbs that train and compare many models: reproduce, fit-features."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click

from training.cli import options
from training.reproduce.settings import SCALES, ExperimentSettings, changed
from training.table_settings import TableSettings


def _experiment_options(function: Any) -> Any:
    """Add one option for each field of the experiment's settings; what is not given comes from the scale."""
    kinds = get_type_hints(ExperimentSettings)
    for field in reversed(fields(ExperimentSettings)):
        name = f"--{field.name.replace('_', '-')}"
        default: Any = field.default
        if isinstance(default, bool):
            option = click.option(f"{name}/--no-{name[2:]}", default=None)
        elif isinstance(default, tuple):
            kind = get_args(kinds[field.name])[0]
            option = click.option(name, callback=options.listed(kind), help="Comma-separated; '' for none.")
        elif field.name == "forest_grid":
            option = click.option(name, type=click.Choice(["paper", "small", "one"]))
        else:
            option = click.option(name, type=click.IntRange(min=0))
        function = option(function)
    return function


@click.command()
@options.data
@options.out_folder("Folder of the experiment.")
@click.option("--quick", "scale", flag_value="quick", help="Minutes: a few stars, tiny networks.")
@click.option("--full", "scale", flag_value="full", help="A weekend on 2 cores: the full recipe throughout.")
@click.option("--dry-run", is_flag=True, help="List the steps only.")
@options.cache
@options.processes
@_experiment_options
def reproduce(
    *,
    data: Path,
    out: Path,
    scale: str | None,
    dry_run: bool,
    cache: Path,
    processes: int,
    **changes: Any,
) -> None:
    """Run the paper's experiment and ours beside it: fits, evaluation, baselines, one report.

    Without --quick or --full it takes an evening on 2 cores. Stop it at any time; the same command goes on
    where it stopped, and does again only what other settings, data or code would change. Options override the
    scale: --seeds 1,2 --folds 0 --leave-out RRAB,M.
    """
    from training.reproduce.run import reproduce as run

    chosen: Any = scale or "default"
    run(
        data,
        out,
        cache,
        changed(SCALES[chosen], changes),
        processes=processes,
        dry_run=dry_run,
        progress=options.to_stderr,
    )


def _table_options(function: Any) -> Any:
    """Add one option for each field of the settings of a table."""
    for field in reversed(fields(TableSettings)):
        name, default = f"--{field.name.replace('_', '-')}", field.default
        if field.name == "features":
            words = "Comma-separated columns; default: all that hold numbers."
            option = click.option(name, callback=options.listed(str), default="", help=words)
        elif field.name == "forest_grid":
            choice = click.Choice(["paper", "small", "one"])
            option = click.option(name, type=choice, default=default, show_default=True)
        else:
            option = click.option(name, type=type(default), default=default, show_default=True)
        function = option(function)
    return function


@click.command()
@click.option(
    "--table",
    type=options.FILE,
    required=True,
    help="CSV or parquet of features, one row a source.",
)
@options.out_folder("Folder of the outcome.")
@_table_options
def fit_features(table: Path, out: Path, **chosen: Any) -> None:
    """Train the estimation network, its mixture and the forests on features of any kind.

    Rows of the class --novel are never trained on and judge the novelty. Missing values may be empty.
    """
    from training.table_model import fit_table, table_text

    click.echo(table_text(fit_table(table, out, TableSettings(**chosen), options.to_stderr)))
