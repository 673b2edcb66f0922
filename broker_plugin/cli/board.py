"""``board``: a local page of novelties, and the labels that were given on it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker_plugin.cli.failures import PluginGroup
from broker_plugin.cli.options import EXISTING_PATH, NEW_PATH, config_option
from broker_plugin.config import Config
from broker_plugin.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from broker_plugin.board.feed import Feed
    from broker_plugin.board.store import Store

_STORE = Path("broker-plugin-board.sqlite")
_PORT = 8765


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a name for its user
        return "unknown"


@click.group(cls=PluginGroup, invoke_without_command=True)
@click.option(
    "--from",
    "directory",
    type=EXISTING_PATH,
    help="Show the output of an offline run (demo --to, replay --to), also while it grows, not topics.",
)
@click.option(
    "--store",
    "store_path",
    type=NEW_PATH,
    default=_STORE,
    show_default=True,
    help="SQLite file for what is shown and for the labels; continued where it stopped.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=_PORT, show_default=True, help="0: any free one."
)
@click.option(
    "--allow-host",
    "names",
    multiple=True,
    help="Another name that browsers may use, for instance of a proxy.",
)
@click.option("--author", default=_user, help="Name that goes with the labels; by default the user's.")
@click.option("--windows", is_flag=True, help="Keep the light curves of ordinary stars, too (4 kB a window).")
@click.option(
    "--publish-labels/--keep-labels",
    "publish",
    default=True,
    help="Send labels to the topic <prefix>.labels and show those of others, or keep them here.",
)
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0, min_open=True),
    help="Forget annotations without a label after so many days; by default nothing is forgotten.",
)
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@config_option
@click.pass_context
def board(
    context: click.Context,
    *,
    config: Config,
    directory: Path | None,
    store_path: Path,
    host: str,
    port: int,
    names: tuple[str, ...],
    author: str,
    windows: bool,
    publish: bool,
    keep_days: float | None,
    open_browser: bool,
) -> None:
    """Serve a page of novelties: ranked, filtered, live, with light curves; label them with single keys.

    Needs the extra: pip install 'broker-plugin[board]'. Everything stays on this machine: the page loads
    nothing from elsewhere, and answers to browsers on this machine only. To use it from another one:
    ssh -L 8765:127.0.0.1:8765 HOST.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        from broker_plugin.board.serve import BoardSettings, serve
    except ImportError as error:
        msg = f"the board needs {error.name}: pip install 'broker-plugin[board]'"
        raise ConfigurationError(msg) from error
    from broker_plugin.board.store import Store
    from broker_plugin.model import bundle_path
    from broker_plugin.period import PeriodSettings

    chosen = config.score
    store = Store(store_path)
    try:
        feed = _feed(config, store, directory, windows=windows, publish=publish, keep_days=keep_days)
        settings = BoardSettings(
            host=host,
            port=port,
            also_known_as=names,
            author=author,
            bundle=bundle_path(chosen.bundle),
            period_settings=PeriodSettings(min_days=chosen.period_min_days, max_days=chosen.period_max_days),
            publishes=publish and directory is None,
        )
        serve(settings, store, feed, on_ready=lambda address: _tell(address, host, open_browser=open_browser))
    finally:
        store.close()


@board.command()
@click.argument("out", type=NEW_PATH)
@click.option("--store", "chosen", type=NEW_PATH, help=f"The board's file; by default {_STORE}.")
@click.option(
    "--artefacts",
    type=click.Choice(["drop", "novel"]),
    default="drop",
    show_default=True,
    help="In a training table: leave out what was labelled an artefact, or take it for novel.",
)
@click.pass_context
def export_labels(context: click.Context, out: Path, chosen: Path | None, artefacts: str) -> None:
    """Write the labels in force to OUT; may run while the board does.

    OUT.parquet is a training table with the light curves, as `python -m training ... --data` reads it: known
    classes by their name, other kinds and interesting ones as NOVEL. OUT.csv and OUT.jsonl list the labels.
    """
    from broker_plugin.board import export
    from broker_plugin.board.store import Store

    group: dict[str, Path] = context.parent.params if context.parent is not None else {}
    store_path = chosen or group.get("store_path", _STORE)
    if not store_path.exists():
        msg = f"{store_path} does not exist; name the file of the board with --store"
        raise InputError(msg)
    store = Store(store_path)
    try:
        done = export.export_labels(store, out, artefacts="novel" if artefacts == "novel" else "drop")
    finally:
        store.close()
    notes = [
        f"{done.dropped_artefacts} artefacts left out" if done.dropped_artefacts else "",
        f"{done.without_light_curve} left out whose light curve is not kept (see board --windows)"
        if done.without_light_curve
        else "",
    ]
    click.echo("; ".join([f"{out}: {done.written} labels", *filter(None, notes)]))


def _feed(
    config: Config,
    store: Store,
    directory: Path | None,
    *,
    windows: bool,
    publish: bool,
    keep_days: float | None,
) -> Feed:
    if directory is not None:
        from broker_plugin.board.folder import FolderFeed

        return FolderFeed(directory, store)
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.board.topics import TopicFeed

    return TopicFeed(
        kafka_bus(config),
        store,
        config.prefix,
        with_windows=windows,
        publish_labels=publish,
        keep_days=keep_days,
    )


def _tell(address: str, host: str, *, open_browser: bool) -> None:
    click.echo(f"the board is at {address} (end with Ctrl-C)")
    if host not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"broker-plugin: whoever reaches {host} can read and label here", err=True)
    if open_browser:
        click.launch(address)
