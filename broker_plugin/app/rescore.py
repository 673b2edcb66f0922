"""Windows sent to scoring again, so that the model in use judges what another one had judged.

The score stage alone publishes and remembers, so a chain of revisions has one writer and cannot fork: this
sends the newest window of each stale light curve to the topic of windows once more, under a header that names
the model, and the running stage takes it in its exactly-once way. A window that is sent twice is judged once.
What was done shows in the stage's own memory, so a run that was killed is resumed by starting it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from broker_plugin.annotate.memory import (
    KEYS,
    Memory,
    Order,
    is_stale,
    may_rescore,
    memory_key,
    window_order,
)
from broker_plugin.records import schemas
from broker_plugin.records.codec import decode_window
from broker_plugin.records.photometry import object_key
from broker_plugin.runner.bus import Bus, NotYetError, read_partition
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.settings import Clock
from broker_plugin.stages.score import RESCORE, unfit

_FLUSH_EVERY = 500
_LOOK_EVERY_SECONDS = 1.0

Place = tuple[int, int]
"""Partition and offset of a window in its topic, or 0 and its number in an archive."""

Found = tuple[Place, bytes]
"""A window where it lies, encoded."""


@dataclass(frozen=True, slots=True)
class Stale:
    """What there is to do.

    Attributes
    ----------
    model_digest : str
        Of the model that is to judge.
    remembered : int
        Light curves with an annotation.
    light_curves : dict of bytes to Memory
        Those of them that another model has judged, by state key.
    windows : dict of bytes to Place
        Where the newest window of each lies, as far as there is one; with an archive also windows of light
        curves of which nothing was ever published.
    """

    model_digest: str
    remembered: int
    light_curves: dict[bytes, Memory]
    windows: dict[bytes, Place]

    @property
    def without_window(self) -> int:
        """Return of how many stale light curves no window is left."""
        return len(self.light_curves.keys() - self.windows.keys())


def find_stale(
    bus: Bus, prefix: str, model_digest: str, windows: Iterable[Found], *, also_unknown: bool = False
) -> Stale:
    """Look up which light curves another model has judged, and where their newest windows are.

    Parameters
    ----------
    bus : Bus
    prefix : str
    model_digest : str
        Of the model that is to judge.
    windows : iterable of (Place, bytes)
        All there are, see :func:`windows_of_topic`.
    also_unknown : bool
        Take windows of light curves of which nothing is remembered, too: those of an archive. In the topic
        they are on their way to the stage.
    """
    fresh: set[bytes] = set()
    stale: dict[bytes, Memory] = {}
    for key, memory in _memories(bus, prefix):
        if is_stale(memory, model_digest):
            stale[key] = memory
        else:
            fresh.add(key)
    newest: dict[bytes, tuple[Order, Place]] = {}
    for place, data in windows:
        window = decode_window(data)
        key = memory_key(window.survey, window.object_id, window.band)
        known = stale.get(key)
        if key in fresh or unfit(window) is not None:
            continue
        if may_rescore(window, known) if known is not None else also_unknown:
            order = window_order(window)
            if key not in newest or newest[key][0] <= order:
                newest[key] = (order, place)
    places = {key: place for key, (_, place) in newest.items()}
    return Stale(model_digest, len(fresh) + len(stale), stale, places)


def send(
    bus: Bus,
    prefix: str,
    stale: Stale,
    windows: Iterable[Found],
    *,
    rate: float | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    clock: Clock | None = None,
) -> int:
    """Send the windows that were found; return how many.

    Parameters
    ----------
    bus, prefix
    stale : Stale
    windows : iterable of (Place, bytes)
        The same as for :func:`find_stale`, once more.
    rate : float, optional
        Windows a second, at most: they share the score stage with what is new.
    progress : callable
        Called with how many are sent, and how many there are.
    """
    clock = clock or Clock()
    header = ((RESCORE, stale.model_digest.encode()),)
    wanted = set(stale.windows.values())
    producer = bus.producer()
    started, sent = clock.monotonic(), 0
    try:
        for _, data in (found for found in windows if found[0] in wanted):
            window = decode_window(data)
            if rate is not None:
                clock.sleep(max(0.0, started + sent / rate - clock.monotonic()))
            key = object_key(window.survey, window.object_id)
            producer.send(Output(f"{prefix}.lightcurves", key, data, headers=header))
            sent += 1
            if sent % _FLUSH_EVERY == 0:
                producer.flush()
            progress(sent, len(wanted))
        producer.flush()
    finally:
        producer.close()
    return sent


def wait_until_judged(bus: Bus, prefix: str, seconds: float, clock: Clock | None = None) -> bool:
    """Wait until the score stage has taken in what the topic of windows holds now; return whether it has."""
    clock = clock or Clock()
    topic = f"{prefix}.lightcurves"
    partitions = [Partition(topic, number) for number in range(bus.partition_counts([topic])[topic] or 0)]
    ends = {partition: bus.offsets(partition) for partition in partitions}
    deadline = clock.monotonic() + seconds
    while True:
        try:
            committed = bus.committed(f"{prefix}.score", partitions)
        except NotYetError:  # in the middle of a commit, or a worker that died there
            committed = dict.fromkeys(partitions)
        if all(first == end or (committed[p] or 0) >= end for p, (first, end) in ends.items()):
            return True
        if clock.monotonic() >= deadline:
            return False
        clock.sleep(_LOOK_EVERY_SECONDS)


def _memories(bus: Bus, prefix: str) -> Iterator[tuple[bytes, Memory]]:
    topic = f"{prefix}.score-changelog"
    for number in range(bus.partition_counts([topic])[topic] or 0):
        changes, _ = replay_records(read_partition(bus, topic, number), {})
        for key, value in changes.items():
            if value is not None and key.startswith(KEYS):
                yield key, Memory.unpack(value)


def windows_of_topic(bus: Bus, prefix: str) -> Iterator[Found]:
    """Yield what the topic of windows holds, each partition up to its end when it is begun."""
    topic = f"{prefix}.lightcurves"
    for number in range(bus.partition_counts([topic])[topic] or 0):
        for message in read_partition(bus, topic, number):
            yield (number, message.offset), message.value or b""


def windows_of_archive(records: Iterable[dict[str, Any]]) -> Iterator[Found]:
    """Yield the windows of an offline run's ``lightcurves`` as they would lie in the topic."""
    for number, record in enumerate(records):
        yield (0, number), schemas.encode("lightcurve", record, "single-object")
