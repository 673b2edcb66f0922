"""The verbs of ``python -m training``: prepare, fit, evaluate, export, import-published."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from broker_plugin.errors import BrokerPluginError
from training.periods import SEARCH, periods_for
from training.settings import TrainingSettings
from training.windows import read_windows

_CACHE = Path(".cache/training")

_data = click.option(
    "--data",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Parquet file of labelled light curves, one row a star.",
)
_cache = click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=_CACHE,
    show_default=True,
    help="Where found periods are kept.",
)
_periods = click.option(
    "--periods",
    default=SEARCH,
    show_default=True,
    help="'search' for the stream's own search on each window, or a period column of the data.",
)
_processes = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Workers of the period search.",
)


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


@main.command()
@_data
@_cache
@_periods
@_processes
def prepare(data: Path, cache: Path, periods: str, processes: int) -> None:
    """Cut the light curves into windows and find the period of each; resumes where it stopped."""
    table = read_windows(data)
    click.echo(
        f"{data}: {len(table)} windows of {len(set(table.star_id))} stars, sha256 {table.data_digest[:12]}"
    )
    periods_for(table, periods, cache, processes=processes, progress=click.echo)


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


@main.command()
@_data
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of the run."
)
@click.option(
    "--initial",
    type=click.Path(path_type=Path, file_okay=False),
    help="Finished run, of the same data and seed, to start from.",
)
@_cache
@_processes
@_periods
@_training_options
def fit(data: Path, out: Path, initial: Path | None, cache: Path, processes: int, **options: Any) -> None:
    """Train the joint model; resumes from the checkpoint in --out."""
    from training.run import train_run

    settings = TrainingSettings(**options)
    train_run(data, out, cache, settings, initial=initial, processes=processes, progress=click.echo)


@main.command()
@click.option(
    "--run", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of a finished run."
)
@_data
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="The bundle's directory."
)
@click.option("--name", default="tsang-schultz-asas", show_default=True, help="Name of the model.")
@click.option("--version", "version", default="1.0.0", show_default=True, help="Version of the model.")
@_cache
@_periods
@_processes
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
        progress=_to_stderr,
    )
    click.echo(evaluation_text(evaluation))


@main.command()
@click.option(
    "--bundle",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The bundle's directory.",
)
@_data
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures here."
)
@click.option(
    "--stars",
    type=click.Choice(["auto", "all"]),
    default="auto",
    show_default=True,
    help="'auto': of the bundle's own training data only stars that it never saw.",
)
@click.option(
    "--runtime", type=click.Choice(["onnxruntime", "tensorflow"]), default="onnxruntime", show_default=True
)
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Of ONNX Runtime; 0: all cores.",
)
@_cache
@_periods
@_processes
def evaluate(
    *,
    bundle: Path,
    data: Path,
    json_path: Path | None,
    stars: Any,
    runtime: Any,
    threads: int,
    cache: Path,
    periods: str,
    processes: int,
) -> None:
    """Judge a bundle on labelled light curves with the stream's own scorer."""
    from training.evaluate import evaluate_bundle
    from training.text_tables import evaluation_text

    evaluation = evaluate_bundle(
        bundle,
        data,
        cache,
        periods=periods,
        stars=stars,
        runtime=runtime,
        threads=threads,
        processes=processes,
        progress=_to_stderr,
    )
    if json_path is not None:
        json_path.write_text(json.dumps(asdict(evaluation), indent=1) + "\n")
    click.echo(evaluation_text(evaluation))


@main.command()
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


def _to_stderr(line: str) -> None:
    click.echo(line, err=True)
