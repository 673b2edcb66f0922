"""Accumulate: photometry of objects in, windows of 200 epochs out; the light curves are its state."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from broker_plugin.lightcurve.colors import band_means
from broker_plugin.lightcurve.header import BandHeader, packed_epochs
from broker_plugin.lightcurve.history import HEADERS, BandHistory, Update
from broker_plugin.lightcurve.incoming import IncomingEpochs
from broker_plugin.lightcurve.windows import Remainder, WindowSettings, after_withdrawal, due_windows
from broker_plugin.records.codec import encode_window
from broker_plugin.records.epoch import EpochArray, Origin
from broker_plugin.records.photometry import object_key
from broker_plugin.records.photometry_batch import BandRows, PacketHead, decode_photometry_batch
from broker_plugin.records.window import WINDOW_EPOCHS, WITHDRAWAL, Window
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import PutAside
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import Headers, passed_on

_ORIGINS = {int(origin): origin.name.lower() for origin in Origin}


@dataclass(frozen=True, slots=True)
class _PartitionStore:
    """One partition's state under the light curve's own, smaller protocol."""

    state: State
    partition: int

    def get(self, key: bytes) -> bytes | None:
        return self.state.get(self.partition, key)

    def put(self, key: bytes, value: bytes | None) -> None:
        self.state.put(self.partition, key, value)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self.state.scan(self.partition, prefix)


class AccumulateStage:
    """Merge each object's epochs and emit the windows that fall due.

    Records are taken one by one in their order, so what is emitted depends on the photometry topic alone,
    never on how the records were cut into batches.

    Parameters
    ----------
    prefix : str
        Of the topics.
    settings : WindowSettings
    """

    def __init__(self, prefix: str, settings: WindowSettings) -> None:
        self.name = "accumulate"
        self.input_topics: Sequence[str] = (f"{prefix}.photometry",)
        self.changelog_topic: str | None = f"{prefix}.changelog"
        self._windows_topic = f"{prefix}.lightcurves"
        self._settings = settings
        self._put_aside = PutAside(self.name, prefix)

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Merge a batch of photometry records; see :class:`broker_plugin.runner.protocols.Stage`."""
        tally = Tally()
        tally.count("photometry_consumed_total", len(batch))
        photometry = decode_photometry_batch([message.value for message in batch])
        incoming = IncomingEpochs(photometry.epochs)
        stores = {number: _PartitionStore(state, number) for number in {it.partition for it in batch}}
        for message, packet in zip(batch, photometry.packets, strict=True):
            if isinstance(packet, ValueError):
                self._put_aside("undecodable_photometry", str(packet), message, tally)
                continue
            store = stores[message.partition]
            # All bands first: a window tells the object's mean magnitude in each of them.
            due = [w for rows in packet.bands for w in self._add(packet, rows, incoming, store, tally)]
            for window in due:
                tally.outputs.append(self._output(window, store, headers=passed_on(message)))
                tally.count("windows_emitted_total", survey=window.survey, band=window.band, kind=window.kind)
        return tally.result()

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Count the restored objects that wait and those that are ready."""
        return self._census(partition, state, sign=1)

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Take the partition's objects out of the gauges."""
        return self._census(partition, state, sign=-1)

    def _add(
        self,
        photometry: PacketHead,
        rows: BandRows,
        incoming: IncomingEpochs,
        store: _PartitionStore,
        tally: Tally,
    ) -> list[Window]:
        """Merge a packet's epochs of one band, and return the windows that they made due."""
        band = rows.band
        history = BandHistory(store, object_key(photometry.survey, photometry.object_id), band)
        update = incoming.merge_into(history, photometry, rows, self._settings.max_epochs)
        n_rejected = rows.stop - rows.start - (0 if update is None else update.n_epochs)
        if n_rejected:
            tally.count("epochs_rejected_total", n_rejected, reason="non_finite")
        if update is None:
            return []
        for origin in update.origins:
            tally.count("epochs_added_total", band=band, origin=_ORIGINS[origin], survey=photometry.survey)
        if update.n_repeated:
            tally.count("epochs_duplicate_total", update.n_repeated, survey=photometry.survey)
        if update.n_expired:
            tally.count("epochs_expired_total", update.n_expired, survey=photometry.survey)
        _count_objects(update, tally)

        header, remainder = update.header, None
        if len(update.withdrawn):
            header, remainder = after_withdrawal(header, history.light_curve, self._settings)
        header, due = due_windows(header, history.light_curve, self._settings)
        windows = [self._window(photometry, band, header, epochs) for epochs in due]
        if remainder is not None:
            windows.insert(0, self._remainder(photometry, band, header, update, remainder))
        if windows:
            history.put_header(header)
        return windows

    def _output(self, window: Window, store: _PartitionStore, *, headers: Headers) -> Output:
        key = object_key(window.survey, window.object_id)
        if len(window.epochs):
            window = replace(window, band_means=band_means(store, key, window.band, window.epochs))
        return Output(self._windows_topic, key, encode_window(window), headers)

    def _remainder(
        self, photometry: PacketHead, band: str, header: BandHeader, update: Update, left: Remainder
    ) -> Window:
        """Return what a withdrawal left, with the times of what is gone."""
        return replace(
            self._window(photometry, band, header, left.epochs),
            kind=self._settings.kind if left.is_window else WITHDRAWAL,
            withdrawn_mjd=tuple(update.withdrawn["time_mjd"].tolist()),
        )

    def _window(self, photometry: PacketHead, band: str, header: BandHeader, epochs: EpochArray) -> Window:
        return Window(
            survey=photometry.survey,
            object_id=photometry.object_id,
            band=band,
            ra=header.ra,
            dec=header.dec,
            alert_id=photometry.alert_id,
            alert_time_mjd=photometry.alert_time_mjd,
            kind=self._settings.kind,
            n_epochs_total=header.n_epochs,
            epochs=epochs,
        )

    def _census(self, partition: int, state: State, *, sign: int) -> list[Observation]:
        tally = Tally()
        lengths = Counter(packed_epochs(packed) for _, packed in state.scan(partition, HEADERS))
        for n_epochs, n in lengths.items():
            ready = "ready" if n_epochs >= WINDOW_EPOCHS else "waiting"
            tally.count("objects", sign * n, state=ready)
            tally.count("object_progress_ratio", sign * n, le=progress_bucket(n_epochs))
        return list(tally.result().observations)


PROGRESS_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.995, 1.5, 2.5, 5.0, math.inf)
"""Upper limits of n/200 in the histogram of light curves; 0.995 is 199 epochs, the most that still wait."""


@lru_cache(maxsize=4096)
def progress_bucket(n_epochs: int) -> str:
    """Return the bucket of a light curve with so many epochs, as its label."""
    return repr(PROGRESS_BUCKETS[bisect_left(PROGRESS_BUCKETS, n_epochs / WINDOW_EPOCHS)])


def _count_objects(update: Update, tally: Tally) -> None:
    """Move the gauges of waiting and ready objects; an object counts once a band."""
    was, now = update.was, update.header.n_epochs
    if was == now and not update.is_new:
        return
    before, after = progress_bucket(was), progress_bucket(now)
    if update.is_new or before != after:
        tally.count("object_progress_ratio", 1, le=after)
        if not update.is_new:
            tally.count("object_progress_ratio", -1, le=before)
    if update.is_new:
        tally.count("objects", 1, state="waiting")
    became_ready = int(now >= WINDOW_EPOCHS) - int(was >= WINDOW_EPOCHS)  # -1 after a withdrawal
    if became_ready:
        tally.count("objects", -became_ready, state="waiting")
        tally.count("objects", became_ready, state="ready")
