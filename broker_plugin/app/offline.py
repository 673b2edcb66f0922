"""The whole path in this process, without Kafka: the same stages and runner on the in-process bus."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from broker_plugin.app.conservation import HISTORY_EPOCHS, HISTORY_RECORDS, Counts
from broker_plugin.app.output_files import RecordFiles
from broker_plugin.app.stages import build_stages
from broker_plugin.config import Config
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Observation, Output, Partition
from broker_plugin.runner.sensor import NullSensor
from broker_plugin.runner.settings import RunnerSettings
from broker_plugin.runner.topics import create_missing, plan_topics
from broker_plugin.stages.dead_letters import dead_letter_output
from broker_plugin.stages.ingest import photometry_output

_PARTITIONS = 1  # one thread drives all stages; more partitions would only cut the batches
_CHUNK_ALERTS = 1000  # bounds the memory; every stage runs dry before the next chunk is read

_RECORD_OF_TOPIC = {
    "classifications": "classification",
    "novelties": "novelty",
    "objects": "object",
    "dead-letters": "dead_letter",
}


@dataclass(frozen=True, slots=True)
class OfflineSummary:
    """What a replay did.

    Attributes
    ----------
    alerts : int
        Packets read from the archive.
    seconds : float
    counts : Counter
        Sum of the observations by (name, labels); the names are those of the metrics.
    files : tuple of Path
        What was written.
    """

    alerts: int
    seconds: float
    counts: Counts
    files: tuple[Path, ...]

    def total(self, name: str, **labels: str) -> int:
        """Return the sum of a counter over all labels not given."""
        wanted = set(labels.items())
        return round(
            sum(n for (found, has), n in self.counts.items() if found == name and wanted <= set(has))
        )


class CountingSensor(NullSensor):
    """Adds up what the stages observe."""

    def __init__(self) -> None:
        self.counts: Counts = Counter()

    def on_observations(self, stage: str, observations: Sequence[Observation]) -> None:
        """Add counters and gauges; values of histograms are counted."""
        for observation in observations:
            n = (
                observation.value
                if observation.name.endswith("_total") or observation.name == "objects"
                else 1
            )
            self.counts[observation.name, tuple(sorted(observation.labels.items()))] += n  # type: ignore[assignment]

    def on_dead_letters(self, stage: str, reason: str, n_records: int) -> None:
        """Add the runner's own dead letters."""
        self.counts["dead_letters_total", (("reason", reason), ("stage", stage))] += n_records


def offline_replay(
    packets: Iterable[bytes],
    config: Config,
    directory: Path,
    *,
    progress: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.time,
    history: Iterable[ObjectPhotometry] = (),
    keep_lightcurves: bool = False,
) -> OfflineSummary:
    """Run alert packets through ingest, accumulate and score, and write what comes out to files.

    Parameters
    ----------
    packets : iterable of bytes
        In the order of the stream.
    config : Config
    directory : Path
        Receives ``classifications``, ``novelties``, ``objects`` and ``dead-letters``, each as ``.avro`` and
        ``.jsonl``.
    progress : callable
        Called with the number of packets done.
    clock : callable
        Seconds since the epoch, for ``processed_at``; a fixed one makes the files reproducible to the byte.
    history : iterable of ObjectPhotometry
        What is known of objects before the first packet.
    keep_lightcurves : bool
        Write the windows, too, as ``lightcurves``: 3 kB each, which another model can judge later.
    """
    started = time.monotonic()
    bus = MemoryBus()
    source = config.source_topics[0]
    create_missing(
        bus,
        [
            *(TopicSpec(t, _PARTITIONS) for t in config.source_topics),
            *plan_topics(config.prefix, _PARTITIONS),
        ],
    )
    sensor = CountingSensor()
    settings = RunnerSettings(prefix=config.prefix, instance="offline", batch_seconds=0.0)
    kinds = {**_RECORD_OF_TOPIC, **({"lightcurves": "lightcurve"} if keep_lightcurves else {})}
    done = 0
    with ExitStack() as closing:
        files = closing.enter_context(RecordFiles(directory, kinds))
        runners = [
            closing.enter_context(
                Runner(stage, bus, dead_letter_output(config.prefix), settings, sensor=sensor)
            )
            for stage in build_stages(config, clock=clock)
        ]
        outputs = [_OutputTopic(bus, f"{config.prefix}.{name}", name) for name in kinds]
        producer = bus.producer()
        known = (
            photometry_output(config.prefix, photometry) for photometry in _counted(history, sensor.counts)
        )
        alerts = (Output(source, None, packet) for packet in packets)
        for chunk in chain(_chunks(known), _chunks(alerts)):
            for output in chunk:
                producer.send(output)
            producer.flush()
            for runner in runners:
                runner.run_until_idle()
            for topic in outputs:
                for value in topic.take():
                    files.write(topic.name, value)
            bus.delete_consumed()
            done += sum(output.topic == source for output in chunk)
            progress(done)
    return OfflineSummary(done, time.monotonic() - started, sensor.counts, files.paths)


class _OutputTopic:
    """Takes each committed record of a topic once, and lets the bus forget it."""

    def __init__(self, bus: MemoryBus, topic: str, name: str) -> None:
        self.name = name
        self._bus = bus
        count = bus.partition_counts([topic])[topic] or 0
        self._positions = {Partition(topic, number): 0 for number in range(count)}

    def take(self) -> Iterator[bytes]:
        for partition, position in self._positions.items():
            reader = self._bus.reader(partition, position)
            while not reader.done:
                yield from (m.value for m in reader.read(1000, 1.0) if m.value is not None)
            self._positions[partition] = reader.position
            reader.close()
            self._bus.delete_records(partition, before=self._positions[partition])


def _counted(history: Iterable[ObjectPhotometry], counts: Counts) -> Iterator[ObjectPhotometry]:
    for photometry in history:
        counts[HISTORY_RECORDS, ()] += 1
        counts[HISTORY_EPOCHS, ()] += sum(len(epochs) for epochs in photometry.bands.values())
        yield photometry


def _chunks(outputs: Iterable[Output]) -> Iterator[list[Output]]:
    remaining = iter(outputs)
    while chunk := list(islice(remaining, _CHUNK_ALERTS)):
        yield chunk
