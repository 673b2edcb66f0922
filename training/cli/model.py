"""Verbs that make bundles: fit, export, import-published."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from training.cli import options
from training.settings import RECIPES, TrainingSettings


def _training_options(function: Any) -> Any:
    """Add one option for each field of the settings, so that neither can lack one of the other."""
    kinds = get_type_hints(TrainingSettings)
    for field in reversed(fields(TrainingSettings)):
        if field.name == "periods":
            continue
        default: Any = field.default
        name = f"--{field.name.replace('_', '-')}"
        if isinstance(default, bool):
            option = click.option(f"{name}/--no-{name[2:]}", default=None)
        else:
            kind = kinds[field.name]
            if get_origin(kind) is Literal:
                kind = click.Choice(get_args(kind))
            option = click.option(name, type=kind, help=f"Ours: {default}.")
        function = option(function)
    return function


@click.command()
@options.data
@options.out_folder("Folder of the run.")
@click.option(
    "--initial",
    type=options.FOLDER,
    help="Finished run, of the same data and seed, to start from.",
)
@options.cache
@options.processes
@options.periods
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="ours",
    show_default=True,
    help="Where the options below start; 'paper': features, losses and dropout of Tsang & Schultz (2019).",
)
@_training_options
def fit(
    *, data: Path, out: Path, initial: Path | None, cache: Path, processes: int, recipe: str, **chosen: Any
) -> None:
    """Train the joint model; resumes from the checkpoint in --out."""
    from training.run import train_run

    given = {name: value for name, value in chosen.items() if value is not None}
    settings = replace(RECIPES[recipe], **given)
    train_run(data, out, cache, settings, initial=initial, processes=processes, progress=click.echo)


@click.command()
@click.option("--run", type=options.FOLDER, required=True, help="Folder of a finished run.")
@options.data
@options.bundle_out
@click.option("--name", default="tsang-schultz-asas", show_default=True, help="Name of the model.")
@click.option("--version", "version", default="1.0.0", show_default=True, help="Version of the model.")
@options.cache
@click.option(
    "--also",
    type=options.FOLDER,
    multiple=True,
    help="Finished run with another seed, for the card's spread; several times for several.",
)
@click.option(
    "--elsewhere",
    type=options.FILE,
    multiple=True,
    help="Labelled light curves of another survey, judged for the card; several times for several.",
)
@click.option(
    "--reference-stars/--no-reference-stars",
    default=True,
    show_default=True,
    help="Whether the bundle holds z of its training stars, so that annotations name the nearest.",
)
@click.option(
    "--neighbour-weight",
    type=click.FloatRange(min=0.0),
    help="Of how far the nearest training stars are, in the energy; 0: the mixture's alone, as the paper. "
    "Default: 4 beside a learned mixture, else 0.",
)
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
    also: tuple[Path, ...],
    elsewhere: tuple[Path, ...],
    reference_stars: bool,
    neighbour_weight: float | None,
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
        also=also,
        elsewhere=elsewhere,
        reference_stars=reference_stars,
        neighbour_weight=neighbour_weight,
        periods=periods,
        processes=processes,
        progress=options.to_stderr,
    )
    click.echo(evaluation_text(evaluation))


@click.command()
@click.argument("weights", type=options.FILE)
@click.argument("gmm", type=options.FILE)
@options.bundle_out
@click.option(
    "--energies",
    type=options.FILE,
    required=True,
    help="npz with 'energy_train', the published training energies: quantiles and thresholds.",
)
def import_published(weights: Path, gmm: Path, energies: Path, out: Path) -> None:
    """Make a bundle of the authors' published WEIGHTS (h5) and GMM (npz), with their code's conventions."""
    from training.import_published import import_published_model

    import_published_model(weights, gmm, energies, out)
    click.echo(f"{out}: written")
