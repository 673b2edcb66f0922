"""Features that are not in a window's own epochs: a catalogue's photometry and the object's mean colours.

Each may be missing, and says so: a missing value is NaN here and 0 after scaling, the mean of the training
stars, and the feature ``has_<name>`` beside it is 0 instead of 1. It is never a stand-in such as the paper's
99, which a network and a mixture take for a measurement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from broker_plugin.records.color import BandMean
from broker_plugin.records.epoch import FloatArray
from broker_plugin.records.match import PHOTOMETRIC, CatalogueMatch

COLOURS = ("colour_u_g", "colour_g_r", "colour_r_i", "colour_g_i", "colour_i_z", "colour_z_y")
"""Difference of the mean magnitudes in two bands over the time of the window [mag]."""

MIN_COLOUR_EPOCHS = 5
"""A mean of fewer epochs may lie anywhere on a variable star's curve and makes no colour."""

EXTERNAL = (*PHOTOMETRIC, *COLOURS)
MASKS = tuple(f"has_{name}" for name in EXTERNAL)

EXTERNAL_FEATURES = (*EXTERNAL, *MASKS)
"""Names that :attr:`broker_plugin.features.InputConventions.auxiliary` may hold besides the epochs' own."""


def external_features(match: CatalogueMatch | None, means: Mapping[str, BandMean] | None) -> dict[str, float]:
    """Return the values that are known, by the names of :data:`EXTERNAL`."""
    # Of two stars within the radius it is not known which one this is.
    usable = match is not None and not match.ambiguous
    known = {name: getattr(match, name) for name in PHOTOMETRIC} if usable else {}
    found = {name: value for name, value in known.items() if value is not None}
    return found | colours(means or {})


def colours(means: Mapping[str, BandMean]) -> dict[str, float]:
    """Return the colours, by the names of :data:`COLOURS`, of bands with enough epochs."""
    found = {}
    for name in COLOURS:
        blue, red = (means.get(band) for band in name.split("_")[1:])
        if blue is None or red is None or min(blue.n_epochs, red.n_epochs) < MIN_COLOUR_EPOCHS:
            continue
        found[name] = blue.mean_mag - red.mean_mag
    return found


def names_among(names: Sequence[str]) -> tuple[str, ...]:
    """Return the external features that auxiliary features need, in the order of :data:`EXTERNAL`."""
    wanted = {name.removeprefix("has_") for name in names if name in EXTERNAL_FEATURES}
    return tuple(name for name in EXTERNAL if name in wanted)


def external_columns(
    names: Sequence[str], external: Mapping[str, FloatArray] | None, n_windows: int
) -> dict[str, FloatArray]:
    """Return the columns of those names that are external, masks included.

    Parameters
    ----------
    names : sequence of str
        Of the network's auxiliary features; others than :data:`EXTERNAL_FEATURES` are passed over.
    external : mapping of str to ndarray, shape (n_windows,), optional
        Values of :data:`EXTERNAL` features, NaN where missing; a name that is not there is missing for all.
    n_windows : int
    """
    unknown = np.full(n_windows, np.nan)
    given = external or {}
    columns = {}
    for name in names:
        if name in EXTERNAL:
            columns[name] = np.asarray(given.get(name, unknown), dtype=np.float64)
        elif name in MASKS:
            values = given.get(name.removeprefix("has_"), unknown)
            columns[name] = np.isfinite(values).astype(np.float64)
    return columns


def as_columns(windows: Sequence[Mapping[str, float]], names: Sequence[str]) -> dict[str, FloatArray]:
    """Return one column for each external feature among the names, from what is known of each window."""
    return {name: np.array([window.get(name, np.nan) for window in windows]) for name in names_among(names)}
