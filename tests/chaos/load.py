"""A load for an installation under attack: seeded light curves, and a thread that writes them at a pace."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

import numpy as np

from broker_plugin.records.codec import encode_photometry
from broker_plugin.records.epoch import Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.runner.bus import Bus
from broker_plugin.runner.protocols import Output

_NEW_EPOCHS = 5  # of each alert
_REPEATED_EPOCHS = 5  # of the alerts before, as packets bring their history again
_SPACING_DAYS = 0.37
_TICK_SECONDS = 0.05


def light_curves(seed: int, n_objects: int = 100, n_epochs: int = 250) -> list[Output]:
    """Return photometry records of some objects, to be written to ``<prefix>.photometry`` in this order.

    Objects come mixed; of one object one alert in ten comes twice, and one in ten after its successor.

    Parameters
    ----------
    seed : int
        Equal seeds give equal records.
    n_objects, n_epochs : int
        ``n_objects * n_epochs / 5`` alerts, and some repetitions. With 250 epochs and a window at each 25
        after the 200th, three windows an object.

    Returns
    -------
    list of Output
        With the topic's name still empty.
    """
    return list(light_curve_stream(seed, n_objects, n_epochs))


def light_curve_stream(seed: int, n_objects: int, n_epochs: int) -> Iterator[Output]:
    """Yield the same, each made when it is wanted: of a load that outlasts an attack most is never used."""
    rng = random.Random(seed)
    stars = [_Star(rng, f"ZTF{seed % 100:02d}{number:07d}", n_epochs) for number in range(n_objects)]
    turns = [number for number, star in enumerate(stars) for _ in star.ends]
    rng.shuffle(turns)
    for number in turns:
        yield stars[number].alert()


class _Star:
    """One object: how it varies, and which epoch each of its alerts ends with."""

    def __init__(self, rng: random.Random, object_id: str, n_epochs: int) -> None:
        self._object_id = object_id
        self._period_days = rng.uniform(0.3, 30.0)
        self._phase = rng.random()
        ends = list(range(_NEW_EPOCHS, n_epochs + 1, _NEW_EPOCHS))
        for at in range(len(ends) - 1, 0, -1):
            if rng.random() < 0.1:
                ends[at - 1], ends[at] = ends[at], ends[at - 1]
            if rng.random() < 0.1:
                ends.insert(at, ends[at])
        self.ends = deque(ends)

    def alert(self) -> Output:
        """Return the next one."""
        end = self.ends.popleft()
        slots = np.arange(max(0, end - _NEW_EPOCHS - _REPEATED_EPOCHS), end)
        time_mjd = 58000.0 + _SPACING_DAYS * slots + 0.01 * np.sin(slots)
        mag = 15.0 + 0.4 * np.sin(2 * np.pi * (time_mjd / self._period_days + self._phase))
        epochs = make_epochs(
            time_mjd,
            mag,
            np.full(len(slots), 0.02),
            origin=[Origin.PREVIOUS] * (len(slots) - 1) + [Origin.DETECTION],
            version=end,
        )
        record = ObjectPhotometry(
            "ztf", self._object_id, str(end), float(time_mjd[-1]), 10.0, -3.0, {"r": epochs}
        )
        return Output("", object_key("ztf", self._object_id), encode_photometry(record))


class Feeder(threading.Thread):
    """Writes records to a topic at a pace, beside whatever else a test does.

    Leaving its context waits for the last record, unless :meth:`halt` came first; after an error inside the
    context it stops at once.

    Parameters
    ----------
    bus : Bus
        Its client repeats what a broker that goes away has not confirmed, without doubling it.
    topic : str
    records : iterable of Output
        Their topic is replaced.
    per_second : float
        Infinity writes as fast as the broker takes it.
    """

    def __init__(
        self, bus: Bus, topic: str, records: Iterable[Output], per_second: float = float("inf")
    ) -> None:
        super().__init__(name=f"feeder-{topic}", daemon=True)
        self._bus = bus
        self._topic = topic
        self._records = records
        self._per_second = per_second
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._abandoned = False
        self.sent = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandoned = True
            self._stopping.set()
            self.join()
            told = "" if self._error is None else f", then failed: {self._error!r}"
            error.add_note(f"{self.name} had written {self.sent} records{told}")
        else:
            self.finish()

    def halt(self) -> int:
        """Write no more, wait for what was written, return the number of records."""
        self._stopping.set()
        return self.finish()

    def finish(self) -> int:
        """Wait for the last record, raise what went wrong, return the number of records."""
        self.join()
        if self._error is not None:
            raise self._error
        return self.sent

    def run(self) -> None:
        try:
            self._write()
        except BaseException as error:
            self._error = error

    def _write(self) -> None:
        producer = self._bus.producer()
        try:
            started = time.monotonic()
            for record in self._records:
                while self.sent > (time.monotonic() - started) * self._per_second:
                    if self._stopping.wait(_TICK_SECONDS):
                        break
                if self._stopping.is_set():
                    break
                producer.send(Output(self._topic, record.key, record.value))
                self.sent += 1
            if not self._abandoned:
                producer.flush()
        finally:
            producer.close()
