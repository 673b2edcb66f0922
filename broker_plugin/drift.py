"""Whether what the network sees now is distributed as what it was trained on.

The measure is the population stability index (Lewis 1994, An Introduction to Credit Scoring; also known as
Jeffreys' divergence of two histograms)::

    PSI = sum over bins of (p - q) ln(p / q)

with p the share of the newest windows and q that of the training windows in each bin; the bins are the
training's deciles. Below 0.1 is usually called stable, above 0.2 shifted. n windows from the training
distribution itself give about (bins - 1) / n, so small samples say nothing.

Training writes the reference into the bundle, the stream compares with it: both call this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FORMAT = 1
_BINS = 10
_LEAST_SHARE = 1e-4  # keeps ln finite where a bin is empty; a bin that small is worth 0.001 of the index


@dataclass(frozen=True, slots=True)
class Distribution:
    """How one feature is distributed over the training windows.

    Attributes
    ----------
    edges : ndarray, shape (b - 1,), float64
        Strictly increasing borders between bins; a value equal to a border lies above it.
    shares : ndarray, shape (b + 1,), float64
        Share of the training windows in each of the b bins, then the share whose value is missing; sums to 1.
    """

    edges: FloatArray
    shares: FloatArray

    def __post_init__(self) -> None:
        if self.edges.ndim != 1 or not np.isfinite(self.edges).all() or (np.diff(self.edges) <= 0).any():
            msg = "edges must be one finite, strictly increasing column"
            raise ValueError(msg)
        if self.shares.shape != (len(self.edges) + 2,):
            msg = f"{len(self.shares)} shares, expected {len(self.edges) + 2}: one a bin and the missing ones"
            raise ValueError(msg)
        if not (self.shares >= 0).all() or abs(float(self.shares.sum()) - 1.0) > 1e-6:
            msg = f"shares must not be negative and must sum to 1, found a sum of {self.shares.sum():.6g}"
            raise ValueError(msg)

    @property
    def n_bins(self) -> int:
        """Return the number of bins, that of missing values included."""
        return len(self.shares)

    def bin_of(self, value: float) -> int:
        """Return the bin of a value; NaN and infinity lie in the last one."""
        if not math.isfinite(value):
            return len(self.edges) + 1
        return int(np.searchsorted(self.edges, value, side="right"))

    def counts(self, values: FloatArray) -> IntArray:
        """Return how many values lie in each bin, shape (b + 1,)."""
        finite = np.isfinite(values)
        bins = np.where(finite, np.searchsorted(self.edges, values, side="right"), len(self.edges) + 1)
        counted: IntArray = np.bincount(bins, minlength=self.n_bins).astype(np.int64)
        return counted


Reference = Mapping[str, Distribution]
"""The training's distributions by the feature's name."""


def describe(values: Mapping[str, FloatArray]) -> dict[str, Distribution]:
    """Return the reference of some features.

    Parameters
    ----------
    values : mapping of str to ndarray, shape (n,), float64
        Of the training windows, in the units in which the stream will report them; NaN is missing. Ties merge
        bins, so a flag of 0 and 1 has two.

    Raises
    ------
    ValueError
        A feature without values.
    """
    reference = {}
    for name, column in values.items():
        column = np.asarray(column, dtype=np.float64)  # noqa: PLW2901
        if not len(column):
            msg = f"feature {name} has no values"
            raise ValueError(msg)
        finite = column[np.isfinite(column)]
        levels = np.linspace(0.0, 1.0, _BINS + 1)[1:-1]
        edges = np.unique(np.quantile(finite, levels, method="inverted_cdf")) if len(finite) else np.array([])
        edges = edges[edges > finite.min()] if len(finite) else edges  # else the first bin were empty
        reference[name] = _counted(edges, column)
    return reference


def from_quantiles(quantiles: FloatArray) -> Distribution:
    """Return the distribution with equally spaced quantiles from 0 to 1, shape (q,)."""
    levels = np.linspace(0.0, 1.0, len(quantiles))
    edges = np.unique(np.interp(np.linspace(0.0, 1.0, _BINS + 1)[1:-1], levels, quantiles))
    below = np.array([0.0, *np.interp(edges, quantiles, levels), 1.0])
    return Distribution(edges, np.array([*np.diff(below), 0.0]))


def stability_index(reference: Distribution, counts: IntArray) -> float:
    """Return the population stability index of a sample.

    Parameters
    ----------
    reference : Distribution
    counts : ndarray, shape (reference.n_bins,), int64
        Of the sample, not all zero.
    """
    q = np.maximum(reference.shares, _LEAST_SHARE)
    p = np.maximum(counts / counts.sum(), _LEAST_SHARE)
    return float(np.sum((p - q) * np.log(p / q)))


def to_json(reference: Reference) -> str:
    """Return the reference as a JSON document."""
    features = {
        name: {"edges": distribution.edges.tolist(), "shares": distribution.shares.tolist()}
        for name, distribution in reference.items()
    }
    return json.dumps({"format": _FORMAT, "features": features}, indent=1)


def from_json(text: str) -> dict[str, Distribution]:
    """Read what :func:`to_json` wrote.

    Raises
    ------
    ValueError
        Names the feature and what is wrong with it.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        msg = f"no reference of format {_FORMAT}"
        raise ValueError(msg)
    reference = {}
    for name, columns in document["features"].items():
        try:
            edges, shares = (np.asarray(columns[key], dtype=np.float64) for key in ("edges", "shares"))
            reference[name] = Distribution(edges, shares)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"feature {name}: {error}"
            raise ValueError(msg) from error
    return reference


def _counted(edges: FloatArray, column: FloatArray) -> Distribution:
    empty = Distribution(edges, np.array([1.0, *np.zeros(len(edges) + 1)]))
    return Distribution(edges, empty.counts(column) / len(column))
