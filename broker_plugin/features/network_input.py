"""Folded, normalised input of the network: the one code path of stream and training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.features.conventions import InputConventions
from broker_plugin.features.external import external_columns
from broker_plugin.features.folding import stable_order
from broker_plugin.features.series import HarmonicSums
from broker_plugin.features.structure import STRUCTURE_FEATURES, structure_features
from broker_plugin.records.epoch import FloatArray

IntArray = npt.NDArray[np.intp]

_ALIGNMENT_HARMONICS = 3  # tells the primary minimum of a binary from the secondary; more follow the noise
_PHASE_GRID = np.arange(128) / 128.0  # steps of 0.008 of a period, about the mean distance of 200 epochs
_ANGLES = 2.0 * np.pi * np.arange(1, _ALIGNMENT_HARMONICS + 1)[:, None] * _PHASE_GRID
_TURNS = np.concatenate([np.cos(_ANGLES), -np.sin(_ANGLES)])  # real parts, with amplitudes as [real, imag]


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
    external: Mapping[str, FloatArray] | None = None,
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
    external : mapping of str to ndarray, shape (n,), optional
        Features that are not in the epochs, see :mod:`broker_plugin.features.external`; NaN where missing.
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

    time_order = None
    if not (times[:, 1:] > times[:, :-1]).all():
        time_order = np.lexsort((errors, magnitudes, times), axis=-1)
        times, magnitudes, errors = (
            np.take_along_axis(column, time_order, axis=1) for column in (times, magnitudes, errors)
        )
    mean = magnitudes.mean(axis=1)
    std = magnitudes.std(axis=1)
    values = (magnitudes - mean[:, None]) / std[:, None]
    offset = np.broadcast_to(np.asarray(phase_offset, dtype=np.float64), (n_windows,))
    sums = None
    if conventions.phase_zero == "minimum_light":
        sums = HarmonicSums.of(times - times[:, :1], values, periods)
        offset = offset - _phase_of_minimum(sums)
    folded = _fold(times, periods, offset, conventions)
    fold_order = stable_order(folded)
    places = fold_order + np.arange(0, folded.size, folded.shape[1])[:, None]

    sequence = np.empty((*times.shape, 2), dtype=dtype)
    sequence[:, :, 0] = _lags(folded.take(places), conventions)
    sequence[:, :, 1] = values.take(places)
    error = (errors / std[:, None]).take(places).astype(dtype)

    order = fold_order
    phase = folded / periods[:, None] if conventions.fold_unit == "days" else folded
    if time_order is not None:
        order = np.take_along_axis(time_order, fold_order, axis=1)
        in_time, phase = phase, np.empty_like(folded)
        np.put_along_axis(phase, time_order, in_time, axis=1)
    raw = raw_auxiliary
    if raw is None:
        raw = compute_auxiliary(times, magnitudes, periods, conventions, sums=sums, external=external)
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
    times: FloatArray,
    magnitudes: FloatArray,
    period_days: FloatArray,
    conventions: InputConventions,
    *,
    sums: HarmonicSums | None = None,
    external: Mapping[str, FloatArray] | None = None,
) -> FloatArray:
    """Return the auxiliary features before scaling, shape (n, k), of windows in time order.

    ``sums`` as in :func:`broker_plugin.features.structure_features`, ``external`` as in
    :func:`build_network_input`.
    """
    names = conventions.auxiliary
    columns = {
        "mean": magnitudes.mean(axis=1),
        "std": magnitudes.std(axis=1),
        "log10_period": np.log10(period_days),
    }
    if any(name in STRUCTURE_FEATURES and name not in columns for name in names):
        columns |= structure_features(times, magnitudes, period_days, sums=sums)
    columns |= external_columns(names, external, len(times))
    return np.stack([columns[name] for name in names], axis=1)


def scale_auxiliary(raw: FloatArray, conventions: InputConventions) -> FloatArray:
    """Return raw features, shape (n, k), as the network takes them."""
    scaled = (raw - np.array(conventions.auxiliary_mean)) / np.array(conventions.auxiliary_scale)
    if conventions.auxiliary_clip is not None:
        scaled = np.clip(scaled, -conventions.auxiliary_clip, conventions.auxiliary_clip)
    return np.asarray(np.nan_to_num(scaled, nan=0.0), dtype=np.float64)


def _phase_of_minimum(sums: HarmonicSums) -> FloatArray:
    """Return the phase from the first epoch at which a three-harmonic curve is faintest, shape (n,).

    The curve is a least-squares fit with a small ridge, which keeps windows solvable whose phases bunch up.
    """
    amplitudes = sums.series(_ALIGNMENT_HARMONICS).amplitudes()
    parts = np.concatenate([amplitudes.real, amplitudes.imag], axis=1)
    curve = (parts[:, None, :] @ _TURNS)[:, 0]  # window by window: batch-mates cannot change a last bit
    minimum: FloatArray = _PHASE_GRID[np.argmax(curve, axis=1)]
    return minimum


def _fold(
    times: FloatArray, periods: FloatArray, offset: FloatArray, conventions: InputConventions
) -> FloatArray:
    """Return phases, or ``t mod P`` in days, of times in increasing order, shape (n, L)."""
    if conventions.phase_zero != "time_origin":
        times = times - times[:, :1]
    if conventions.fold_unit == "days":
        return np.mod(times + (offset * periods)[:, None], periods[:, None])
    cycles = times / periods[:, None] + offset[:, None]
    phase = cycles - np.floor(cycles)
    # That of a tiny negative number rounds up to exactly 1.
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
