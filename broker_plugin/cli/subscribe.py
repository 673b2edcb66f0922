"""``subscribe``: annotations as they come, for people and for machines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import click

from broker_plugin.annotate.object_view import as_annotation
from broker_plugin.cli.annotation_text import annotation_line, object_line
from broker_plugin.cli.options import EXISTING_PATH, NEW_PATH, config_option
from broker_plugin.cli.record_files import read_records
from broker_plugin.cli.wanted import Chooser, chosen_filters
from broker_plugin.config import Config
from broker_plugin.filters import Outcome
from broker_plugin.outputs import KINDS, Source, marked
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import annotation_from_record, novelty_from_record
from broker_plugin.records.object_annotation import object_from_record
from broker_plugin.records.text import to_json


@click.command()
@click.option("--topic", type=click.Choice(list(KINDS)), default="novelties", show_default=True)
@click.option(
    "--file", "file", type=EXISTING_PATH, help="Read this output of an offline run instead of Kafka."
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a line, with all fields; ids are strings."
)
@click.option(
    "--filter",
    "filters",
    multiple=True,
    help="Only what passes: a filter of the configuration by name, or clauses in one line "
    "('class=RRAB,RRCD probability>=0.8 mag<=18'). Repeated: what passes any of them.",
)
@click.option(
    "--follow-up/--matches-only",
    default=True,
    show_default=True,
    help="With --filter: whether to print, once, what was printed and does not pass any more.",
)
@click.option("--plot", "plot_directory", type=NEW_PATH, help="Draw each novelty into this folder, as a PNG.")
@click.option("--from-beginning", is_flag=True, help="Start with what the topic holds already.")
@click.option("--group", help="Consumer group: continue where it stopped. Without it, nothing is remembered.")
@click.option("--max", "most", type=click.IntRange(min=1), help="Stop after this many.")
@click.option("--until-end", is_flag=True, help="Stop at the end of the topic instead of waiting for more.")
@config_option
def subscribe(
    *,
    config: Config,
    topic: Source,
    file: Path | None,
    as_json: bool,
    filters: tuple[str, ...],
    follow_up: bool,
    plot_directory: Path | None,
    from_beginning: bool,
    group: str | None,
    most: int | None,
    until_end: bool,
) -> None:
    """Print novelties, classifications, or what is said of whole objects, as they come.

    Only committed records are shown, each exactly once. A line gives the object, its position, the most
    probable class, the energy (high means unlike the training stars) with the share of training stars below
    it, and the period. What was shown under a filter and does not pass it any more is shown once more and
    begins with NO LONGER PASSES (in JSON: filter_outcome). End with Ctrl-C.
    """
    chooser = Chooser(chosen_filters(config, filters), follow_up=follow_up)
    if file is not None:
        records: Iterable[tuple[str, dict[str, Any]]] = read_records(file, tuple(KINDS.values()))
    else:
        records = _from_kafka(config, topic, from_beginning=from_beginning, group=group, until_end=until_end)
    with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
        for entry, revised in islice(_wanted(map(_read, records), chooser), most):
            line = f"NO LONGER PASSES  {entry.line.lstrip()}" if revised else entry.line
            click.echo(to_json(marked(entry.record, revised)) if as_json else line)
            is_plotted = entry.kind == "novelty" and not (revised or entry.annotation.withdrawn)
            if plot_directory is not None and is_plotted:
                _plot(entry.record, plot_directory)


class _Entry(NamedTuple):
    kind: str
    record: dict[str, Any]
    annotation: Annotation
    line: str


def _wanted(entries: Iterable[_Entry], chooser: Chooser) -> Iterator[tuple[_Entry, bool]]:
    """Yield what to show, and whether it is shown because it does not pass any more."""
    for entry in entries:
        outcome = chooser.judge(entry.annotation, whole_object=entry.kind == "object")
        if outcome.is_sent:
            yield entry, outcome is Outcome.NO_LONGER_PASSES


def _read(found: tuple[str, dict[str, Any]]) -> _Entry:
    """Return a record with what filters judge and what a person reads."""
    kind, record = found
    if kind == "object":
        combined = object_from_record(record)
        return _Entry(kind, record, as_annotation(combined), object_line(combined))
    annotation = annotation_from_record(record)
    return _Entry(kind, record, annotation, annotation_line(annotation))


def _from_kafka(
    config: Config, topic: Source, *, from_beginning: bool, group: str | None, until_end: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.cli.following import follow
    from broker_plugin.records import schemas

    kind = KINDS[topic]
    messages = follow(
        kafka_bus(config),
        config.topic(topic),
        from_beginning=from_beginning,
        group=group,
        stop_at_end=until_end,
    )
    for message in messages:
        try:
            yield kind, schemas.decode(kind, message.value or b"")
        except ValueError as error:
            where = f"{message.topic}/{message.partition}/{message.offset}"
            click.echo(f"broker-plugin: {where} is skipped: {error}", err=True)


def _plot(record: dict[str, Any], directory: Path) -> None:
    from broker_plugin.plots import plot_novelty

    novelty = novelty_from_record(record)
    path = directory / novelty_file_name(novelty.annotation)
    plot_novelty(novelty, path)
    click.echo(f"       {path}", err=True)


def novelty_file_name(annotation: Annotation) -> str:
    """Return a name that tells the object, is the same for the same annotation, and is safe for any id."""
    safe = "".join(
        c if c.isalnum() or c in "-_" else "_" for c in f"{annotation.object_id}_{annotation.band}"
    )
    return f"{annotation.survey}_{safe}_{annotation.annotation_id[:8]}.png"
