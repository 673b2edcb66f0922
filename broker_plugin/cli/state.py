"""``state``: what is held of an object."""

from __future__ import annotations

import click
import numpy as np

from broker_plugin.cli.failures import PluginGroup
from broker_plugin.cli.held_state import FrozenStore, from_changelog, from_directory, held_bands
from broker_plugin.cli.options import config_option
from broker_plugin.config import Config
from broker_plugin.errors import InputError, TopicError
from broker_plugin.records.epoch import Origin
from broker_plugin.records.window import WINDOW_EPOCHS


@click.group(cls=PluginGroup)
def state() -> None:
    """Look at the light curves that are being collected."""


@state.command()
@click.argument("object_id", metavar="OBJECT")
@click.option("--survey", help="Not given: ztf if OBJECT begins with ZTF, else lsst.")
@click.option(
    "--changelog", is_flag=True, help="Read the cluster's changelog instead of the local directory."
)
@config_option
def show(config: Config, object_id: str, survey: str | None, changelog: bool) -> None:
    """Print what is held of OBJECT in each band, and how far it is from 200 epochs.

    Reads the directory accumulate.state_directory of a worker on this machine or, with --changelog, the
    committed changelog in Kafka; the latter works for any object at any time.
    """
    survey = survey or ("ztf" if object_id.upper().startswith("ZTF") else "lsst")
    store = _from_kafka(config, survey, object_id) if changelog else _local(config, survey, object_id)
    bands = held_bands(store, survey, object_id)
    if not bands:
        msg = f"nothing is held of {survey} {object_id}: no usable epoch has come, or another worker owns it"
        raise InputError(msg)
    for held in bands:
        header, epochs = held.header, held.epochs
        ready = "ready" if header.n_epochs >= WINDOW_EPOCHS else "waiting"
        origins = {
            origin.name.lower(): int(np.count_nonzero(epochs["origin"] == origin))
            for origin in reversed(Origin)
        }
        counts = ", ".join(f"{count} {name}" for name, count in origins.items() if count)
        click.echo(
            f"{survey} {object_id} {held.band}  {header.n_epochs}/{WINDOW_EPOCHS} {ready}  "
            f"held {len(epochs)} ({counts}), let go {header.n_expired}"
        )
        if len(epochs):
            click.echo(
                f"    RA {header.ra:.5f} Dec {header.dec:+.5f}  "
                f"MJD {epochs['time_mjd'][0]:.4f} to {epochs['time_mjd'][-1]:.4f}  "
                f"magnitude {epochs['mag'].min():.3f} to {epochs['mag'].max():.3f}, "
                f"mean {epochs['mag'].mean(dtype=np.float64):.3f}"
            )


def _local(config: Config, survey: str, object_id: str) -> FrozenStore:
    return from_directory(config.accumulate.state_directory, survey, object_id)


def _from_kafka(config: Config, survey: str, object_id: str) -> FrozenStore:
    from broker_plugin.app.live import kafka_bus

    bus, topic = kafka_bus(config), config.topic("changelog")
    partitions = bus.partition_counts([topic])[topic]
    if partitions is None:
        msg = f"topic {topic} does not exist: run 'broker-plugin topics create', or mend the prefix"
        raise TopicError(msg)
    return from_changelog(bus, topic, partitions, survey, object_id)
