"""Verbs that make bundles: fit, export, import-published."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from training.cli import options
from training.settings import TrainingSettings


def _training_options(function: Any) -> Any:
    """Add one option for each field of the settings, so that neither can lack one of the other."""
    for field in reversed(fields(TrainingSettings)):
        if field.name == "periods":
            continue
        default: Any = field.default
        name = f"--{field.name.replace('_', '-')}"
        if isinstance(default, bool):
            option = click.option(name, is_flag=True, default=default)
        elif field.name == "weight_mode":
            choice = click.Choice(["constant", "relative", "inverse_error"])
            option = click.option(name, type=choice, default=default, show_default=True)
        else:
            option = click.option(name, type=type(default), default=default, show_default=True)
        function = option(function)
    return function


@click.command()
@options.data
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run."
)
@click.option(
    "--initial",
    type=click.Path(path_type=Path, file_okay=False),
    help="Finished run, of the same data and seed, to start from.",
)
@options.cache
@options.processes
@options.periods
@_training_options
def fit(data: Path, out: Path, initial: Path | None, cache: Path, processes: int, **chosen: Any) -> None:
    """Train the joint model; resumes from the checkpoint in --out."""
    from training.run import train_run

    settings = TrainingSettings(**chosen)
    train_run(data, out, cache, settings, initial=initial, processes=processes, progress=click.echo)


@click.command()
@click.option(
    "--run", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of a finished run."
)
@options.data
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The bundle's directory."
)
@click.option("--name", default="tsang-schultz-asas", show_default=True, help="Name of the model.")
@click.option("--version", "version", default="1.0.0", show_default=True, help="Version of the model.")
@options.cache
@options.periods
@options.processes
def export(
    *,
    run: Path,
    data: Path,
    out: Path,
    name: str,
    version: str,
    cache: Path,
    periods: str,
    processes: int,
) -> None:
    """Turn a finished run into a bundle, with its figures on the validation stars."""
    from training.export import export_run
    from training.text_tables import evaluation_text

    evaluation = export_run(
        run,
        data,
        out,
        cache,
        name=name,
        version=version,
        periods=periods,
        processes=processes,
        progress=options.to_stderr,
    )
    click.echo(evaluation_text(evaluation))


@click.command()
@click.argument("weights", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("gmm", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The bundle's directory."
)
@click.option(
    "--energies",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="npz with 'energy_train', the published training energies: quantiles and thresholds.",
)
def import_published(weights: Path, gmm: Path, energies: Path, out: Path) -> None:
    """Make a bundle of the authors' published WEIGHTS (h5) and GMM (npz), with their code's conventions."""
    from training.import_published import import_published_model

    import_published_model(weights, gmm, energies, out)
    click.echo(f"{out}: written")
