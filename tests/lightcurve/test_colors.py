"""Mean magnitudes of an object in each band, over the time of a window."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.lightcurve.colors import band_mean, band_means
from broker_plugin.lightcurve.history import BandHistory
from broker_plugin.records.color import BandMean
from broker_plugin.records.epoch import make_epochs
from tests.lightcurve.stores import DictStore

KEY = b"ztf/ZTF18abc"


def put(store: DictStore, band: str, times, mags, key: bytes = KEY):
    epochs = make_epochs(times, mags, np.full(len(times), 0.01))
    BandHistory(store, key, band).add(epochs, ra=1.0, dec=2.0, version=1, max_epochs=1000)
    return epochs


def test_only_the_windows_time_counts() -> None:
    """The other band's epochs before and after the window, and those of another object, stay out."""
    store = DictStore()
    window = put(store, "r", np.arange(58100.0, 58300.0), np.full(200, 15.0))
    put(store, "g", [58000.0, 58099.9, 58100.0, 58200.0, 58299.0, 58299.1], [10, 10, 15.4, 15.6, 15.8, 10])
    put(store, "i", [58000.0], [14.0])  # none within the time: no entry
    put(store, "g", [58200.0], [9.0], key=KEY + b"d")

    means = band_means(store, KEY, "r", window)

    assert list(means) == ["g", "r"]
    assert means["g"].mean_mag == pytest.approx(15.6, abs=1e-6)
    assert means["g"].error == pytest.approx(0.2 / np.sqrt(3), rel=1e-5)
    assert means["g"].n_epochs == 3
    assert means["r"] == BandMean(15.0, 0.0, 200)


def test_a_single_epoch_has_no_error() -> None:
    """Nothing is known of the scatter of one."""
    assert band_mean(make_epochs([58000.0], [15.5], [0.01])) == BandMean(15.5, None, 1)


def test_the_mean_is_of_magnitudes_in_double_precision() -> None:
    """A thousand float32 magnitudes: the mean is that of the values as they are, to the last digits."""
    mags = np.random.default_rng(0).normal(19, 0.3, 1000).astype(np.float32)
    mean = band_mean(make_epochs(np.arange(1000.0), mags, np.full(1000, 0.1)))
    assert mean.mean_mag == pytest.approx(float(np.mean(mags.astype(np.longdouble))), abs=1e-12)
