"""``replay``: archived alerts once more, into Kafka or through everything in this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker_plugin.cli.options import NEW_PATH, config_option
from broker_plugin.cli.progress import Advance, progress_bar
from broker_plugin.cli.tables import text_table
from broker_plugin.config import Config
from broker_plugin.errors import TopicError

if TYPE_CHECKING:
    from broker_plugin.app import OfflineSummary


@dataclass(frozen=True, slots=True)
class _Pacing:
    rate: float | None = None
    speed: float | None = None
    max_gap: float | None = None


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "out", type=NEW_PATH, help="Offline: process everything here, write the results here.")
@click.option("--topic", help="Send the alerts to this Kafka topic; needs an existing topic.")
@click.option("--bootstrap", help="Kafka at host:port instead of the configured kafka.bootstrap.")
@click.option("--rate", type=float, help="Send so many alerts a second.")
@click.option("--speed", type=float, help="Send at so many times real time, by the alerts' own clocks.")
@click.option(
    "--max-gap", "max_gap", type=float, help="With --speed: never wait longer than this, in seconds."
)
@config_option
def replay(
    *,
    config: Config,
    paths: tuple[Path, ...],
    out: Path | None,
    topic: str | None,
    bootstrap: str | None,
    rate: float | None,
    speed: float | None,
    max_gap: float | None,
) -> None:
    """Replay archived alerts from PATHS: ztf_public_*.tar.gz archives, folders, single packets.

    With --to DIR, no Kafka is needed: the same stages run in this process, as fast as possible, and write
    classifications.avro, novelties.avro and dead-letters.avro into DIR, and .jsonl files beside them. With
    --topic, the alerts go into Kafka, where `broker-plugin run` finds them. The order is always the same:
    that of the archive or, with --speed, that of the alerts' times.
    """
    pacing = _Pacing(rate, speed, max_gap)
    to_kafka = topic is not None or bootstrap is not None
    if (out is not None) == to_kafka:
        msg = "say where the alerts go: either --to DIR (offline) or --topic and --bootstrap (Kafka)"
        raise click.UsageError(msg)
    if out is not None:
        if pacing != _Pacing():
            msg = (
                "--rate, --speed and --max-gap pace a replay into Kafka; offline there is nothing to wait for"
            )
            raise click.UsageError(msg)
        _offline(config, paths, out)
        return
    if bootstrap is not None:
        config = config.model_copy(update={"kafka": config.kafka.model_copy(update={"bootstrap": bootstrap})})
    with progress_bar("replaying", "alerts") as advance:
        started = time.monotonic()
        sent = _send(config, paths, topic or config.source_topics[0], pacing, advance)
    seconds = time.monotonic() - started
    click.echo(f"{sent} alerts sent in {seconds:.1f} s ({sent / max(seconds, 1e-9):,.0f}/s)")


def _offline(config: Config, paths: tuple[Path, ...], out: Path) -> None:
    from broker_plugin.cli.offline_report import offline_rows

    summary = replay_offline(paths, config, out)
    click.echo(text_table(("", ""), offline_rows(summary)))
    click.echo(
        f"\nresults are in {out}; `broker-plugin subscribe --file {out / 'novelties.avro'}` prints them"
    )


def replay_offline(paths: Sequence[Path], config: Config, out: Path) -> OfflineSummary:
    """Run archives through all stages in this process, with a progress bar."""
    from broker_plugin.app import offline_replay
    from broker_plugin.archive import iter_packets

    packets = (packet.payload for packet in iter_packets(paths))
    total = _count(paths)
    with progress_bar("replaying", "alerts") as advance:
        return offline_replay(packets, config, out, progress=lambda done: advance(done, total))


def _count(paths: Sequence[Path]) -> int | None:
    """Count the packets if somebody is watching: it means to read the archives once more."""
    from broker_plugin.archive import count_packets

    return count_packets(paths) if sys.stderr.isatty() else None


def _send(config: Config, paths: Sequence[Path], topic: str, pacing: _Pacing, advance: Advance) -> int:
    """Send all packets and wait until the cluster has them; return their number."""
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.archive import iter_packets, pace
    from broker_plugin.runner.protocols import Output

    packets = iter_packets(paths, order="archive" if pacing.speed is None else "time")
    paced = pace(packets, rate=pacing.rate, speed=pacing.speed, max_gap_seconds=pacing.max_gap)
    bus = kafka_bus(config)
    if bus.partition_counts([topic])[topic] is None:
        msg = f"topic {topic} does not exist: run 'broker-plugin topics create', or mend --topic"
        raise TopicError(msg)
    total = _count(paths)
    producer = bus.producer()
    sent = 0
    try:
        for packet in paced:
            producer.send(Output(topic, key=None, value=packet.payload))  # surveys set no key, either
            sent += 1
            advance(sent, total)
        producer.flush()
    finally:
        producer.close()
    return sent
