"""What a window says of the object's other bands."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_window, encode_photometry
from broker_plugin.records.epoch import make_epochs
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.records.window import Window
from broker_plugin.runner.protocols import Message
from broker_plugin.stages.accumulate import AccumulateStage
from tests.stages.test_accumulate import DictState


def packet(number: int, bands: dict[str, float], object_id: str = "O1") -> Message:
    """Return one night's photometry: an epoch in each band, with its magnitude."""
    epochs = {
        band: make_epochs([58000.0 + number], [mag], [0.01], version=number) for band, mag in bands.items()
    }
    photometry = ObjectPhotometry("ztf", object_id, str(number), 58000.0 + number, 10.0, -3.0, epochs)
    return Message("t.photometry", 0, number, b"k", encode_photometry(photometry))


def windows(messages: list[Message]) -> list[Window]:
    stage = AccumulateStage("t", WindowSettings())
    return [decode_window(o.value) for o in stage.step(messages, DictState()).outputs]


def test_the_packet_that_makes_a_window_due_counts_in_every_band() -> None:
    """Both bands get their 200th epoch from one packet: each window knows the other's, whichever is first."""
    found = windows([packet(n, {"g": 15.5, "r": 15.0}) for n in range(200)])
    assert [window.band for window in found] == ["g", "r"]
    for window in found:
        assert window.band_means is not None
        assert {band: mean.n_epochs for band, mean in window.band_means.items()} == {"g": 200, "r": 200}
        assert window.band_means["g"].mean_mag == pytest.approx(15.5)


def test_other_bands_count_within_the_windows_time_only() -> None:
    """Band i ends before the window begins; g has an epoch in it; another object's stay out."""
    nights = [packet(n, {"i": 14.0}) for n in range(20)]
    nights += [packet(n, {"r": 15.0}) for n in range(20, 220)]
    nights += [packet(n, {"g": 10.0}, "O2") for n in range(20, 100)]
    nights[150:150] = [packet(170, {"g": 16.0})]
    (window,) = windows(nights)
    assert window.band_means is not None
    assert {band: mean.n_epochs for band, mean in window.band_means.items()} == {"g": 1, "r": 200}
    assert window.band_means["g"].error is None


def test_a_colour_is_no_part_of_a_windows_identity() -> None:
    """The same 200 epochs with and without another band: the same window."""
    alone, *_ = windows([packet(n, {"r": 15.0 + 0.1 * np.sin(n)}) for n in range(200)])
    both = windows([packet(n, {"r": 15.0 + 0.1 * np.sin(n), "g": 15.5}) for n in range(200)])
    (red,) = (window for window in both if window.band == "r")
    assert alone.window_id == red.window_id
    assert alone.band_means != red.band_means
