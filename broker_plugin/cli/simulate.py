"""``simulate``: nights of alerts whose truth is known."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker_plugin.cli.options import EXISTING_PATH, NEW_PATH
from broker_plugin.cli.progress import progress_bar

if TYPE_CHECKING:
    from broker_plugin.simulate.generate import SimulationSummary

# Spelled out again, since the simulator takes half a second to import; a test holds them to the settings'.
KIND_NAMES = "CEPH, DSCT, EA, EB, EW, M, ROT, RRAB, RRC, RRD, SR, RCB, T_TAURI, NOVA, DIPPER, MICROLENSING"
LSST_SCHEMA_VERSIONS = ("10.0", "11.0")
FRAMINGS = ("container", "registry")


def _parse_mixture(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> dict[str, float] | None:
    """Return the weights by kind; whether kinds and weights are allowed is the settings' business."""
    if value is None:
        return None
    weights: dict[str, float] = {}
    for part in value.split(","):
        kind, separator, weight = part.partition("=")
        try:
            weights[kind.strip().upper()] = float(weight) if separator else 1.0
        except ValueError:
            msg = f"found {part.strip()!r}, expected KIND=WEIGHT, or KIND alone for the weight 1"
            raise click.BadParameter(msg) from None
    return weights


@click.command()
@click.argument("out", type=NEW_PATH)
@click.option("--survey", type=click.Choice(["ztf", "lsst"]), default="ztf", show_default=True)
@click.option("--objects", "n_objects", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--nights", "n_nights", type=click.IntRange(min=1), default=365, show_default=True)
@click.option("--start", type=click.DateTime(["%Y-%m-%d"]), help="UTC date of the first night.")
@click.option("--bands", help="Comma-separated, e.g. g,r; not given: the survey's usual ones.")
@click.option(
    "--cadence", type=float, default=1.0, show_default=True, help="Visits over the survey's own rate."
)
@click.option(
    "--min-alert-gap",
    type=click.FloatRange(min=0.0),
    default=0.0,
    show_default=True,
    metavar="DAYS",
    help="A star sends no alert sooner after its last; the histories in the packets keep light curves whole.",
)
@click.option("--mixture", callback=_parse_mixture, help=f"Weights such as RRAB=3,EW=1 of {KIND_NAMES}.")
@click.option(
    "--stamp-bytes",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Size of each of the three cut-outs; 0 leaves them out, 13000 is real.",
)
@click.option(
    "--lsst-schema", type=click.Choice(LSST_SCHEMA_VERSIONS), help="Of LSST packets.  [default: 10.0]"
)
@click.option(
    "--framing",
    type=click.Choice(FRAMINGS),
    default="container",
    show_default=True,
    help="registry: LSST packets as on the wire, a schema id before each.",
)
@click.option(
    "--damaged", type=click.FloatRange(0.0, 1.0), default=0.0, help="Truncated extra packets per packet."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Equal seeds give equal bytes.")
@click.option(
    "--from-parquet", "parquet", type=EXISTING_PATH, help="Wrap real light curves instead of models."
)
@click.option("--stars", type=click.IntRange(min=1), help="With --from-parquet: at most this many stars.")
def simulate(
    *,
    out: Path,
    survey: str,
    n_objects: int,
    n_nights: int,
    start: datetime | None,
    bands: str | None,
    cadence: float,
    min_alert_gap: float,
    mixture: dict[str, float] | None,
    stamp_bytes: int,
    lsst_schema: str | None,
    framing: str,
    damaged: float,
    seed: int,
    parquet: Path | None,
    stars: int | None,
) -> None:
    """Write nights of alert archives into the folder OUT, and what each object really is.

    Periodic variables of the eight classes and some kinds that the model has never seen (R Coronae Borealis
    dips, T Tauri, novae, dippers) with the survey's cadence, noise, non-detections, forced photometry and
    duplicates. The truth is in OUT/truth.csv. `broker-plugin replay OUT --to DIR` runs them.
    """
    if parquet is not None:
        _refuse_options_without_effect()
        _wrap(parquet, out, survey=survey, stars=stars, seed=seed)
        return
    from broker_plugin.simulate.generate import simulate as generate
    from broker_plugin.simulate.settings import SimulationSettings

    chosen: dict[str, Any] = {} if start is None else {"start_date": start.date()}
    if bands is not None:
        chosen["bands"] = tuple(band.strip() for band in bands.split(","))
    if mixture is not None:
        chosen["mixture"] = mixture
    if lsst_schema is not None:
        if survey != "lsst":
            msg = f"--lsst-schema {lsst_schema} with --survey {survey}: ZTF packets are of schema 4.02"
            raise click.UsageError(msg)
        chosen["lsst_schema"] = lsst_schema
    settings = SimulationSettings(
        survey=survey,
        n_objects=n_objects,
        n_nights=n_nights,
        cadence_factor=cadence,
        min_alert_gap_days=min_alert_gap,
        stamp_bytes=stamp_bytes,
        framing=framing,
        damaged_fraction=damaged,
        seed=seed,
        **chosen,
    )
    with progress_bar("simulating", "nights") as advance:
        summary = generate(settings, out, progress=advance)
    _report(summary, out)


def _refuse_options_without_effect() -> None:
    """Real light curves bring their own stars, times and noise."""
    context = click.get_current_context()
    useful = {"out", "parquet", "stars", "seed", "survey"}
    given = {
        name
        for name in context.params
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    without_effect = [
        p.opts[0] for p in context.command.params if p.name is not None and p.name in given - useful
    ]
    if without_effect:
        msg = f"--from-parquet wraps light curves as they are; leave out {', '.join(without_effect)}"
        raise click.UsageError(msg)


def _wrap(parquet: Path, out: Path, *, survey: str, stars: int | None, seed: int) -> None:
    if survey != "ztf":
        msg = "--from-parquet writes ZTF-format packets; leave --survey out"
        raise click.UsageError(msg)
    from broker_plugin.simulate.from_parquet import simulate_from_parquet

    with progress_bar("wrapping light curves", "nights") as advance:
        summary = simulate_from_parquet(parquet, out, n_stars=stars, seed=seed, progress=advance)
    _report(summary, out)


def _report(summary: SimulationSummary, out: Path) -> None:
    click.echo(
        f"{summary.alerts} alerts of {summary.objects} objects in {summary.nights} archives "
        f"({summary.archive_bytes / 1e6:.1f} MB) in {out}; truth in {summary.truth_path}"
    )
