"""A load for an installation under attack: seeded light curves, and a thread that writes them at a pace."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterable
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
    rng = random.Random(seed)
    queues = [_alerts(rng, f"ZTF{seed % 100:02d}{number:07d}", n_epochs) for number in range(n_objects)]
    mixed: list[Output] = []
    turns = [number for number, queue in enumerate(queues) for _ in queue]
    rng.shuffle(turns)
    for number in turns:
        mixed.append(queues[number].pop(0))
    return mixed


def _alerts(rng: random.Random, object_id: str, n_epochs: int) -> list[Output]:
    period_days = rng.uniform(0.3, 30.0)
    phase = rng.random()
    alerts = []
    for end in range(_NEW_EPOCHS, n_epochs + 1, _NEW_EPOCHS):
        slots = np.arange(max(0, end - _NEW_EPOCHS - _REPEATED_EPOCHS), end)
        time_mjd = 58000.0 + _SPACING_DAYS * slots + 0.01 * np.sin(slots)
        mag = 15.0 + 0.4 * np.sin(2 * np.pi * (time_mjd / period_days + phase))
        epochs = make_epochs(
            time_mjd,
            mag,
            np.full(len(slots), 0.02),
            origin=[Origin.PREVIOUS] * (len(slots) - 1) + [Origin.DETECTION],
            version=end,
        )
        record = ObjectPhotometry("ztf", object_id, str(end), float(time_mjd[-1]), 10.0, -3.0, {"r": epochs})
        alerts.append(Output("", object_key("ztf", object_id), encode_photometry(record)))
    for at in range(len(alerts) - 1, 0, -1):
        if rng.random() < 0.1:
            alerts[at - 1], alerts[at] = alerts[at], alerts[at - 1]
        if rng.random() < 0.1:
            alerts.insert(at, alerts[at])
    return alerts


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
        if kind is not None:
            self._abandoned = True
            self._stopping.set()
            self.join()
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
