"""``replay``: archived alerts once more, into Kafka or through everything in this process."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from broker_plugin.archive.faults import DEFAULT_SPAN, FaultSettings
from broker_plugin.cli.fault_options import FAULT_HELP, FaultPlan, parse_faults
from broker_plugin.cli.options import EXISTING_PATH, NEW_PATH, config_option
from broker_plugin.cli.progress import Advance, progress_bar
from broker_plugin.cli.tables import text_table
from broker_plugin.config import Config
from broker_plugin.errors import TopicError

if TYPE_CHECKING:
    from broker_plugin.app import OfflineSummary
    from broker_plugin.archive.packets import Packet


@dataclass(frozen=True, slots=True)
class _Pacing:
    rate: float | None = None
    speed: float | None = None
    max_gap: float | None = None
    visit_interval: float | None = None

    @property
    def by_time(self) -> bool:
        return self.speed is not None or self.visit_interval is not None

    def applied(self, packets: Iterable[Packet]) -> Iterator[Packet]:
        from broker_plugin.archive import pace

        return pace(
            packets,
            rate=self.rate,
            speed=self.speed,
            max_gap_seconds=self.max_gap,
            visit_interval_seconds=self.visit_interval,
        )


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
@click.option(
    "--visit-interval",
    type=float,
    help="Send the alerts of each exposure as one burst, a burst each so many seconds (LSST: 37), divided by "
    "--speed.",
)
@click.option("--fault", "shares", multiple=True, callback=parse_faults, help=FAULT_HELP)
@click.option(
    "--fault-span",
    type=click.IntRange(min=1),
    default=DEFAULT_SPAN,
    show_default=True,
    help="Duplicates and delayed packets come so many packets later at most.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the faults.")
@click.option(
    "--fault-record",
    type=NEW_PATH,
    help="Where each fault is written down, as JSON lines; by default faults.jsonl in DIR, or here.",
)
@click.option(
    "--with-history",
    "history",
    type=EXISTING_PATH,
    multiple=True,
    help="With --to: light curves that are known before the first alert, a file of `bootstrap --to`.",
)
@click.option(
    "--keep-lightcurves",
    is_flag=True,
    help="With --to: write the windows, too, for `rescore --archive`; 3 kB each, 2 kB packed.",
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
    visit_interval: float | None,
    shares: dict[str, float],
    fault_span: int,
    seed: int,
    fault_record: Path | None,
    history: tuple[Path, ...],
    keep_lightcurves: bool,
) -> None:
    """Replay archived alerts from PATHS: ztf_public_*.tar.gz archives, folders, single packets.

    With --to DIR, no Kafka is needed: the same stages run in this process, as fast as possible, and write
    classifications.avro, novelties.avro, objects.avro and dead-letters.avro into DIR, and .jsonl files. With
    --topic, the alerts go into Kafka, where `broker-plugin run` finds them. The order is always the same:
    that of the archive or, with --speed or --visit-interval, that of the alerts' times.

    --fault makes it a test bench: packets are lost, doubled, held up or damaged, by chance, and the same
    --seed gives the same stream, byte for byte.
    """
    pacing = _Pacing(rate, speed, max_gap, visit_interval)
    to_kafka = topic is not None or bootstrap is not None
    if (out is not None) == to_kafka:
        msg = "say where the alerts go: either --to DIR (offline) or --topic and --bootstrap (Kafka)"
        raise click.UsageError(msg)
    record = fault_record or (out or Path()) / "faults.jsonl"
    plan = FaultPlan(FaultSettings(**shares, span=fault_span), seed, record)
    if out is not None:
        if pacing != _Pacing():
            msg = (
                "--rate, --speed, --max-gap and --visit-interval pace a replay into Kafka; offline there is "
                "nothing to wait for"
            )
            raise click.UsageError(msg)
        _offline(config, paths, out, plan, history, keep_lightcurves=keep_lightcurves)
        return
    if history:
        msg = "--with-history goes with --to; into Kafka, `broker-plugin bootstrap` brings the history"
        raise click.UsageError(msg)
    if keep_lightcurves:
        msg = "--keep-lightcurves goes with --to; in Kafka the windows are a topic"
        raise click.UsageError(msg)
    if bootstrap is not None:
        config = config.model_copy(update={"kafka": config.kafka.model_copy(update={"bootstrap": bootstrap})})
    with progress_bar("replaying", "alerts") as advance:
        started = time.monotonic()
        topic = topic or config.source_topics[0]
        sent, told = _send(config, paths, topic, pacing=pacing, plan=plan, advance=advance)
    seconds = time.monotonic() - started
    if told:
        click.echo(text_table(("", ""), told))
        click.echo(f"each fault is in {plan.record}")
    click.echo(f"{sent} alerts sent in {seconds:.1f} s ({sent / max(seconds, 1e-9):,.0f}/s)")


def _offline(
    config: Config,
    paths: tuple[Path, ...],
    out: Path,
    plan: FaultPlan,
    history: tuple[Path, ...],
    *,
    keep_lightcurves: bool,
) -> None:
    from broker_plugin.archive import iter_packets
    from broker_plugin.cli.offline_report import offline_rows

    with plan.applied(iter_packets(paths)) as (packets, report):
        total = _count(paths)
        summary = _run_offline(packets, config, out, total, history, keep_lightcurves=keep_lightcurves)
    click.echo(text_table(("", ""), [*plan.rows(report), *offline_rows(summary)]))
    if plan.settings.any:
        click.echo(f"\neach fault is in {plan.record}")
    click.echo(
        f"\nresults are in {out}; `broker-plugin subscribe --file {out / 'novelties.avro'}` prints them"
    )


def replay_offline(paths: Sequence[Path], config: Config, out: Path) -> OfflineSummary:
    """Run archives through all stages in this process, with a progress bar."""
    from broker_plugin.archive import iter_packets

    return _run_offline(iter_packets(paths), config, out, _count(paths))


def _run_offline(
    packets: Iterable[Packet],
    config: Config,
    out: Path,
    total: int | None,
    history: Sequence[Path] = (),
    *,
    keep_lightcurves: bool = False,
) -> OfflineSummary:
    from broker_plugin.app import offline_replay
    from broker_plugin.bootstrap.photometry_file import read_photometry_file

    known = (photometry for path in history for photometry in read_photometry_file(path))
    with progress_bar("replaying", "alerts") as advance:
        return offline_replay(
            (packet.payload for packet in packets),
            config,
            out,
            progress=lambda done: advance(done, total),
            history=known,
            keep_lightcurves=keep_lightcurves,
        )


def _count(paths: Sequence[Path]) -> int | None:
    """Count the packets if somebody is watching: it means to read the archives once more."""
    from broker_plugin.archive import count_packets

    return count_packets(paths) if sys.stderr.isatty() else None


def _send(
    config: Config, paths: Sequence[Path], topic: str, *, pacing: _Pacing, plan: FaultPlan, advance: Advance
) -> tuple[int, list[tuple[str, str]]]:
    """Send all packets and wait until the cluster has them; return their number, and what went wrong."""
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.archive import iter_packets
    from broker_plugin.runner.protocols import Output

    pacing.applied(())  # what contradicts itself is told before anything is connected to
    packets = iter_packets(paths, order="time" if pacing.by_time else "archive")
    bus = kafka_bus(config)
    if bus.partition_counts([topic])[topic] is None:
        msg = f"topic {topic} does not exist: run 'broker-plugin topics create', or mend --topic"
        raise TopicError(msg)
    total = _count(paths)
    producer = bus.producer()
    sent = 0
    try:
        with plan.applied(packets) as (arriving, report):
            for packet in pacing.applied(arriving):
                producer.send(Output(topic, key=None, value=packet.payload))  # surveys set no key, either
                sent += 1
                advance(sent, total)
            producer.flush()
    finally:
        producer.close()
    return sent, plan.rows(report)
