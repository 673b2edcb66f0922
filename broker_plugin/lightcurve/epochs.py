"""The identity rules of an epoch, as order-free operations on arrays of epochs.

An epoch's identity is its exposure: the band (a light curve has one) and the time to 1e-5 d. Of several
values of one exposure the greatest wins under one total order (origin, then the newest packet, then the
bytes), so that merging is commutative, associative and idempotent: any permutation or repetition of the
packets leads to the same light curve.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import EPOCH_DTYPE, SAME_EXPOSURE_DAYS, EpochArray, Origin, is_withdrawn

BUCKET_DAYS = 60
"""Span of one chunk of state: about as many epochs as a survey's packet repeats, so that one alert rewrites
one or two chunks. The layout is a function of the epochs alone, never of their arrival."""

SLOTS_PER_BUCKET = round(BUCKET_DAYS / SAME_EXPOSURE_DAYS)


def time_slots(epochs: EpochArray) -> npt.NDArray[np.int64]:
    """Return the time of each epoch in integer units of 1e-5 d."""
    slots: npt.NDArray[np.int64] = np.rint(epochs["time_mjd"] / SAME_EXPOSURE_DAYS).astype(np.int64)
    return slots


def buckets(epochs: EpochArray) -> npt.NDArray[np.int64]:
    """Return the number of the chunk of state that each epoch belongs to."""
    return time_slots(epochs) // SLOTS_PER_BUCKET


def merge(held: EpochArray, incoming: EpochArray) -> EpochArray:
    """Return the union of two sets of epochs, one epoch a time slot, in time order.

    Parameters
    ----------
    held, incoming : ndarray of EPOCH_DTYPE
        In any order, with any repetition.

    Returns
    -------
    ndarray of EPOCH_DTYPE
        Sorted by time slot.
    """
    together: EpochArray = np.concatenate([held, incoming])
    slots = time_slots(together)
    order = np.lexsort((*_rank(together), slots))
    slots = slots[order]
    last_of_slot = np.ones(len(slots), dtype=bool)
    last_of_slot[:-1] = slots[1:] != slots[:-1]
    winners: EpochArray = together[order[last_of_slot]]
    return winners


def one_per_exposure(epochs: EpochArray) -> EpochArray:
    """Collapse epochs in neighbouring time slots: one exposure whose times straddle a rounding border.

    Times of one exposure differ in their last digits from packet to packet, so no rounding alone can tell
    that two values belong together. Distinct exposures are at least 15 s, that is 17 slots, apart.

    Parameters
    ----------
    epochs : ndarray of EPOCH_DTYPE
        As :func:`merge` returns them.

    Returns
    -------
    ndarray of EPOCH_DTYPE
        At most as many, in strictly increasing time order.
    """
    starts_exposure = np.diff(time_slots(epochs), prepend=np.iinfo(np.int64).min // 2) > 1
    if starts_exposure.all():
        return epochs
    exposures = np.cumsum(starts_exposure)
    order = np.lexsort((*_rank(epochs), exposures))
    exposures = exposures[order]
    last = np.append(exposures[1:] != exposures[:-1], True)
    collapsed: EpochArray = epochs[order[last]]
    return collapsed


def usable(epochs: EpochArray) -> npt.NDArray[np.bool_]:
    """Return which epochs have a finite time and a finite magnitude and positive error, or are withdrawn."""
    finite = np.isfinite(epochs["mag"]) & np.isfinite(epochs["magerr"]) & (epochs["magerr"] > 0)
    good: npt.NDArray[np.bool_] = np.isfinite(epochs["time_mjd"]) & (finite | is_withdrawn(epochs))
    return good


def live(exposures: EpochArray) -> EpochArray:
    """Return the exposures that were not withdrawn.

    Parameters
    ----------
    exposures : ndarray of EPOCH_DTYPE
        As :func:`one_per_exposure` returns them: only there is it decided whether a withdrawal wins.
    """
    withdrawn = is_withdrawn(exposures)
    if not withdrawn.any():
        return exposures
    left: EpochArray = exposures[~withdrawn]
    return left


def newly_withdrawn(before: EpochArray, after: EpochArray) -> EpochArray:
    """Return the exposures of ``before`` that ``after``, more of the same light curve, has withdrawn.

    Both as :func:`merge` returns them.
    """
    was, taken_back = live(one_per_exposure(before)), one_per_exposure(after)
    slots = time_slots(taken_back[is_withdrawn(taken_back)])
    near = np.isin(time_slots(was)[:, None] + np.array([-1, 0, 1]), slots).any(axis=1)
    found: EpochArray = was[near]
    return found


def without_rank_of_withdrawals(epochs: EpochArray) -> EpochArray:
    """Return the epochs with one version for all withdrawn sources, since any of them is final.

    Each later packet repeats them: with that packet's version every one would be a change of the state.
    """
    final = epochs["origin"] == int(Origin.WITHDRAWN)
    if not final.any():
        return epochs
    same: EpochArray = epochs.copy()
    same["version"][final] = 0
    return same


_NONE: EpochArray = np.empty(0, dtype=EPOCH_DTYPE)
_NONE.setflags(write=False)


def no_epochs() -> EpochArray:
    """Return an empty array of epochs."""
    return _NONE


def _rank(epochs: EpochArray) -> tuple[Any, ...]:
    """Return the columns of the total order, least significant first, as lexsort wants them."""
    return (epochs["time_mjd"], epochs["magerr"], epochs["mag"], epochs["version"], epochs["origin"])
