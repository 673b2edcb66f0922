"""Mean magnitudes of an object by band, over the time of a window: what colours are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class BandMean:
    """The mean magnitude of an object in one band.

    Attributes
    ----------
    mean_mag : float
        Of the epochs in this band between the first and the last epoch of the window.
    error : float or None
        Standard deviation of that mean: the sample's over the root of ``n_epochs``, so that a variable star's
        own changes are part of it. None for a single epoch.
    n_epochs : int
    """

    mean_mag: float
    error: float | None
    n_epochs: int


def means_record(means: Mapping[str, BandMean] | None) -> dict[str, dict[str, Any]] | None:
    """Return the means as they stand in a record."""
    return None if means is None else {band: asdict(mean) for band, mean in means.items()}


def means_from_record(record: Mapping[str, Mapping[str, Any]] | None) -> dict[str, BandMean] | None:
    """Build the means from a record's, bands in the order of their names: a map of Avro keeps no order."""
    return None if record is None else {band: BandMean(**record[band]) for band in sorted(record)}
