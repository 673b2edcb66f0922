"""Accumulate: photometry of objects in, windows of 200 epochs out; the only stage with state."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from broker_plugin.lightcurve import epochs as ep
from broker_plugin.lightcurve.header import BandHeader
from broker_plugin.lightcurve.history import HEADERS, BandHistory
from broker_plugin.lightcurve.windows import WindowSettings, due_windows
from broker_plugin.records.codec import decode_photometry, encode_window
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.records.epoch import EpochArray, Origin
from broker_plugin.records.photometry import ObjectPhotometry, object_key
from broker_plugin.records.window import WINDOW_EPOCHS, Window
from broker_plugin.runner.protocols import Message, Observation, Output, State, StepResult
from broker_plugin.stages.dead_letters import dead_letter, dead_letter_output
from broker_plugin.stages.tally import Tally
from broker_plugin.stages.timing import Headers, passed_on


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
        self._dead_letter_output = dead_letter_output(prefix)

    def step(self, batch: Sequence[Message], state: State) -> StepResult:
        """Merge a batch of photometry records; see :class:`broker_plugin.runner.protocols.Stage`."""
        tally = Tally()
        tally.count("photometry_consumed_total", len(batch))
        for message in batch:
            try:
                photometry = decode_photometry(message.value or b"")
            except ValueError as error:
                self._put_aside(dead_letter(self.name, "undecodable_photometry", str(error), message), tally)
                continue
            store = _PartitionStore(state, message.partition)
            for band, epochs in photometry.bands.items():
                self._add(photometry, band, epochs, store, tally, headers=passed_on(message))
        return tally.result()

    def partition_opened(self, partition: int, state: State) -> Iterable[Observation]:
        """Count the restored objects that wait and those that are ready."""
        return self._census(partition, state, sign=1)

    def partition_closed(self, partition: int, state: State) -> Iterable[Observation]:
        """Take the partition's objects out of the gauges."""
        return self._census(partition, state, sign=-1)

    def _add(
        self,
        photometry: ObjectPhotometry,
        band: str,
        epochs: EpochArray,
        store: _PartitionStore,
        tally: Tally,
        *,
        headers: Headers,
    ) -> None:
        good = ep.usable(epochs)
        tally.count("epochs_rejected_total", int((~good).sum()), reason="non_finite")
        if not good.any():
            return
        history = BandHistory(store, object_key(photometry.survey, photometry.object_id), band)
        update = history.add(
            epochs[good],
            ra=photometry.ra,
            dec=photometry.dec,
            version=int(epochs["version"][0]),
            max_epochs=self._settings.max_epochs,
        )
        for origin, n in zip(*np.unique(update.added["origin"], return_counts=True), strict=True):
            labels = {"survey": photometry.survey, "band": band, "origin": Origin(origin).name.lower()}
            tally.count("epochs_added_total", int(n), **labels)
        tally.count("epochs_duplicate_total", update.n_repeated, survey=photometry.survey)
        tally.count("epochs_expired_total", update.n_expired, survey=photometry.survey)
        _count_objects(update.was, update.header.n_epochs, tally)

        header, windows = due_windows(update.header, history.light_curve, self._settings)
        if not windows:
            return
        history.put_header(header)
        for window_epochs in windows:
            window = self._window(photometry, band, header, window_epochs)
            key = object_key(photometry.survey, photometry.object_id)
            tally.outputs.append(Output(self._windows_topic, key, encode_window(window), headers))
            tally.count(
                "windows_emitted_total", survey=photometry.survey, band=band, kind=self._settings.kind
            )

    def _window(
        self, photometry: ObjectPhotometry, band: str, header: BandHeader, epochs: EpochArray
    ) -> Window:
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
        for _, packed in state.scan(partition, HEADERS):
            n_epochs = BandHeader.unpack(packed).n_epochs
            tally.count("objects", sign, state="ready" if n_epochs >= WINDOW_EPOCHS else "waiting")
            tally.count("object_progress_ratio", sign, le=progress_bucket(n_epochs))
        return list(tally.result().observations)

    def _put_aside(self, letter: DeadLetter, tally: Tally) -> None:
        tally.outputs.append(self._dead_letter_output(letter))
        tally.count("dead_letters_total", stage=letter.stage, reason=letter.reason)


PROGRESS_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.995, 1.5, 2.5, 5.0, math.inf)
"""Upper limits of n/200 in the histogram of light curves; 0.995 is 199 epochs, the most that still wait."""


def progress_bucket(n_epochs: int) -> str:
    """Return the bucket of a light curve with so many epochs, as its label."""
    return repr(PROGRESS_BUCKETS[bisect_left(PROGRESS_BUCKETS, n_epochs / WINDOW_EPOCHS)])


def _count_objects(was: int, now: int, tally: Tally) -> None:
    """Move the gauges of waiting and ready objects; an object counts once a band."""
    before, after = progress_bucket(was), progress_bucket(now)
    if was == 0 or before != after:
        tally.count("object_progress_ratio", 1, le=after)
        if was:
            tally.count("object_progress_ratio", -1, le=before)
    if was == 0:
        tally.count("objects", 1, state="waiting")
    if was < WINDOW_EPOCHS <= now:
        tally.count("objects", -1, state="waiting")
        tally.count("objects", 1, state="ready")
