"""``catalogue``: the local catalogue of known stars, built, checked and asked."""

from __future__ import annotations

from pathlib import Path

import click

from broker_plugin.cli.failures import PluginGroup
from broker_plugin.cli.options import EXISTING_PATH, NEW_PATH, config_option
from broker_plugin.cli.tables import share
from broker_plugin.config import Config
from broker_plugin.errors import InputError
from broker_plugin.records.match import CatalogueMatch

_MOST_CLASSES = 20  # listed, the most common first


@click.group(cls=PluginGroup)
def catalogue() -> None:
    """Build, check and ask the local catalogue of known stars."""


def _pairs(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        ours, equals, theirs = value.partition("=")
        if not (ours and equals and theirs):
            msg = f"found {value!r}, expected OURS=YOURS, for instance period=P"
            raise click.BadParameter(msg)
        pairs[ours] = theirs
    return pairs


@catalogue.command()
@click.argument("source", type=EXISTING_PATH)
@click.option("--out", required=True, type=NEW_PATH, help="The file to write; name it in catalogue.file.")
@click.option("--name", help="What annotations call it; by default SOURCE without folder and suffix.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=_pairs,
    metavar="OURS=YOURS",
    help="A column of another name, e.g. ra=RAJ2000; repeat it.",
)
@click.option(
    "--missing",
    multiple=True,
    type=float,
    help="A number that stands for 'not known', e.g. 99.999; repeat it.",
)
def build(
    *, source: Path, out: Path, name: str | None, columns: dict[str, str], missing: tuple[float, ...]
) -> None:
    """Make a catalogue of SOURCE, a CSV with a header or a parquet file, one star a row.

    Columns ra and dec (degrees, J2000) must be there; star_id, class, period (days), gaia_abs_g_mag,
    gaia_bp_rp and wise_w_rp (magnitudes) may be. An empty cell is a value that is not known. Ten million
    stars take about 15 s and 2.5 GB of memory, once; workers then share the file's pages.
    """
    from broker_plugin.catalogue.build import build_catalogue
    from broker_plugin.catalogue.source import COLUMNS, unused_columns

    build_catalogue(source, out, name=name, rename=columns, missing=missing)
    _tell(out)
    unused = unused_columns(source, columns)
    if unused:
        known = ", ".join(name for name in COLUMNS if name not in columns)
        click.echo(f"note: not used: {', '.join(unused)}; used are {known}, or --column OURS=YOURS", err=True)


@catalogue.command()
@click.argument("file", type=EXISTING_PATH)
def check(file: Path) -> None:
    """Read all of FILE, compare it with its digest, and say what is in it (exit code 3 if it is damaged)."""
    from broker_plugin.catalogue.catalogue import check_catalogue, open_catalogue

    check_catalogue(open_catalogue(file))
    _tell(file)


@catalogue.command()
@click.argument("file", required=False, type=EXISTING_PATH)
@click.option("--ra", required=True, type=click.FloatRange(0, 360), help="Degrees, J2000.")
@click.option("--dec", required=True, type=click.FloatRange(-90, 90), help="Degrees, J2000.")
@click.option(
    "--radius",
    type=click.FloatRange(0, 60, min_open=True),
    help="Arcsec; by default that of the configuration.",
)
@config_option
def match(*, config: Config, file: Path | None, ra: float, dec: float, radius: float | None) -> None:
    """Print what the catalogue knows at a position, as a window there would get it.

    FILE is by default the one that the configuration names.
    """
    from broker_plugin.catalogue.catalogue import open_catalogue

    path = file or config.catalogue.file
    if path is None:
        msg = "there is no catalogue to ask: name a FILE, or set catalogue.file in the configuration"
        raise InputError(msg)
    arcsec = radius or config.catalogue.radius_arcsec
    (found,) = open_catalogue(path).match([ra], [dec], arcsec)
    click.echo(f"no star within {arcsec:g} arcsec" if found is None else _star(found))


def _star(found: CatalogueMatch) -> str:
    lines = [f"{found.star_id}  {found.separation_arcsec:.3f} arcsec away"]
    known = {
        "class": found.known_class,
        "period_days": found.period_days,
        "gaia_abs_g_mag": found.gaia_abs_g_mag,
        "gaia_bp_rp": found.gaia_bp_rp,
        "wise_w_rp": found.wise_w_rp,
    }
    lines += [f"  {name:<15} {'not known' if value is None else value}" for name, value in known.items()]
    if found.ambiguous:
        lines.append("  ambiguous: a second star is within the radius, so neither is used")
    return "\n".join(lines)


def _tell(path: Path) -> None:
    from broker_plugin.catalogue.catalogue import describe, open_catalogue

    opened = open_catalogue(path)
    held = describe(opened)
    stars = held.pop("stars")
    classes = held.pop("classes", {})
    click.echo(f"{path}: catalogue {opened.name}, {stars} stars, {path.stat().st_size / 1e6:.1f} MB")
    click.echo(f"  digest          {opened.digest}")
    for name, count in held.items():
        click.echo(f"  {name:<15} {share(count, stars)}")
    listed = list(classes.items())
    for name, count in listed[:_MOST_CLASSES]:
        click.echo(f"    {name:<13} {count}")
    if len(listed) > _MOST_CLASSES:
        click.echo(f"    ... and {len(listed) - _MOST_CLASSES} more")
