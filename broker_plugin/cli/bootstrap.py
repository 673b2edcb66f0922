"""``bootstrap``: what archives know of objects, so that they need not wait for months."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker_plugin.cli.options import EXISTING_PATH, NEW_PATH, config_option
from broker_plugin.cli.progress import progress_bar
from broker_plugin.cli.tables import text_table
from broker_plugin.config import Config

if TYPE_CHECKING:
    from broker_plugin.app.bootstrap import BootstrapReport, LaneSettings
    from broker_plugin.app.bootstrap_source import ArchiveSource, Unit

FORMAT_NAMES = ("alerts", "ztf-dr", "ztf-forced", "lsst", "alerce", "lasair", "fink", "plain", "photometry")
TIME_SCALES = ("bmjd-tdb", "bjd-tdb", "hmjd-utc", "hjd-utc", "mjd-utc", "jd-utc", "mjd-tai")
_TOLD = 10


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMAT_NAMES), required=True, help="What PATHS are.")
@click.option(
    "--objects",
    type=EXISTING_PATH,
    help="CSV or parquet of the stream's objects: object_id, and source_id (the archive's id) or ra and dec.",
)
@click.option(
    "--match-radius",
    type=click.FloatRange(min=0, min_open=True),
    default=1.5,
    show_default=True,
    help="Of --objects by position, arcsec; the nearest object within wins.",
)
@click.option("--object-id", help="Of one file that holds one object and does not name it.")
@click.option("--survey", type=click.Choice(("ztf", "lsst")), help="plain: where there is no column survey.")
@click.option("--time-scale", type=click.Choice(TIME_SCALES), help="plain: how its column time counts.")
@click.option(
    "--exposure",
    "exposure_seconds",
    type=click.FloatRange(min=0),
    default=0.0,
    help="plain: its times are the starts of exposures of so many seconds; by default they are the middles.",
)
@click.option("--forced", is_flag=True, help="plain: it is forced photometry, which a detection outranks.")
@click.option(
    "--visits", type=EXISTING_PATH, help="lsst: table of visit and expMidptMJD, for tables without times."
)
@click.option("--ignore-columns", is_flag=True, help="Pass over columns that are not known.")
@click.option(
    "--revision",
    type=click.IntRange(0, 1_000_000),
    default=0,
    show_default=True,
    help="Of the archive, e.g. the number of a data release: the higher one's values stay.",
)
@click.option("--strict", is_flag=True, help="Stop at the first bad row instead of passing over it.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="So many epochs a second at most.")
@click.option(
    "--max-lag",
    type=click.IntRange(min=0),
    default=5000,
    show_default=True,
    help="Wait while accumulate is more records behind than this; 0: never wait.",
)
@click.option("--again", is_flag=True, help="From the beginning, whatever was loaded before.")
@click.option("--dry-run", is_flag=True, help="Read everything, send nothing; needs no Kafka.")
@click.option(
    "--to", "out", type=NEW_PATH, help="Into this file instead of Kafka, for `replay --with-history`."
)
@config_option
def bootstrap(
    *,
    config: Config,
    paths: tuple[Path, ...],
    form: str,
    objects: Path | None,
    match_radius: float,
    object_id: str | None,
    survey: str | None,
    time_scale: str | None,
    exposure_seconds: float,
    forced: bool,
    visits: Path | None,
    ignore_columns: bool,
    revision: int,
    strict: bool,
    rate: float | None,
    max_lag: int,
    again: bool,
    dry_run: bool,
    out: Path | None,
) -> None:
    """Load epochs from archives into the photometry topic, beside the live alerts.

    Times become barycentric, magnitudes apparent, cuts are those of ingest, and what a live alert says of an
    exposure is never replaced. Interrupted, it goes on where it stopped; run twice, it changes nothing.
    """
    from broker_plugin.app.bootstrap import BootstrapReport, LaneSettings, read_all
    from broker_plugin.app.bootstrap_source import ArchiveSource
    from broker_plugin.bootstrap import ReadOptions
    from broker_plugin.bootstrap.objects import read_object_table
    from broker_plugin.bootstrap.photometry_file import write_photometry_file
    from broker_plugin.photometry.archive_times import TimeScale
    from broker_plugin.photometry.cuts import QualityCuts

    if dry_run and out is not None:
        msg = "--dry-run sends nothing anywhere: leave out --to"
        raise click.UsageError(msg)
    if form == "plain" and time_scale is None:
        msg = f"--format plain needs --time-scale, one of {', '.join(TIME_SCALES)}"
        raise click.UsageError(msg)
    source = ArchiveSource(
        form,
        QualityCuts(**config.ingest.cuts.model_dump()),
        ReadOptions(
            survey=survey,
            object_id=object_id,
            time_scale=None if time_scale is None else TimeScale(time_scale),
            start_of_seconds=exposure_seconds,
            is_forced=forced,
            visits=visits,
            ignore_columns=ignore_columns,
        ),
        objects=None if objects is None else read_object_table(objects, match_radius),
        revision=revision,
    )
    units = source.units(paths)
    if object_id is not None and len(units) > 1:
        msg = f"--object-id is for one file; there are {len(units)}"
        raise click.UsageError(msg)
    with progress_bar("loading", "epochs") as advance:

        def on_batch(report: BootstrapReport) -> None:
            advance(report.census.epochs, None)

        if dry_run or out is not None:
            report = BootstrapReport()
            records = read_all(source, units, report, strict=strict, on_batch=on_batch)
            if out is None:
                deque(records, maxlen=0)
            else:
                write_photometry_file(out, records)
        else:
            lane = LaneSettings(rate, max_lag)
            report = _load(config, source, units, lane, again=again, strict=strict, on_batch=on_batch)
    _tell(report, len(units))
    if dry_run:
        click.echo("\nnothing was sent: a dry run")
    elif out is not None:
        click.echo(
            f"\n{out} holds them; `broker-plugin replay NIGHT --to DIR --with-history {out}` begins with them"
        )


def _load(
    config: Config,
    source: ArchiveSource,
    units: list[Unit],
    lane_settings: LaneSettings,
    *,
    again: bool,
    strict: bool,
    on_batch: Callable[[BootstrapReport], None],
) -> BootstrapReport:
    from broker_plugin.app.bootstrap import Bootstrap, Lane
    from broker_plugin.app.live import check_partitions, kafka_bus
    from broker_plugin.runner.settings import RunnerSettings

    bus = kafka_bus(config)
    check_partitions(config, ["accumulate"], bus)

    def on_wait(lag: int) -> None:
        click.echo(f"waiting: accumulate is {lag:,} records behind (--max-lag)", err=True)

    lane = Lane(bus, config.prefix, lane_settings, on_wait=on_wait)
    # One name for all bootstraps of an installation, so that a second one fences the first.
    loader = Bootstrap(bus, RunnerSettings(config.prefix), source, lane, strict=strict)
    return loader.run(units, again=again, on_batch=on_batch)


def _tell(report: BootstrapReport, files: int) -> None:
    rows = [
        ("files", f"{files:,}"),
        ("rows", f"{report.rows:,}"),
        ("rows loaded before", f"{report.rows_before:,}"),
        ("bad rows", f"{report.bad_rows:,}"),
        ("records written", f"{report.records:,}"),
        ("objects", f"{report.census.objects:,}"),
        ("epochs", f"{report.census.epochs:,}"),
    ]
    if report.unmatched:
        rows.append(("ids of the archive without an object", f"{len(report.unmatched):,}"))
    rows += [(f"left out: {reason}", f"{n:,}") for reason, n in sorted(report.rejected.items())]
    rows += report.census.rows()
    click.echo(text_table(("", ""), rows))
    if not report.census.exact:
        click.echo("too many epochs to tell repeated exposures: light curves may be shorter than this says")
    for bad in report.bad[:_TOLD]:
        click.echo(f"bad row: {bad}", err=True)
    if report.bad_rows > _TOLD:
        click.echo(f"... and {report.bad_rows - _TOLD:,} more bad rows", err=True)
