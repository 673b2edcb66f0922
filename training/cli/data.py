"""Verbs that prepare data: collect, simulate, add-labels, prepare, two-minima."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from training.cli import options
from training.periods import periods_for
from training.windows import read_windows


@click.command()
@options.data
@options.cache
@options.periods
@options.processes
def prepare(data: Path, cache: Path, periods: str, processes: int) -> None:
    """Cut the light curves into windows and find the period of each; resumes where it stopped."""
    table = read_windows(data)
    click.echo(
        f"{data}: {len(table)} windows of {len(set(table.star_id))} stars, sha256 {table.data_digest[:12]}"
    )
    periods_for(table, periods, cache, processes=processes, progress=click.echo)


@click.command()
@click.argument("description", type=options.FILE)
@options.table_out
def collect(description: Path, out: Path) -> None:
    """Read a survey's catalogue and light curves, as its DESCRIPTION (TOML) says, into one parquet file.

    The file is what --data takes everywhere. Presets: asassn, linear, asas; see training/data/description.py.
    """
    from training.data import collect_stars, read_description
    from training.data.collect import report_text

    report = collect_stars(read_description(description), out, options.to_stderr)
    click.echo(f"{out}: {report_text(report)}")


@click.command()
@options.table_out
@click.option("--survey", type=click.Choice(["ztf", "lsst"]), default="ztf", show_default=True)
@click.option("--stars", type=click.IntRange(min=1), default=200, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
def simulate(out: Path, survey: Literal["ztf", "lsst"], stars: int, seed: int) -> None:
    """Simulate a survey's light curves of stars of known classes, and of kinds that no model has seen.

    The stars are those of `broker-plugin simulate`, without alerts and packets: what --data takes everywhere.
    """
    from training.data.simulated import simulate_stars

    written = simulate_stars(out, survey=survey, stars=stars, seed=seed)
    click.echo(f"{out}: {written} light curves with enough epochs, one a star and band")


@click.command()
@options.data
@click.option(
    "--labels",
    "labels",
    type=options.FILE,
    multiple=True,
    required=True,
    help="Parquet that `broker-plugin board export-labels` wrote; several times for several boards.",
)
@options.table_out
def add_labels(data: Path, labels: tuple[Path, ...], out: Path) -> None:
    """Add what people labelled on the board to a table of training stars; OUT is what --data takes."""
    from training.data.labels import add_labels as put_together

    done = put_together(data, labels, out)
    click.echo(
        f"{out}: {done.stars} stars and {done.added} labelled light curves ({done.superseded} superseded)"
    )


@click.command()
@options.data
@click.option("--out", type=options.FILE, required=True, help="File to write: what the search reads.")
@click.option("--column", default="period", show_default=True, help="The stars' periods in the data.")
@click.option("--bar", default=0.6, show_default=True, help="Log odds from which a period is doubled.")
@options.processes
def two_minima(data: Path, out: Path, column: str, bar: float, processes: int) -> None:
    """Learn from labelled stars when the period search doubles a period, and say how often that is right.

    The search reads broker_plugin/period/two_minima.json. Every found period depends on it: models and
    calibrations belong to the search that they were made with.
    """
    from training.two_minima import collect_pairs, fit_decision

    out.parent.mkdir(parents=True, exist_ok=True)
    table = read_windows(data)
    pairs = collect_pairs(table, column, processes=processes, progress=options.to_stderr)
    source = f"{data.name}, sha256 {table.data_digest[:12]}, {len(pairs.label)} windows"
    decision, judged = fit_decision(pairs, bar, source)
    out.write_text(decision.to_json())
    click.echo("right on stars not fitted on, of windows with P or P/2 found:")
    for name, count, right in judged:
        click.echo(f"{name:6}{count:7d}{right:8.3f}")
