"""``compare``: two models, or two installations, on the same stars."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from broker_plugin.cli.annotation_source import SOURCE_HELP, annotations_from
from broker_plugin.cli.options import config_option
from broker_plugin.cli.tables import share, text_table
from broker_plugin.config import Config

if TYPE_CHECKING:
    from broker_plugin.app.annotation_compare import By, Comparison


@click.command(epilog=f"A and B: {SOURCE_HELP}.")
@click.argument("a")
@click.argument("b")
@click.option(
    "--by",
    type=click.Choice(["light-curve", "window"]),
    default="light-curve",
    show_default=True,
    help="Compare the annotations in force of each object and band, or those of the same windows.",
)
@click.option("--most", type=click.IntRange(min=0), default=10, show_default=True, help="Moves to list.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@config_option
def compare(*, config: Config, a: str, b: str, by: By, most: int, as_json: bool) -> None:
    """Say how far the annotations of A and B agree: classes, novelties, periods, energies.

    For a shadow: broker-plugin compare PREFIX PREFIX-shadow. What is withdrawn counts as not there. Energies
    of different models have different scales, so moves are ranked by the percentile among each model's
    training stars.
    """
    from broker_plugin.app.annotation_compare import compare as compared

    found = compared(annotations_from(config, a), annotations_from(config, b), by=by, most=most)
    click.echo(json.dumps(found.as_json()) if as_json else report(found, a, b, by))


def report(found: Comparison, a: str, b: str, by: str) -> str:
    """Return the figures for a person."""
    what = by.replace("-", " ") + "s"
    novel = found.novelty
    rows = [
        (f"{what} in both", f"{found.both:,}"),
        (f"only in {a}", f"{found.only_a:,}"),
        (f"only in {b}", f"{found.only_b:,}"),
        ("judged from the same window", share(found.windows, found.both)),
        ("same class", share(found.same_class, found.both)),
        ("same period, or none", share(found.same_period, found.both)),
        (f"novel in both, in {a} only, in {b} only", _three(novel)),
        *((f"by {model} ({a})", f"{n:,}") for model, n in found.models_a.most_common()),
        *((f"by {model} ({b})", f"{n:,}") for model, n in found.models_b.most_common()),
    ]
    parts = [text_table(("", ""), rows)]
    if found.both:
        parts.append(f"classes: {a} in rows, {b} in columns\n{_matrix(found)}")
    if found.moves:
        moves = [
            (
                m.where,
                f"{m.energy_a:.2f}",
                f"{m.energy_b:.2f}",
                f"{m.percentile_a:.1f}",
                f"{m.percentile_b:.1f}",
            )
            for m in found.moves
        ]
        columns = ("largest moves", f"energy {a}", b, f"percentile {a}", b)
        parts.append(text_table(columns, moves))
    return "\n\n".join(parts)


def _three(novel: dict[tuple[bool, bool], int]) -> str:
    pairs = ((True, True), (True, False), (False, True))
    return ", ".join(f"{novel.get(pair, 0):,}" for pair in pairs)


def _matrix(found: Comparison) -> str:
    names = sorted({name for pair in found.classes for name in pair})
    rows = [(row, *(f"{found.classes[row, column]:,}" for column in names)) for row in names]
    return text_table(("", *names), rows)
