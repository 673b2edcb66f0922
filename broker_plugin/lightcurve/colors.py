"""Mean magnitudes of an object in all its bands, over the time of a window."""

from __future__ import annotations

import math

import numpy as np

from broker_plugin.lightcurve.history import HEADERS, BandHistory, Store
from broker_plugin.records.color import BandMean
from broker_plugin.records.epoch import EpochArray


def band_means(store: Store, object_key: bytes, band: str, window: EpochArray) -> dict[str, BandMean]:
    """Return the mean magnitude in every band that has an epoch in the window's time.

    Parameters
    ----------
    store : Store
    object_key : bytes
        As :func:`broker_plugin.records.photometry.object_key`.
    band : str
        Of the window; the other bands' light curves are read.
    window : ndarray of EPOCH_DTYPE
        Not empty, in time order.

    Returns
    -------
    dict of str to BandMean
        In the order of the bands' names.
    """
    first, last = float(window["time_mjd"][0]), float(window["time_mjd"][-1])
    prefix = HEADERS + object_key + b"/"
    bands = sorted({band, *(key[len(prefix) :].decode() for key, _ in store.scan(prefix))})
    means = {}
    for name in bands:
        epochs = window if name == band else BandHistory(store, object_key, name).light_curve()
        inside = epochs[(epochs["time_mjd"] >= first) & (epochs["time_mjd"] <= last)]
        if len(inside):
            means[name] = band_mean(inside)
    return means


def band_mean(epochs: EpochArray) -> BandMean:
    """Return the mean magnitude, not weighted: weights would prefer the bright phases of a variable star."""
    mag = epochs["mag"].astype(np.float64)
    n = len(mag)
    return BandMean(float(mag.mean()), float(mag.std(ddof=1)) / math.sqrt(n) if n > 1 else None, n)
