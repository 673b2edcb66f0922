"""The entry point and the list of verbs."""

from __future__ import annotations

import logging

import click

from broker_plugin import __version__
from broker_plugin.cli.audit import audit
from broker_plugin.cli.board import board
from broker_plugin.cli.bootstrap import bootstrap
from broker_plugin.cli.catalogue import catalogue
from broker_plugin.cli.check_config import check_config
from broker_plugin.cli.compare import compare
from broker_plugin.cli.dead_letters import dead_letters
from broker_plugin.cli.demo import demo
from broker_plugin.cli.diff import diff
from broker_plugin.cli.failures import PluginGroup, exit_codes
from broker_plugin.cli.filters import filters
from broker_plugin.cli.replay import replay
from broker_plugin.cli.rescore import rescore
from broker_plugin.cli.run import run
from broker_plugin.cli.simulate import simulate
from broker_plugin.cli.state import state
from broker_plugin.cli.subscribe import subscribe
from broker_plugin.cli.topics import topics

_VERBS = (
    audit,
    board,
    bootstrap,
    catalogue,
    check_config,
    compare,
    dead_letters,
    demo,
    diff,
    filters,
    replay,
    rescore,
    run,
    simulate,
    state,
    subscribe,
    topics,
)


@click.group(cls=PluginGroup, epilog=exit_codes(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="broker-plugin")
def main() -> None:
    """Tell ordinary variable stars from new kinds of variability, live, in an alert stream.

    Alerts of ZTF and Rubin/LSST go in. For each star and band with 200 epochs, a class with its
    probabilities and a measure of novelty come out.

    \b
    To see it work, without Kafka:     broker-plugin demo --to demo-output
    An archive of alerts, offline:     broker-plugin replay NIGHT.tar.gz --to DIR
    Live:                              broker-plugin topics create --config FILE
                                       broker-plugin run --config FILE
                                       broker-plugin subscribe --topic novelties --config FILE
    """  # noqa: D301  (click's mark for lines that stay as they are)
    # What the client library retries by itself is no news to a person; `run` sets up its own log.
    logging.getLogger("broker_plugin.runner.kafka.librdkafka").setLevel(logging.ERROR)


for _verb in _VERBS:
    main.add_command(_verb)
