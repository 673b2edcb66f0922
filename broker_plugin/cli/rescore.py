"""``rescore``: let the model in use judge what another one had judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker_plugin.cli.options import EXISTING_PATH, config_option
from broker_plugin.cli.progress import progress_bar
from broker_plugin.config import Config
from broker_plugin.errors import BrokerUnreachableError

if TYPE_CHECKING:
    from broker_plugin.app.rescore import Found, Stale
    from broker_plugin.runner.bus import Bus


@click.command()
@click.option(
    "--bundle", help='Folder of the bundle that `run` scores with, or "default"; else score.bundle.'
)
@click.option(
    "--archive",
    type=EXISTING_PATH,
    help="Take the windows of an offline run (its folder, or lightcurves.avro), not the topic's.",
)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Windows a second, at most.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=600.0,
    show_default=True,
    help="Seconds to wait until the score stage has judged them; 0: leave at once.",
)
@click.option("--dry-run", is_flag=True, help="Say what there is to do, and do nothing.")
@config_option
def rescore(
    *,
    config: Config,
    bundle: str | None,
    archive: Path | None,
    rate: float | None,
    wait: float,
    dry_run: bool,
) -> None:
    """Have the newest window of every star judged anew whose annotation is another model's.

    First set score.bundle and restart the workers that host score. This sends them the windows that the
    lightcurves topic still holds (7 days) or that an archive has; they publish revisions that supersede the
    old model's, and nothing of what the new one has judged already. So it may be stopped and started again,
    and a second time it finds nothing to do.
    """
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.app.rescore import find_stale, send, wait_until_judged
    from broker_plugin.model import bundle_path, load_bundle

    digest = load_bundle(bundle_path(bundle or config.score.bundle)).digest
    bus = kafka_bus(config)

    def look() -> Stale:
        windows = _windows(bus, config.prefix, archive)
        return find_stale(bus, config.prefix, digest, windows, also_unknown=archive is not None)

    stale = look()
    click.echo(_found(stale, archive))
    if dry_run or not stale.windows:
        return
    with progress_bar("sending", "windows") as advance:
        windows = _windows(bus, config.prefix, archive)
        sent = send(bus, config.prefix, stale, windows, rate=rate, progress=advance)
    click.echo(f"{sent:,} of {len(stale.windows):,} windows sent to {config.topic('lightcurves')}")
    if not wait:
        return
    if not wait_until_judged(bus, config.prefix, wait):
        msg = (
            f"after {wait:g} s the score stage has not judged all of them; they are in its topic: look "
            "whether it runs (`run --stages score`), or wait longer (--wait)"
        )
        raise BrokerUnreachableError(msg)
    left = len(look().windows)
    click.echo(f"{sent - left:,} of {sent:,} judged by {digest[:12]}")
    if left:
        click.echo(
            f"broker-plugin: {left:,} are still another model's: the workers that host score run another "
            "bundle than this command was given; restart them with the new one, then rescore again",
            err=True,
        )
        click.get_current_context().exit(1)


def _windows(bus: Bus, prefix: str, archive: Path | None) -> Iterator[Found]:
    from broker_plugin.app.rescore import windows_of_archive, windows_of_topic
    from broker_plugin.cli.record_files import read_records

    if archive is None:
        return windows_of_topic(bus, prefix)
    path = archive / "lightcurves.avro" if archive.is_dir() else archive
    return windows_of_archive(record for _, record in read_records(path, ("lightcurve",)))


def _found(stale: Stale, archive: Path | None) -> str:
    """Return what there is to do."""
    lines = [
        f"{len(stale.light_curves):,} of {stale.remembered:,} light curves are judged by another model than "
        f"{stale.model_digest[:12]}; {len(stale.windows):,} windows to send"
    ]
    if stale.without_window:
        cure = "the archive has none" if archive else "they are older than the topic keeps: try --archive"
        lines.append(f"{stale.without_window:,} of them have no window: {cure}")
    return "\n".join(lines)
