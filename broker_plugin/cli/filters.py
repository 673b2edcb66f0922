"""``filters``: what they say, and what they would have let through."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from broker_plugin.cli.annotation_source import annotations_of_file, annotations_of_topic
from broker_plugin.cli.failures import PluginGroup
from broker_plugin.cli.options import EXISTING_PATH, config_option
from broker_plugin.cli.tables import text_table
from broker_plugin.config import Config, load_config
from broker_plugin.errors import InputError
from broker_plugin.filters import Trial, build_filter
from broker_plugin.records.codec import annotation_from_record


@click.group(cls=PluginGroup)
def filters() -> None:
    """Try filters on annotations that are there already."""


@filters.command("test")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--against",
    "archive",
    type=EXISTING_PATH,
    help="File of an offline run (.avro or .jsonl), or its folder; without it, the "
    "classifications topic of --config.",
)
@click.option("--filter", "names", multiple=True, help="Only this filter of FILE; may be repeated.")
@click.option("--since", type=click.DateTime(), help="Only annotations made from then on, UTC.")
@click.option("--until", type=click.DateTime(), help="Only annotations made before, UTC.")
@config_option
def test(
    *,
    config: Config,
    file: Path,
    archive: Path | None,
    names: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
) -> None:
    """Say how many annotations each filter of FILE would have let through, clause by clause.

    FILE is a configuration, or a file that holds nothing but [filters.<name>] tables. For each clause:
    annotations that it passes by itself, annotations that lack what it is about (a clause never passes
    those), and annotations left after it and all before it.
    """
    specs = load_config(file).filters
    unknown = [name for name in names if name not in specs]
    if unknown or not specs:
        found = ", ".join(specs) or "none"
        msg = f"{file} has no filter {', '.join(unknown) or 'at all'}; it has: {found}"
        raise InputError(msg)
    trials = [Trial(build_filter(name, spec)) for name, spec in specs.items() if not names or name in names]
    records = _records(config, archive)
    for record in records:
        if _between(record, since, until):
            annotation = annotation_from_record(record)
            for trial in trials:
                trial.add(annotation)
    click.echo("\n\n".join(_report(trial) for trial in trials))


def _records(config: Config, archive: Path | None) -> Iterator[dict[str, Any]]:
    if archive is None:
        return annotations_of_topic(config, config.topic("classifications"))
    return annotations_of_file(archive)


def _between(record: dict[str, Any], since: datetime | None, until: datetime | None) -> bool:
    made: datetime = record["processed_at"]
    return (since is None or made >= since.replace(tzinfo=UTC)) and (
        until is None or made < until.replace(tzinfo=UTC)
    )


def _report(trial: Trial) -> str:
    """Return a filter's name, its clauses with their counts, and the sum."""
    rows: Iterable[tuple[str, ...]] = [
        (f"  {count.text}", f"{count.passed:,}", f"{count.missing:,}", f"{count.left:,}")
        for count in trial.clauses
    ]
    table = text_table(("  clause", "passes", "missing", "left"), list(rows))
    share = f" ({trial.passed / trial.annotations:.1%})" if trial.annotations else ""
    total = (
        f"{trial.filter.name}: {trial.passed:,} of {trial.annotations:,} annotations{share}, "
        f"{len(trial.objects):,} objects"
    )
    return f"{total}\n{table}"
