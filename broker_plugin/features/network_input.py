"""Folded, normalised input of the network: the one code path of stream and training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.features.conventions import InputConventions
from broker_plugin.features.structure import STRUCTURE_FEATURES, structure_features
from broker_plugin.records.epoch import FloatArray

IntArray = npt.NDArray[np.intp]

_ALIGNMENT_HARMONICS = 3  # tells the primary minimum of a binary from the secondary; more follow the noise
_PHASE_GRID = 128  # steps of 0.008 of a period, about the mean distance of 200 epochs
_RIDGE = 1.0  # as if one epoch in 200 said that each coefficient is zero


@dataclass(frozen=True, slots=True)
class NetworkInput:
    """Input of the network for ``n`` windows of ``L`` epochs, and what maps its output back.

    Attributes
    ----------
    sequence : ndarray, shape (n, L, 2)
        Lag and ``(mag - mean) / std``, in the order of the fold.
    error : ndarray, shape (n, L)
        ``magerr / std``, in the order of the fold.
    auxiliary : ndarray, shape (n, k)
        Scaled as the conventions say.
    raw_auxiliary : ndarray, shape (n, k), float64
        The same before scaling, in the units of their definitions.
    mean_mag, std_mag, period_days : ndarray, shape (n,), float64
        Mean and population standard deviation of the magnitudes, and the fold period.
    order : ndarray, shape (n, L), intp
        ``order[i, j]`` is the input position of the epoch at step ``j`` of sequence ``i``.
    phase : ndarray, shape (n, L), float64
        Phase in [0, 1) of each epoch, in *input* order.
    """

    sequence: npt.NDArray[np.floating[Any]]
    error: npt.NDArray[np.floating[Any]]
    auxiliary: npt.NDArray[np.floating[Any]]
    raw_auxiliary: FloatArray
    mean_mag: FloatArray
    std_mag: FloatArray
    period_days: FloatArray
    order: IntArray
    phase: FloatArray

    def to_input_order(self, in_sequence_order: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Put values given step by step, shape (n, L), back at the epochs that they belong to."""
        values = np.empty(in_sequence_order.shape, dtype=np.float64)
        np.put_along_axis(values, self.order, in_sequence_order, axis=1)
        return values

    def to_magnitudes(self, reconstruction: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Turn a reconstruction of the second column of ``sequence`` into magnitudes, in input order."""
        magnitudes = reconstruction * self.std_mag[:, None] + self.mean_mag[:, None]
        return self.to_input_order(magnitudes)


def build_network_input(
    time_mjd: npt.ArrayLike,
    mag: npt.ArrayLike,
    magerr: npt.ArrayLike,
    period_days: npt.ArrayLike,
    conventions: InputConventions,
    *,
    phase_offset: npt.ArrayLike = 0.0,
    raw_auxiliary: FloatArray | None = None,
    dtype: npt.DTypeLike = np.float32,
) -> NetworkInput:
    """Fold windows, take lags, normalise magnitudes and compute the auxiliary features.

    Any permutation of a window's epochs gives the same input: epochs are put in time order first (ties by
    magnitude, then error), and the sort by phase is stable. All arithmetic is float64; the result is cast at
    the end.

    Parameters
    ----------
    time_mjd, mag, magerr : array_like, shape (n, L) or (L,)
        Days, magnitudes, 1-sigma errors; windows that :func:`broker_plugin.features.screen` accepts.
    period_days : array_like, shape (n,) or scalar
        Fold period, positive.
    conventions : InputConventions
    phase_offset : array_like, shape (n,) or scalar, default 0
        Added to the phase before it is reduced to [0, 1); training draws it at random, the stream leaves it.
    raw_auxiliary : ndarray, shape (n, k), optional
        The auxiliary features before scaling, where the caller has them already.
    dtype : dtype, default float32
        Of ``sequence``, ``error`` and ``auxiliary``.

    Returns
    -------
    NetworkInput

    Raises
    ------
    ValueError
        If a period is not positive and finite.
    """
    times, magnitudes, errors = (
        np.atleast_2d(np.asarray(column, dtype=np.float64)) for column in (time_mjd, mag, magerr)
    )
    n_windows = times.shape[0]
    periods = np.broadcast_to(np.asarray(period_days, dtype=np.float64), (n_windows,)).copy()
    if not (np.isfinite(periods).all() and (periods > 0).all()):
        bad = periods[~(np.isfinite(periods) & (periods > 0))][0]
        msg = f"fold period {bad} d of a window; expected a positive, finite number"
        raise ValueError(msg)

    time_order = np.lexsort((errors, magnitudes, times), axis=-1)
    times, magnitudes, errors = (
        np.take_along_axis(column, time_order, axis=1) for column in (times, magnitudes, errors)
    )
    offset = np.broadcast_to(np.asarray(phase_offset, dtype=np.float64), (n_windows,))
    if conventions.phase_zero == "minimum_light":
        offset = offset - _phase_of_minimum(times, magnitudes, periods)
    folded = _fold(times, periods, offset, conventions)
    fold_order = np.argsort(folded, axis=1, kind="stable")
    order = np.take_along_axis(time_order, fold_order, axis=1)
    folded_sorted = np.take_along_axis(folded, fold_order, axis=1)

    mean = magnitudes.mean(axis=1)
    std = magnitudes.std(axis=1)
    sequence = np.empty((*times.shape, 2), dtype=dtype)
    sequence[:, :, 0] = _lags(folded_sorted, conventions)
    sequence[:, :, 1] = np.take_along_axis((magnitudes - mean[:, None]) / std[:, None], fold_order, axis=1)
    error = np.take_along_axis(errors / std[:, None], fold_order, axis=1).astype(dtype)

    phase = np.empty_like(folded)
    in_days = conventions.fold_unit == "days"
    np.put_along_axis(phase, time_order, folded / periods[:, None] if in_days else folded, axis=1)
    raw = raw_auxiliary
    if raw is None:
        raw = compute_auxiliary(times, magnitudes, periods, conventions)
    built = NetworkInput(
        sequence=sequence,
        error=error,
        auxiliary=scale_auxiliary(raw, conventions).astype(dtype),
        raw_auxiliary=raw,
        mean_mag=mean,
        std_mag=std,
        period_days=periods,
        order=order,
        phase=phase,
    )
    for array in (built.sequence, built.error, built.auxiliary, mean, std, periods, order, phase):
        array.setflags(write=False)
    return built


def compute_auxiliary(
    times: FloatArray, magnitudes: FloatArray, period_days: FloatArray, conventions: InputConventions
) -> FloatArray:
    """Return the auxiliary features before scaling, shape (n, k), of windows in time order."""
    names = conventions.auxiliary
    columns = {
        "mean": magnitudes.mean(axis=1),
        "std": magnitudes.std(axis=1),
        "log10_period": np.log10(period_days),
    }
    if any(name in STRUCTURE_FEATURES and name not in columns for name in names):
        columns |= structure_features(times, magnitudes, period_days)
    return np.stack([columns[name] for name in names], axis=1)


def scale_auxiliary(raw: FloatArray, conventions: InputConventions) -> FloatArray:
    """Return raw features, shape (n, k), as the network takes them."""
    scaled = (raw - np.array(conventions.auxiliary_mean)) / np.array(conventions.auxiliary_scale)
    if conventions.auxiliary_clip is not None:
        scaled = np.clip(scaled, -conventions.auxiliary_clip, conventions.auxiliary_clip)
    return np.asarray(np.nan_to_num(scaled, nan=0.0), dtype=np.float64)


def _phase_of_minimum(times: FloatArray, magnitudes: FloatArray, periods: FloatArray) -> FloatArray:
    """Return the phase from the first epoch at which a three-harmonic curve is faintest, shape (n,).

    The curve is a least-squares fit with a small ridge, which keeps windows solvable whose phases bunch up.
    """
    angle = 2.0 * np.pi * (times - times[:, :1]) / periods[:, None]
    design = _harmonics(angle)
    normal = np.einsum("nik,nil->nkl", design, design) + _RIDGE * np.eye(design.shape[2])
    centred = magnitudes - magnitudes.mean(axis=1, keepdims=True)
    coefficients = np.linalg.solve(normal, np.einsum("nik,ni->nk", design, centred)[:, :, None])[:, 1:, 0]
    grid = np.arange(_PHASE_GRID) / _PHASE_GRID
    curve = coefficients @ _harmonics(2.0 * np.pi * grid)[:, 1:].T
    minimum: FloatArray = grid[np.argmax(curve, axis=1)]
    return minimum


def _harmonics(angle: FloatArray) -> FloatArray:
    """Return 1, cos, sin, cos 2, sin 2, cos 3, sin 3 along a new last axis."""
    terms = [np.ones_like(angle)]
    for k in range(1, _ALIGNMENT_HARMONICS + 1):
        terms += [np.cos(k * angle), np.sin(k * angle)]
    return np.stack(terms, axis=-1)


def _fold(
    times: FloatArray, periods: FloatArray, offset: FloatArray, conventions: InputConventions
) -> FloatArray:
    """Return phases, or ``t mod P`` in days, of times in increasing order, shape (n, L)."""
    if conventions.phase_zero != "time_origin":
        times = times - times[:, :1]
    if conventions.fold_unit == "days":
        return np.mod(times + (offset * periods)[:, None], periods[:, None])
    phase = np.mod(times / periods[:, None] + offset[:, None], 1.0)
    # np.mod of a tiny negative number rounds up to exactly 1.
    phase[phase >= 1.0] = 0.0
    return phase


def _lags(folded_sorted: FloatArray, conventions: InputConventions) -> FloatArray:
    lags = np.zeros_like(folded_sorted)
    steps = np.diff(folded_sorted, axis=1)
    if conventions.lag == "backward":
        lags[:, 1:] = steps
    else:
        lags[:, :-1] = steps
    return lags
