"""State of an object: the same bytes whatever the order, and bounded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.lightcurve.epochs import (
    live,
    merge,
    no_epochs,
    one_per_exposure,
    without_rank_of_withdrawals,
)
from broker_plugin.lightcurve.header import BandHeader, packed_epochs
from broker_plugin.lightcurve.history import BandHistory
from broker_plugin.records.epoch import EpochArray, make_epochs
from tests.lightcurve.stores import DictStore, exposures, packets, withdrawal


def stored(batches: list[EpochArray], max_epochs: int = 1000) -> tuple[DictStore, BandHistory]:
    store = DictStore()
    history = BandHistory(store, b"ztf/ZTF18abcdefg", "r")
    for batch in batches:
        version = int(batch["version"][0])
        history.add(batch, ra=10.0 + version, dec=-3.0, version=version, max_epochs=max_epochs)
    return store, history


def plain_merge(batches: list[EpochArray]) -> EpochArray:
    """Return all exposures, withdrawn ones too, merged without chunks."""
    plain = no_epochs()
    for batch in batches:
        plain = merge(plain, without_rank_of_withdrawals(batch))
    return one_per_exposure(plain)


@given(packets(max_exposures=900), st.randoms(use_true_random=False), st.data())
def test_state_is_the_same_bytes_in_any_order(batches, random, data) -> None:
    """The exposures lie in several chunks; packets are shuffled and repeated."""
    shuffled = batches + data.draw(st.lists(st.sampled_from(batches), max_size=5))
    random.shuffle(shuffled)

    assert stored(shuffled)[0] == stored(batches)[0]


@given(packets(max_exposures=900))
def test_light_curve_is_the_plain_merge(batches) -> None:
    """Chunked storage loses nothing and counts right."""
    exposures_of_all = plain_merge(batches)
    _, history = stored(batches)

    assert history.light_curve().tobytes() == live(exposures_of_all).tobytes()
    assert history.header().n_epochs == len(live(exposures_of_all))
    assert history.header().n_held == len(exposures_of_all)


@given(packets(max_exposures=900))
def test_updates_tell_what_each_withdrawal_took(batches) -> None:
    """What the updates took and did not get back is what is missing at the end."""
    store = DictStore()
    history = BandHistory(store, b"ztf/ZTF18abcdefg", "r")
    for batch in batches:
        before = history.light_curve()
        update = history.add(batch, ra=1, dec=2, version=int(batch["version"][0]), max_epochs=1000)
        after = history.light_curve()
        gone = [
            t for t in before["time_mjd"] if not np.isclose(after["time_mjd"], t, rtol=0, atol=2e-5).any()
        ]
        assert update.withdrawn["time_mjd"].tolist() == gone
        assert update.was == len(before)


def test_packets_that_repeat_a_withdrawal_write_nothing() -> None:
    """A year of packets names the withdrawn source again: the state stays as it is, and nothing is told."""
    store, history = stored([make_epochs(exposures([5, 6]), [15, 15], [0.1, 0.1], version=1)])
    first = history.add(withdrawal([5], 7), ra=1, dec=2, version=1, max_epochs=1000)
    held = dict(store)

    again = history.add(withdrawal([5], 9), ra=1, dec=2, version=1, max_epochs=1000)

    assert (len(first.withdrawn), len(again.withdrawn)) == (1, 0)
    assert dict(store) == held
    assert BandHeader.unpack(next(v for k, v in store.items() if k.startswith(b"h/"))).withdrawn_counts


@given(packets(max_exposures=900), st.randoms(use_true_random=False))
def test_bounded_state_holds_the_newest_epochs_in_any_order(batches, random) -> None:
    """With a bound of 10 the ten newest exposures of all stay, also when old ones come late."""
    shuffled = list(batches)
    random.shuffle(shuffled)
    _, history = stored(shuffled, max_epochs=10)

    newest = plain_merge(batches)[-10:]
    times = live(newest)["time_mjd"]
    np.testing.assert_allclose(history.light_curve()["time_mjd"], times, rtol=0, atol=1e-5)
    assert history.header().n_held == len(newest)


def test_update_tells_added_from_repeated_and_expired() -> None:
    """Two of three epochs are known; with a full state an older one is not taken."""
    store = DictStore()
    history = BandHistory(store, b"lsst/1", "g")
    first = make_epochs(exposures([5, 6]), [15, 15], [0.1, 0.1])
    history.add(first, ra=1, dec=2, version=1, max_epochs=3)

    update = history.add(
        make_epochs(exposures([5, 6, 7]), [15] * 3, [0.1] * 3), ra=1, dec=2, version=2, max_epochs=3
    )
    assert (update.was, len(update.origins), update.n_repeated, update.n_expired) == (2, 1, 2, 0)

    history.add(make_epochs(exposures([8]), [15], [0.1]), ra=1, dec=2, version=3, max_epochs=3)
    late = history.add(make_epochs(exposures([5]), [15], [0.1]), ra=1, dec=2, version=4, max_epochs=3)
    assert (late.was, len(late.origins), late.n_expired) == (4, 0, 1)
    assert late.header.n_epochs == 4


@given(
    st.builds(
        BandHeader,
        ra=st.floats(0, 360),
        dec=st.floats(-90, 90),
        version=st.integers(-(2**63), 2**63 - 1),
        floor_slot=st.integers(-(2**63), 2**63 - 1),
        n_expired=st.integers(0, 2**32 - 1),
        due=st.integers(0, 2**32 - 1),
        window_digest=st.integers(0, 2**64 - 1),
        chunk_end_mjd=st.floats(allow_nan=False),
        chunk_counts=st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 65535))).map(tuple),
        withdrawn_counts=st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(1, 65535))).map(
            tuple
        ),
    )
)
def test_header_round_trip(header) -> None:
    """Every header survives its bytes."""
    assert BandHeader.unpack(header.pack()) == header
    assert packed_epochs(header.pack()) == header.n_epochs
