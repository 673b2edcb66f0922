"""Which windows an epoch of training sees, and how they are varied."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from broker_plugin.features import InputConventions, build_network_input
from broker_plugin.records.epoch import Float32Array, FloatArray
from training.windows import WindowTable

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


def training_arrays(
    table: WindowTable,
    index: npt.NDArray[np.intp],
    period_days: FloatArray,
    conventions: InputConventions,
    *,
    weight_mode: WeightMode,
    rng: np.random.Generator | None = None,
    phase_jitter: float = 0.0,
    noise: float = 0.0,
) -> dict[str, Float32Array]:
    """Build what :class:`training.joint.JointModel` is fed with.

    Parameters
    ----------
    table, index, period_days
        The windows, which of them, and the period of every window of the table.
    conventions : InputConventions
    weight_mode : {"constant", "relative", "inverse_error"}
        Eq. 1 weighs by ``std / magerr`` (``"inverse_error"``). Where ``magerr`` knows the frame and not the
        star, that lets large amplitudes dominate; ``"relative"`` divides by the window's mean weight, so that
        frames count relative to each other and windows equally.
    rng : Generator, optional
        Given: phases are shifted and noise is added.
    phase_jitter : float
        Standard deviation of the shift of each window's phases, periods; 1 or more is a random start phase.
    noise : float
        Largest standard deviation of the added noise, in units of the window's own; drawn uniformly from
        [0, noise] for each window.
    """
    mag = table.mag[index].astype(np.float64)
    offset: FloatArray | float = 0.0
    if rng is not None:
        offset = rng.normal(0.0, phase_jitter, size=len(index))
        if noise > 0:
            scale = rng.uniform(0.0, noise, size=len(index)) * mag.std(axis=1)
            mag = mag + rng.normal(size=mag.shape) * scale[:, None]
    built = build_network_input(
        table.time_mjd[index],
        mag,
        table.magerr[index],
        period_days[index],
        conventions,
        phase_offset=offset,
    )
    weight = np.ones_like(built.error)
    if weight_mode != "constant":
        weight = 1.0 / built.error
    if weight_mode == "relative":
        weight = weight / weight.mean(axis=1, keepdims=True)
    return {
        "sequence": built.sequence,
        "auxiliary": built.auxiliary,
        "weight": weight.astype(np.float32),
    }
