"""Options and helpers that several verbs share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.decorators import FC

from training.periods import SEARCH

CACHE = Path(".cache/training")

FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

data = click.option(
    "--data",
    type=FILE,
    required=True,
    help="Parquet file of labelled light curves, one row a star.",
)
table_out = click.option("--out", type=FILE, required=True, help="Parquet file to write.")
bundle_out = click.option("--out", type=FOLDER, required=True, help="The new bundle's directory.")
json_out = click.option("--json", "json_path", type=FILE, help="Write the figures here.")


def out_folder(words: str) -> Callable[[FC], FC]:
    """Return the option of the folder that a verb fills."""
    return click.option("--out", type=FOLDER, required=True, help=words)


def bundle(words: str) -> Callable[[FC], FC]:
    """Return the option of the bundle that a verb reads."""
    return click.option("--bundle", type=FOLDER, required=True, help=words)


def _made(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    """Make the folder; where the default cannot be made, as in a read-only place, a temporary one serves."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if context.get_parameter_source("cache") is not ParameterSource.DEFAULT:
            msg = f"{path}: {error.strerror}; name a folder that can be written"
            raise click.BadParameter(msg, param=parameter) from error
        return Path(tempfile.mkdtemp(prefix="training-"))
    return path


cache = click.option(
    "--cache",
    type=FOLDER,
    default=CACHE,
    show_default=True,
    callback=_made,
    help="Where found periods are kept.",
)
periods = click.option(
    "--periods",
    default=SEARCH,
    show_default=True,
    help="'search' for the stream's own search on each window, or a period column of the data.",
)
processes = click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Workers of the period search.",
)


def listed(kind: type) -> Any:
    """Return a callback that parses a comma-separated list; None stays None."""

    def parse(_: click.Context, parameter: click.Parameter, text: str | None) -> tuple[Any, ...] | None:
        if text is None:
            return None
        try:
            return tuple(kind(part.strip()) for part in text.split(",") if part.strip())
        except ValueError as error:
            msg = f"{text!r}; expected a comma-separated list such as 1,2,3"
            raise click.BadParameter(msg, param=parameter) from error

    return parse


def to_stderr(line: str) -> None:
    """Tell a line of progress."""
    click.echo(line, err=True)
