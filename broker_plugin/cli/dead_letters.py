"""``dead-letters``: what could not be used, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker_plugin.cli.failures import PluginGroup
from broker_plugin.cli.options import EXISTING_PATH, NEW_PATH, config_option
from broker_plugin.cli.record_files import read_records
from broker_plugin.config import Config
from broker_plugin.errors import InputError
from broker_plugin.records.text import to_json

if TYPE_CHECKING:
    from broker_plugin.app.redrive import ReadAgain, Redrive
    from broker_plugin.runner.protocols import Stage

_file_option = click.option(
    "--file", "file", type=EXISTING_PATH, help="Read this output of an offline run instead of Kafka."
)


@click.group("dead-letters", cls=PluginGroup)
def dead_letters() -> None:
    """Look at records that could not be used, and try them again."""


@dead_letters.command("list")
@_file_option
@click.option("--reason", help="Only those with this reason.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, without the record's bytes.")
@click.option("--max", "most", type=click.IntRange(min=1), help="Stop after this many.")
@config_option
def list_letters(
    config: Config, file: Path | None, reason: str | None, as_json: bool, most: int | None
) -> None:
    """List them: where each was read, the stage, the reason, and what was found.

    The place (topic/partition/offset) is what `show` takes.
    """
    letters = (letter for letter in _letters(config, file) if reason in (None, letter["reason"]))
    for letter in islice(letters, most):
        if as_json:
            click.echo(to_json({name: letter[name] for name in letter if name != "value"}))
        else:
            click.echo(f"{_place(letter)}  {letter['stage']}  {letter['reason']}  {letter['detail']}")


@dead_letters.command("show")
@_file_option
@click.argument("place")
@click.option("--save", type=NEW_PATH, help="Write the record's bytes, as they were read, to this file.")
@config_option
def show_letter(config: Config, file: Path | None, place: str, save: Path | None) -> None:
    """Show one of them in full. PLACE is the topic/partition/offset that `list` prints."""
    letter = next((letter for letter in _letters(config, file) if _place(letter) == place), None)
    if letter is None:
        msg = f"no dead letter from {place}; `broker-plugin dead-letters list` prints the places"
        raise InputError(msg)
    value = letter["value"]
    for name in ("stage", "reason", "detail", "topic", "partition", "offset", "timestamp_ms", "key"):
        click.echo(f"{name:<13}{letter[name]}")
    for header in letter["headers"]:
        click.echo(f"{'header':<13}{header['name']} = {header['value']!r}")
    click.echo(f"{'value':<13}{'none' if value is None else f'{len(value)} bytes'}")
    if save is not None:
        save.write_bytes(value or b"")
        return
    for start in range(0, min(len(value or b""), 256), 16):
        row = value[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        click.echo(f"  {start:04x}  {row.hex(' '):<47}  {text}")


@dead_letters.command("redrive")
@click.option("--reason", "reasons", multiple=True, help="Only those with this reason; may be repeated.")
@click.option(
    "--stage", "stages", multiple=True, help="Only this stage's, e.g. ingest, deliver or forward-<output>."
)
@click.option("--again", is_flag=True, help="Those that were tried before, too.")
@config_option
def redrive_letters(config: Config, reasons: tuple[str, ...], stages: tuple[str, ...], again: bool) -> None:
    """Try them again, each once: after a mended schema, setting or program.

    What they lead to is published as if they had been usable from the start; what still cannot be used is
    put aside anew. An interrupted redrive neither loses nor repeats anything: start it again.
    """
    from broker_plugin.app.redrive import Selection

    known = _known_stages(config)
    unknown = [name for name in stages if name not in known]
    if unknown:
        msg = f"--stage {unknown[0]}: expected one of {', '.join(known)}"
        raise click.UsageError(msg)
    report = _redrive(config).run(Selection(reasons, stages, again))
    _print_counts("re-driven", report.redriven)
    _print_counts("put aside again", report.failed)
    _print_counts("left alone", report.unusable)
    if report.done_before:
        click.echo(f"{report.done_before:,} were re-driven before (--again tries them once more)")
    if not report.redriven:
        click.echo("nothing was re-driven")


@dead_letters.command("purge")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
def purge_letters(config: Config, yes: bool) -> None:
    """Delete the dead letters that there are now, for good."""
    letters = _redrive(config)
    plan = letters.plan_purge()
    if not plan.letters:
        click.echo("there are no dead letters")
        return
    found = f"{plan.letters:,} dead letters, {plan.pending:,} of them never re-driven"
    if not yes:
        click.confirm(f"Delete {found}?", abort=True)
    letters.purge(plan)
    click.echo(f"deleted {found}")


def _known_stages(config: Config) -> list[str]:
    from broker_plugin.app.delivery import delivery_names
    from broker_plugin.app.stages import OUTPUT_TOPICS, SHADOW

    shadow = [SHADOW] if config.shadow.bundle else []
    return [*OUTPUT_TOPICS, *shadow, *delivery_names(config)]


def _redrive(config: Config) -> Redrive:
    from broker_plugin.app.delivery import build_deliver_stages
    from broker_plugin.app.forward import forward_name
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.app.redrive import ReadAgain, Redrive
    from broker_plugin.app.stages import build_stages
    from broker_plugin.runner.settings import RunnerSettings

    known = _known_stages(config)
    forwarded = {
        forward_name(name): ReadAgain(tuple(output.topics(config.prefix, name)))
        for name, output in config.outputs.items()
        if output.leaves
    }

    def build(name: str) -> Stage | ReadAgain:
        if name in forwarded:
            return forwarded[name]
        if name not in known:
            raise KeyError(name)
        delivering = {stage.name: stage for stage in build_deliver_stages(config)} if config.outputs else {}
        return delivering[name] if name in delivering else build_stages(config, [name])[0]

    settings = RunnerSettings(config.prefix, batch_records=config.runner.batch_records)
    # One name for all redrives of an installation, so that a second one fences the first.
    return Redrive(kafka_bus(config), settings, build)


def _print_counts(verdict: str, counts: Mapping[str, int]) -> None:
    for what, n in sorted(counts.items()):
        click.echo(f"{n:>8,}  {verdict}  {what}")


def _letters(config: Config, file: Path | None) -> Iterator[dict[str, Any]]:
    if file is not None:
        for _, record in read_records(file, ("dead_letter",)):
            yield record
        return
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.records import schemas
    from broker_plugin.runner.bus import read_topic

    for message in read_topic(kafka_bus(config), config.topic("dead-letters")):
        yield schemas.decode("dead_letter", message.value or b"")


def _place(letter: dict[str, Any]) -> str:
    return f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
