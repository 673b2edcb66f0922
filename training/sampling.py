"""Which windows an epoch of training sees, and how they are varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from broker_plugin.features import InputConventions, build_network_input
from broker_plugin.features.external import EXTERNAL_FEATURES
from broker_plugin.records.epoch import Float32Array, FloatArray

WeightMode = Literal["constant", "relative", "inverse_error"]


def draw_epoch(
    label: npt.NDArray[np.int64], size: int, balance: float, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Draw positions of windows so that class c has a share in proportion to ``n_c ** balance``.

    Within a class every window is drawn once before any is drawn again.

    Parameters
    ----------
    label : ndarray, shape (n,), int
    size : int
        Windows to draw.
    balance : float
        1 keeps the natural shares, 0 makes all classes equal, 0.5 lies between: rare classes are seen often
        enough to be learnt, common ones still set the priors.
    rng : Generator

    Returns
    -------
    ndarray, shape (size,), int
        Shuffled.
    """
    classes, counts = np.unique(label, return_counts=True)
    shares = counts.astype(float) ** balance
    wanted = np.floor(size * shares / shares.sum()).astype(int)
    wanted[np.argmax(wanted)] += size - wanted.sum()
    drawn = []
    for class_index, number in zip(classes, wanted, strict=True):
        members = np.flatnonzero(label == class_index)
        rounds = [rng.permutation(members) for _ in range(-(-number // len(members)))]
        drawn.append(np.concatenate(rounds)[:number])
    return rng.permutation(np.concatenate(drawn))


@dataclass(frozen=True, slots=True)
class WindowPool:
    """Windows to draw from, with their auxiliary features, which are too dear to compute again each epoch.

    Attributes
    ----------
    time_mjd : ndarray, shape (n, L), float64
    mag, magerr : ndarray, shape (n, L)
    period_days : ndarray, shape (n,), float64
    label : ndarray, shape (n,), int64
        -1 for outliers.
    raw_auxiliary : ndarray, shape (n, k), float64
    """

    time_mjd: FloatArray
    mag: npt.NDArray[np.floating[Any]]
    magerr: npt.NDArray[np.floating[Any]]
    period_days: FloatArray
    label: npt.NDArray[np.int64]
    raw_auxiliary: FloatArray

    def __len__(self) -> int:
        return len(self.label)


def make_pool(
    time_mjd: FloatArray,
    mag: npt.NDArray[np.floating[Any]],
    magerr: npt.NDArray[np.floating[Any]],
    period_days: FloatArray,
    label: npt.NDArray[np.int64],
    *,
    conventions: InputConventions,
    external: Mapping[str, FloatArray] | None = None,
) -> WindowPool:
    """Return a pool; of ``conventions`` only the names of the auxiliary features matter here."""
    given = external or {}
    raw = [
        build_network_input(
            time_mjd[block],
            mag[block],
            magerr[block],
            period_days[block],
            conventions,
            external={name: column[block] for name, column in given.items()},
        ).raw_auxiliary
        for block in (slice(start, start + _BLOCK) for start in range(0, len(label), _BLOCK))
    ]
    return WindowPool(time_mjd, mag, magerr, period_days, label, np.concatenate(raw))


def disturbed(
    pool: WindowPool,
    conventions: InputConventions,
    rng: np.random.Generator,
    *,
    noise: float,
    bad_epochs: float,
) -> WindowPool:
    """Return the same windows as a worse survey would see them.

    Parameters
    ----------
    pool, conventions, rng
    noise : float
        White noise is added whose standard deviation is drawn uniformly from [0, noise] for each window, in
        units of the window's own.
    bad_epochs : float
        A fraction of the epochs, drawn uniformly from [0, bad_epochs] for each window, is thrown off by 2 to
        6 standard deviations, three times in four to the faint side.
    """
    n, length = pool.mag.shape
    mag = pool.mag.astype(np.float64)
    std = mag.std(axis=1)[:, None]
    mag += rng.normal(size=mag.shape) * rng.uniform(0.0, noise, size=(n, 1)) * std
    thrown = rng.random((n, length)) < rng.uniform(0.0, bad_epochs, size=(n, 1))
    faint = np.where(rng.random((n, length)) < 0.75, 1.0, -1.0)
    mag += thrown * faint * rng.uniform(2.0, 6.0, size=mag.shape) * std
    worse = make_pool(
        pool.time_mjd,
        mag.astype(np.float32),
        pool.magerr,
        pool.period_days,
        pool.label,
        conventions=conventions,
    )
    # What is known besides the epochs is no worse for that.
    kept = [i for i, name in enumerate(conventions.auxiliary) if name in EXTERNAL_FEATURES]
    worse.raw_auxiliary[:, kept] = pool.raw_auxiliary[:, kept]
    return worse


def joined(pools: Sequence[WindowPool]) -> WindowPool:
    """Return one pool of several."""
    return WindowPool(
        *(np.concatenate([getattr(pool, field.name) for pool in pools]) for field in fields(WindowPool))
    )


def training_arrays(
    pool: WindowPool,
    index: npt.NDArray[np.intp],
    conventions: InputConventions,
    *,
    weight_mode: WeightMode,
    phase_offset: FloatArray | float = 0.0,
) -> dict[str, Float32Array]:
    """Build what :class:`training.joint.JointModel` is fed with.

    Parameters
    ----------
    pool, index
        The windows, and which of them.
    conventions : InputConventions
    weight_mode : {"constant", "relative", "inverse_error"}
        See :func:`frame_weights`.
    phase_offset : ndarray, shape (len(index),), or float
        Shift of the phases, periods.
    """
    built = build_network_input(
        pool.time_mjd[index],
        pool.mag[index],
        pool.magerr[index],
        pool.period_days[index],
        conventions,
        phase_offset=phase_offset,
        raw_auxiliary=pool.raw_auxiliary[index],
    )
    weight = frame_weights(built.error, weight_mode)
    weight[pool.label[index] < 0] = 0.0
    return {"sequence": built.sequence, "auxiliary": built.auxiliary, "weight": weight}


def frame_weights(error: npt.NDArray[np.floating[Any]], mode: WeightMode) -> Float32Array:
    """Return the weights of Eq. 1, shape (n, L), for errors in units of each window's scatter.

    Eq. 1 weighs by ``std / magerr`` (``"inverse_error"``). Where ``magerr`` knows the frame and not the star,
    that lets large amplitudes dominate; ``"relative"`` divides by the window's mean weight, so that frames
    count relative to each other and windows equally.
    """
    weight = np.ones_like(error) if mode == "constant" else 1.0 / error
    if mode == "relative":
        weight = weight / weight.mean(axis=1, keepdims=True)
    return np.asarray(weight, dtype=np.float32)


_BLOCK = 1024
