"""The merge on packed bytes and the merge in numpy are one merge."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.lightcurve.history import BandHistory, Update
from broker_plugin.lightcurve.incoming import IncomingEpochs
from broker_plugin.lightcurve.plain import MOST
from broker_plugin.records.epoch import WITHDRAWN_MAG, EpochArray, Origin, make_epochs
from broker_plugin.records.photometry_batch import BandRows, PacketHead
from tests.lightcurve.stores import DictStore, exposures, packets


def merged_both_ways(batches: list[EpochArray], max_epochs: int) -> tuple[DictStore, DictStore]:
    """Merge packets one by one with ``add`` and as they come in; what each tells is compared on the way."""
    stores = DictStore(), DictStore()
    slow, fast = (BandHistory(store, b"ztf/ZTF18abcdefg", "r") for store in stores)
    for batch in batches:
        version = int(batch["version"][0])
        rows = BandRows("r", 0, len(batch))
        packet = PacketHead("ztf", "ZTF18abcdefg", "1", 58000.0, 10.0 + version, -3.0, version, (rows,))
        update = IncomingEpochs(batch).merge_into(fast, packet, rows, max_epochs)
        assert update is not None
        plain = slow.add(batch, ra=packet.ra, dec=packet.dec, version=version, max_epochs=max_epochs)
        assert told(update) == told(plain)
    return stores


def told(update: Update) -> tuple[object, ...]:
    fields = (getattr(update, name) for name in Update._fields)
    return tuple(sorted(field.tolist()) if isinstance(field, np.ndarray) else field for field in fields)


@given(packets(max_exposures=900), st.randoms(use_true_random=False), st.sampled_from([7, 1000]))
def test_state_and_update_are_those_of_the_slow_merge(batches, random, max_epochs) -> None:
    """Packets in any order, with repeated exposures, neighbouring slots and epochs too old for the bound."""
    shuffled = batches + batches[:2]
    random.shuffle(shuffled)

    slow, fast = merged_both_ways(shuffled, max_epochs)

    assert fast == slow


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=6), min_size=1, max_size=6), st.data())
def test_exposures_are_counted_right_where_slots_touch(slots, data) -> None:
    """Times a few slots of 1e-5 d apart: a new epoch may join two exposures into one."""
    batches = [
        make_epochs(
            58000.0 + 1e-5 * np.array(some),
            data.draw(st.lists(st.sampled_from([15.0, 16.0]), min_size=len(some), max_size=len(some))),
            np.full(len(some), 0.1),
            origin=data.draw(st.lists(st.integers(0, 2), min_size=len(some), max_size=len(some))),
            version=version,
        )
        for version, some in enumerate(slots)
    ]

    slow, fast = merged_both_ways(batches, 1000)

    assert fast == slow


def test_large_chunks_are_merged_alike() -> None:
    """A deep field: 400 epochs in one chunk, where numpy takes over; a packet revises half of them."""
    times = exposures(list(range(400)), spacing_days=0.02)
    first = make_epochs(times, np.full(400, 15.0), np.full(400, 0.1), origin=Origin.FORCED, version=1)
    second = make_epochs(times[::2], np.full(200, 16.0), np.full(200, 0.1), origin=Origin.FORCED, version=2)

    slow, fast = merged_both_ways([first, second, first, second], 1000)

    assert fast == slow
    assert max(len(value) for value in fast.values()) > MOST * first.itemsize


def test_a_light_curve_with_withdrawals_takes_the_slow_way() -> None:
    """A forced epoch was withdrawn; a newer packet, without any withdrawal, brings a value again."""
    times = exposures([1, 2, 3])
    batches = [
        make_epochs(times, [15.0, mag, 15.0], [0.1, mag, 0.1], origin=0, version=version)
        for version, mag in enumerate((15.0, WITHDRAWN_MAG, 16.0))
    ]

    slow, fast = merged_both_ways(batches, 1000)

    assert fast == slow
    assert BandHistory(fast, b"ztf/ZTF18abcdefg", "r").header().n_epochs == 3
