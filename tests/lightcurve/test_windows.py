"""Windows fall due by the number of epochs alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.lightcurve.history import BandHistory
from broker_plugin.lightcurve.windows import WindowSettings, after_withdrawal, due_windows
from broker_plugin.records.epoch import EpochArray, make_epochs
from tests.lightcurve.stores import DictStore, exposures, withdrawal


def emitted(slots_by_packet: list[list[int]], wanted: WindowSettings) -> list[EpochArray]:
    history = BandHistory(DictStore(), b"ztf/ZTF18abcdefg", "r")
    windows: list[EpochArray] = []
    for version, slots in enumerate(slots_by_packet):
        epochs = make_epochs(exposures(slots), np.full(len(slots), 15.0), np.full(len(slots), 0.1))
        header = history.add(epochs, ra=1, dec=2, version=version, max_epochs=wanted.max_epochs).header
        header, new = due_windows(header, history.light_curve, wanted)
        history.put_header(header)
        windows += new
    return windows


def slots_of(window: EpochArray) -> list[int]:
    return np.rint((window["time_mjd"] - 58000.0) / 0.37).astype(int).tolist()


def test_first_window_at_the_200th_epoch_then_every_twenty() -> None:
    """One epoch a packet, 241 of them: windows at 200, 220 and 240 hold the newest 200."""
    windows = emitted([[i] for i in range(241)], WindowSettings())

    assert [slots_of(window) for window in windows] == [
        list(range(200)), list(range(20, 220)), list(range(40, 240))
    ]  # fmt: skip


def test_repetition_makes_no_window() -> None:
    """Each packet comes three times and repeats its month of history."""
    packets = [list(range(max(0, i - 30), i + 1)) for i in range(221)]
    once = emitted(packets, WindowSettings())
    thrice = emitted([packet for packet in packets for _ in range(3)], WindowSettings())

    assert [w.tobytes() for w in thrice] == [w.tobytes() for w in once]
    assert len(once) == 2


def test_jump_over_levels_makes_one_window() -> None:
    """A packet with a long history takes the object from 190 to 265 epochs."""
    windows = emitted([list(range(190)), list(range(190, 265)), [265], [280]], WindowSettings())

    assert [slots_of(window)[-1] for window in windows] == [264]


@settings(max_examples=20)
@given(st.permutations(range(240)))
def test_last_window_is_a_function_of_the_epochs_alone(order) -> None:
    """The same 240 epochs in any order: the last window holds the newest 200."""
    windows = emitted([[i] for i in order], WindowSettings())

    assert 1 <= len(windows) <= 3
    assert slots_of(windows[-1]) == list(range(40, 240))


def test_paper_windows_are_disjoint_chunks_in_time_order() -> None:
    """450 epochs make two chunks; the rest of 50 waits, a late epoch joins no chunk."""
    windows = emitted(
        [*([i] for i in range(10, 460)), [3], *([i] for i in range(460, 610))], WindowSettings(kind="paper")
    )

    assert [slots_of(window) for window in windows] == [
        list(range(10, 210)), list(range(210, 410)), list(range(410, 610))
    ]  # fmt: skip


def test_bounded_state_goes_on_emitting() -> None:
    """With a bound of 250 epochs the windows are those of an unbounded state."""
    packets = [[i] for i in range(401)]

    bounded = emitted(packets, WindowSettings(max_epochs=250))
    unbounded = emitted(packets, WindowSettings(max_epochs=10_000))

    assert [w.tobytes() for w in bounded] == [w.tobytes() for w in unbounded]
    assert len(bounded) == 11


def test_older_history_that_comes_late_repeats_no_window() -> None:
    """Sixty epochs before the first one arrive: the level rises, the newest 200 epochs stay the same."""
    windows = emitted([list(range(100, 305)), list(range(40, 100)), [305]], WindowSettings())

    assert [slots_of(window)[-1] for window in windows] == [304]


def withdrawn_from(n_epochs: int, gone: list[int], wanted: WindowSettings):
    """Return what is left after one epoch a packet and then a withdrawal of some, and the header."""
    history = BandHistory(DictStore(), b"lsst/1", "r")
    for slot in range(n_epochs):
        header = history.add(
            make_epochs(exposures([slot]), [15.0], [0.1]), ra=1, dec=2, version=slot, max_epochs=1000
        ).header
        history.put_header(due_windows(header, history.light_curve, wanted)[0])
    update = history.add(withdrawal(gone), ra=1, dec=2, version=n_epochs, max_epochs=1000)
    assert len(update.withdrawn) == len(gone)
    return after_withdrawal(update.header, history.light_curve, wanted)


def test_a_withdrawal_that_leaves_enough_makes_a_window_at_once() -> None:
    """Of 225 epochs three go, one of them under the window at 220: the newest 200 that are left."""
    header, left = withdrawn_from(225, [3, 100, 224], WindowSettings())

    assert left.is_window
    assert slots_of(left.epochs) == [s for s in range(22, 224) if s != 100][-200:]
    assert header.due == 2


def test_a_withdrawal_that_leaves_too_few_is_no_window() -> None:
    """199 are left: they are told, and the 200th makes a window again."""
    header, left = withdrawn_from(200, [7], WindowSettings())

    assert not left.is_window
    assert slots_of(left.epochs) == [s for s in range(200) if s != 7]
    assert header.due == 0


@pytest.mark.parametrize("kind", ["latest", "paper"])
def test_a_light_curve_without_a_window_has_nothing_to_take_back(kind) -> None:
    """Nothing was said of it."""
    assert withdrawn_from(150, [7], WindowSettings(kind=kind))[1] is None


def test_a_disjoint_chunk_shrinks_and_the_next_one_comes_in_its_time() -> None:
    """Of the first chunk one goes; the second is full with the 400th epoch, as if nothing had happened."""
    wanted = WindowSettings(kind="paper")
    header, left = withdrawn_from(399, [7], wanted)

    assert not left.is_window
    assert slots_of(left.epochs) == [s for s in range(200) if s != 7]
    history = BandHistory(DictStore(), b"lsst/1", "r")
    for slot in range(400):
        update = history.add(
            make_epochs(exposures([slot]), [15.0], [0.1]), ra=1, dec=2, version=slot, max_epochs=1000
        )
        header, windows = due_windows(update.header, history.light_curve, wanted)
        history.put_header(header)
        if slot == 300:
            history.add(withdrawal([7]), ra=1, dec=2, version=slot, max_epochs=1000)
    assert [slots_of(window) for window in windows] == [list(range(200, 400))]
