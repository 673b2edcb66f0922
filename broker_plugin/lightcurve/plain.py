"""The merge of :mod:`broker_plugin.lightcurve.epochs` for a few epochs, on packed bytes.

A packet brings a dozen epochs of a band, most of them held already. On so few each numpy call costs more than
all the comparing, so this is a loop; beyond some hundred epochs numpy wins (:data:`MOST`). Both lead to the
same bytes (a property test holds them to that). Withdrawn epochs are none of its business.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from broker_plugin.lightcurve import epochs as ep
from broker_plugin.records.epoch import EPOCH_DTYPE, SAME_EXPOSURE_DAYS

EPOCH_BYTES = EPOCH_DTYPE.itemsize
MOST = 256
"""Epochs of a chunk and a packet together beyond which numpy is faster."""

_EPOCH = struct.Struct("<dffqB")  # as EPOCH_DTYPE
_TIME = struct.Struct("<d")
ORIGIN_AT = EPOCH_BYTES - 1
_TIMES_KEPT = 512  # compiled formats, one for each number of epochs


class PlainEpochs(NamedTuple):  # made in a third of a frozen dataclass's time, some thousand times a second
    """Usable epochs of one band, none of them withdrawn.

    Attributes
    ----------
    slots : sequence of int
        See :func:`broker_plugin.lightcurve.epochs.time_slots`; in any order.
    packed : bytes
        EPOCH_DTYPE, in the same order.
    """

    slots: Sequence[int]
    packed: bytes

    def in_time_order(self) -> PlainEpochs:
        """Return them by ascending time slot; those of one slot stay in order."""
        ordered = sorted(self.slots)
        if ordered == self.slots:
            return self
        order = sorted(range(len(self.slots)), key=self.slots.__getitem__)
        return PlainEpochs(ordered, b"".join(_epoch(self.packed, i) for i in order))

    def part(self, start: int, stop: int) -> PlainEpochs:
        """Return some of them."""
        if stop - start == len(self.slots):
            return self
        return PlainEpochs(self.slots[start:stop], self.packed[start * EPOCH_BYTES : stop * EPOCH_BYTES])


class PlainMerge(NamedTuple):
    """What a chunk becomes.

    Attributes
    ----------
    packed : bytes
        EPOCH_DTYPE, sorted by time slot, one epoch a slot.
    new : bytes
        Those in slots that were not held before.
    n_more : int
        How many exposures more than before they are (fewer, where a new slot joins two).
    """

    packed: bytes
    new: bytes
    n_more: int


def merged_chunk(held: bytes, incoming: PlainEpochs) -> PlainMerge | None:
    """Return :func:`merge_plain`, by whichever way is faster."""
    if len(held) // EPOCH_BYTES + len(incoming.slots) <= MOST:
        return merge_plain(held, incoming)
    before = np.frombuffer(held, dtype=EPOCH_DTYPE)
    merged = ep.merge(before, np.frombuffer(incoming.packed, dtype=EPOCH_DTYPE))
    packed = merged.tobytes()
    if packed == held:
        return None
    new = merged[~np.isin(ep.time_slots(merged), ep.time_slots(before))]
    n_more = len(ep.one_per_exposure(merged)) - len(ep.one_per_exposure(before))
    return PlainMerge(packed, new.tobytes(), n_more)


def merge_plain(held: bytes, incoming: PlainEpochs) -> PlainMerge | None:
    """Return the union of a chunk and more epochs of its span, or None if that is the chunk as it is.

    Parameters
    ----------
    held : bytes
        EPOCH_DTYPE, sorted by time slot, one epoch a slot.
    incoming : PlainEpochs
        In time order, at least one.
    """
    if _is_all_after(held, incoming):
        return PlainMerge(held + incoming.packed, incoming.packed, len(incoming.slots))
    times = _times(len(held) // EPOCH_BYTES).unpack(held)
    # Epochs well before the packet's stay as they are; two slots are left for rounding and for the neighbour.
    first = bisect_left(times, (incoming.slots[0] - 2) * SAME_EXPOSURE_DAYS)
    # round() and numpy's rint both take the even one of two that are equally near.
    held_slots = [round(time / SAME_EXPOSURE_DAYS) for time in times[first:]]
    before, tail = held[: first * EPOCH_BYTES], held[first * EPOCH_BYTES :]
    position = dict(zip(held_slots, range(len(held_slots)), strict=True))
    changed, new = _changed(tail, position, incoming)
    if not changed:
        return None
    kept = tail if len(new) == len(changed) else _replaced(tail, changed, position)
    if not new:
        return PlainMerge(before + kept, b"", 0)
    new_epochs = b"".join([changed[slot] for slot in new])
    slots = [*held_slots, *new]
    if held_slots and new[0] < held_slots[-1]:
        epochs = [_epoch(kept, i) for i in range(len(held_slots))] + [changed[slot] for slot in new]
        order = sorted(range(len(slots)), key=slots.__getitem__)
        kept = b"".join([epochs[i] for i in order])
        slots.sort()
    else:
        kept += new_epochs
    # Neighbouring slots are one exposure; no new slot is a neighbour of what stands before the tail.
    alone = not any(near in position or near in changed for slot in new for near in (slot - 1, slot + 1))
    n_more = len(new) if alone else _exposures(slots) - _exposures(held_slots)
    return PlainMerge(before + kept, new_epochs, n_more)


def _is_all_after(held: bytes, incoming: PlainEpochs) -> bool:
    """Return whether every epoch is an exposure of its own that begins after the chunk, as live ones do."""
    if held:
        (last,) = _TIME.unpack_from(held, len(held) - EPOCH_BYTES)
        if incoming.slots[0] - round(last / SAME_EXPOSURE_DAYS) <= 1:
            return False
    return all(later - earlier > 1 for earlier, later in pairwise(incoming.slots))


def _changed(
    held: bytes, position: Mapping[int, int], incoming: PlainEpochs
) -> tuple[dict[int, bytes], list[int]]:
    """Return the epochs that take a slot, or take it over, by slot; and the slots that were free."""
    packed = incoming.packed
    changed: dict[int, bytes] = {}
    new: list[int] = []
    for i, slot in enumerate(incoming.slots):
        mine = i * EPOCH_BYTES
        at = position.get(slot)
        if slot in changed:
            rival = changed[slot]
        elif at is None:
            changed[slot] = packed[mine : mine + EPOCH_BYTES]
            new.append(slot)
            continue
        else:
            theirs = at * EPOCH_BYTES
            # Most of a packet repeats what its object's own alerts have brought, and those win.
            if held[theirs + ORIGIN_AT] > packed[mine + ORIGIN_AT]:
                continue
            rival = held[theirs : theirs + EPOCH_BYTES]
        challenger = packed[mine : mine + EPOCH_BYTES]
        if challenger != rival and _rank(challenger) >= _rank(rival):
            changed[slot] = challenger
    return changed, new


def _exposures(slots: Sequence[int]) -> int:
    """Return how many exposures some slots, ascending, are."""
    return sum(later - earlier > 1 for earlier, later in pairwise(slots)) + bool(slots)


def _replaced(held: bytes, changed: Mapping[int, bytes], position: Mapping[int, int]) -> bytes:
    """Return epochs with other values in some of their slots."""
    array = bytearray(held)
    for slot, epoch in changed.items():
        at = position.get(slot)
        if at is not None:
            array[at * EPOCH_BYTES : (at + 1) * EPOCH_BYTES] = epoch
    return bytes(array)


def _epoch(packed: bytes, index: int) -> bytes:
    return packed[index * EPOCH_BYTES : (index + 1) * EPOCH_BYTES]


def _rank(epoch: bytes) -> tuple[int, int, float, float, float]:
    """Return the place in the total order, as :func:`broker_plugin.lightcurve.epochs.merge` has it."""
    time_mjd, mag, magerr, version, origin = _EPOCH.unpack(epoch)
    return origin, version, mag, magerr, time_mjd


@lru_cache(maxsize=_TIMES_KEPT)
def _times(count: int) -> struct.Struct:
    return struct.Struct("<" + f"d{EPOCH_BYTES - 8}x" * count)
