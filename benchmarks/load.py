"""A load of LSST alerts at a pace, for stars whose light curves are nearly long enough to be scored."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.soak_alerts import BAND, FLUX_ERROR, SoakAlerts, object_id, position, visit_flux, visit_mjd
from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.photometry.magnitudes import Flux, njy_to_ab
from broker_plugin.photometry.times import bmjd_tdb_from_mjd_tai
from broker_plugin.records.codec import encode_photometry
from broker_plugin.records.epoch import Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.records.window import WINDOW_EPOCHS
from broker_plugin.runner.bus import Bus
from broker_plugin.runner.protocols import Output

_EVERY = WindowSettings().rescore_after  # 20: 5 % of the alerts make a window due
_TICK_SECONDS = 0.02


class StarLoad:
    """Stars that are visited in turns, each alert one new epoch.

    Each has 180 to 199 epochs before, as many stars each number, so that from the first second on every
    twentieth alert makes a window due.

    Parameters
    ----------
    n_stars : int
    """

    def __init__(self, n_stars: int) -> None:
        self.n_stars = n_stars
        self._alerts = SoakAlerts(0, 1)
        self._sent = 0

    def before(self, topic: str) -> Iterator[Output]:
        """Yield the photometry of each star before the load, a record a star."""
        for index in range(self.n_stars):
            mjd = np.array([visit_mjd(index, visit) for visit in range(self._epochs_before(index))])
            flux = np.array([visit_flux(index, at) for at in mjd.tolist()])
            ra, dec = position(index)
            time_mjd = bmjd_tdb_from_mjd_tai(mjd, np.full(len(mjd), ra), np.full(len(mjd), dec))
            mag, magerr = njy_to_ab(Flux(flux, np.full(len(mjd), FLUX_ERROR)))
            epochs = make_epochs(time_mjd, mag, magerr, origin=Origin.PREVIOUS, version=1)
            record = ObjectPhotometry(
                "lsst", object_id(index), str(index), float(time_mjd[-1]), ra, dec, {BAND: epochs}
            )
            yield Output(topic, object_key("lsst", object_id(index)), encode_photometry(record))

    def next_alert(self) -> bytes:
        """Return the next alert."""
        turn, index = divmod(self._sent, self.n_stars)
        self._sent += 1
        return self._alerts.packet(self._sent, index, self._epochs_before(index) + turn)

    def _epochs_before(self, index: int) -> int:
        return WINDOW_EPOCHS - 1 - index % _EVERY


class Pacer(threading.Thread):
    """Writes alerts at a pace until it has written so many, or is stopped.

    Parameters
    ----------
    bus : Bus
    topic : str
    load : StarLoad
    per_second : float
    count : int
    """

    def __init__(self, bus: Bus, topic: str, load: StarLoad, *, per_second: float, count: int) -> None:
        super().__init__(name="load", daemon=True)
        self._bus = bus
        self._topic = topic
        self._load = load
        self._per_second = per_second
        self._count = count
        self._stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        """Write; what a busy machine delays is caught up with."""
        producer = self._bus.producer()
        started = time.monotonic()
        while self.sent < self._count and not self._stopping.is_set():
            due = min(self._count, round((time.monotonic() - started) * self._per_second))
            for _ in range(due - self.sent):
                producer.send(Output(self._topic, None, self._load.next_alert()))
            self.sent = max(self.sent, due)
            time.sleep(_TICK_SECONDS)
        producer.flush()
        producer.close()

    def stop(self) -> None:
        """Write no more, and wait for what is written."""
        self._stopping.set()
        self.join()
