"""``diff``: whether two sets of annotations are the same, and where they are not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from broker_plugin.cli.annotation_source import KINDS, SOURCE_HELP, annotations_from
from broker_plugin.cli.options import config_option
from broker_plugin.config import Config

if TYPE_CHECKING:
    from broker_plugin.app.annotation_diff import Diff


@click.command(epilog=f"LIVE and REPLAY: {SOURCE_HELP}.")
@click.argument("live")
@click.argument("replay")
@click.option("--topic", type=click.Choice(list(KINDS)), default="classifications", show_default=True)
@click.option("--ignore", "ignored", multiple=True, help="A field that may differ, besides processed_at.")
@click.option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Relative difference of numbers that is none: another processor rounds otherwise.",
)
@click.option("--most", type=click.IntRange(min=0), default=20, show_default=True, help="Lines of each kind.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object with everything that differs.")
@config_option
@click.pass_context
def diff(
    context: click.Context,
    *,
    config: Config,
    live: str,
    replay: str,
    topic: str,
    ignored: tuple[str, ...],
    rtol: float,
    most: int,
    as_json: bool,
) -> None:
    """Compare two sets of annotations by id, and by content where both have one.

    Exit code 0 if they are equal, 1 if not: what is only here, what is only there, and which fields differ
    with both values. The time of processing is no difference.
    """
    from broker_plugin.app.annotation_diff import IGNORED
    from broker_plugin.app.annotation_diff import diff as compared

    found = compared(
        annotations_from(config, live, topic),
        annotations_from(config, replay, topic),
        ignored=IGNORED | set(ignored),
        rtol=rtol,
    )
    click.echo(json.dumps(as_json_object(found)) if as_json else report(found, live, replay, most))
    context.exit(0 if found.equal else 1)


def report(found: Diff, live: str, replay: str, most: int) -> str:
    """Return what differs for a person."""
    lines = [
        f"{found.same:,} equal, {len(found.differing):,} different, {len(found.only_here):,} only in {live}, "
        f"{len(found.only_there):,} only in {replay}"
    ]
    for name, repeated in ((live, found.repeated_here), (replay, found.repeated_there)):
        if repeated:
            lines.append(f"{repeated.total():,} repeated in {name}: {_some(sorted(repeated), most)}")
    if found.differing:
        fields = ", ".join(f"{name} ({n:,})" for name, n in found.fields().most_common())
        lines += ["", f"fields that differ: {fields}"]
    for difference in found.differing[:most]:
        lines.append(f"  {difference.annotation_id} {difference.where}")
        lines += [f"    {field}: {_short(a)} | {_short(b)}" for field, (a, b) in difference.fields.items()]
    for name, only in ((live, found.only_here), (replay, found.only_there)):
        if only:
            lines += ["", f"only in {name}:"]
            lines += [f"  {annotation_id} {where}" for annotation_id, where in list(only.items())[:most]]
            lines += [f"  and {len(only) - most:,} more"] if len(only) > most else []
    return "\n".join(lines)


def as_json_object(found: Diff) -> dict[str, Any]:
    """Return everything that differs with plain keys."""
    return {
        "equal": found.equal,
        "same": found.same,
        "only_here": found.only_here,
        "only_there": found.only_there,
        "differing": [
            {"annotation_id": d.annotation_id, "where": d.where, "fields": d.fields} for d in found.differing
        ],
        "repeated_here": dict(found.repeated_here),
        "repeated_there": dict(found.repeated_there),
    }


def _some(names: list[str], most: int) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
