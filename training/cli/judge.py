"""Verbs on a finished bundle: evaluate, calibrate."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from training.cli import options


@click.command()
@options.bundle("The bundle's directory.")
@options.data
@options.json_out
@click.option(
    "--markdown",
    "markdown_path",
    type=options.FILE,
    help="Write the page here.",
)
@click.option(
    "--scores",
    "scores_path",
    type=options.FILE,
    help="Write the scores of every window here, as parquet.",
)
@click.option(
    "--stars",
    type=click.Choice(["auto", "all"]),
    default="auto",
    show_default=True,
    help="'auto': of the bundle's own training data only stars that it never saw.",
)
@click.option("--split", help="Only stars with this value in the column 'split'.")
@click.option("--details", is_flag=True, help="Print intervals, reliability and all parts, too.")
@click.option(
    "--runtime",
    type=click.Choice(["onnxruntime", "openvino", "tensorflow"]),
    default="onnxruntime",
    show_default=True,
)
@click.option(
    "--threads",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Of ONNX Runtime or OpenVINO; 0: all cores.",
)
@options.cache
@options.periods
@options.processes
def evaluate(
    *,
    bundle: Path,
    data: Path,
    json_path: Path | None,
    markdown_path: Path | None,
    scores_path: Path | None,
    stars: Any,
    split: str | None,
    details: bool,
    runtime: Any,
    threads: int,
    cache: Path,
    periods: str,
    processes: int,
) -> None:
    """Judge a bundle on labelled light curves with the stream's own scorer.

    --data is any parquet with one row a star: star_id, superclass (one of the eight or NOVEL) and the lists
    hjd, mag, magerr. The columns group, orig_class, period and split are used where they are there.
    """
    from training.evaluate import evaluate_bundle
    from training.text_tables import details_text, evaluation_text

    evaluation = evaluate_bundle(
        bundle,
        data,
        cache,
        periods=periods,
        stars=stars,
        split=split,
        runtime=runtime,
        threads=threads,
        processes=processes,
        scores_to=scores_path,
        progress=options.to_stderr,
    )
    page = evaluation_text(evaluation)
    full = f"{page}\n{details_text(evaluation)}"
    if json_path is not None:
        _write(json_path, json.dumps(asdict(evaluation), indent=1) + "\n")
    if markdown_path is not None:
        _write(markdown_path, f"# Evaluation\n\n{full}\n")
    click.echo(full if details else page)


@click.command()
@options.bundle("The bundle to start from.")
@click.option(
    "--windows",
    type=click.Path(path_type=Path),
    required=True,
    help="The survey's own: parquet of light curves, or records of the topic lightcurves (.avro, .jsonl).",
)
@options.bundle_out
@click.option("--version", help="Of the new bundle; default: the old one's with the sample's digest.")
@click.option(
    "--trim",
    type=click.FloatRange(0.0, 0.2),
    default=0.0,
    show_default=True,
    help="Fraction of the highest energies to leave out as perhaps novel.",
)
@options.json_out
@options.cache
@options.processes
def calibrate(
    *,
    bundle: Path,
    windows: Path,
    out: Path,
    version: str | None,
    trim: float,
    json_path: Path | None,
    cache: Path,
    processes: int,
) -> None:
    """Give a bundle thresholds and p-values for another survey, without training.

    Prints how far the sample is from what the network was trained on. Point score.bundle to --out.
    """
    from training.calibrate import calibrate as run
    from training.calibrate import calibration_text

    report = run(
        bundle,
        windows,
        out,
        cache,
        version=version,
        trim=trim,
        processes=processes,
        progress=options.to_stderr,
    )
    if json_path is not None:
        _write(json_path, json.dumps(asdict(report), indent=1) + "\n")
    click.echo(calibration_text(report))


def _write(path: Path, text: str) -> None:
    """Write a file, and the folder that it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
