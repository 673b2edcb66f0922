"""Windows fall due by the number of epochs alone."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.lightcurve.history import BandHistory
from broker_plugin.lightcurve.windows import WindowSettings, due_windows
from broker_plugin.records.epoch import EpochArray, make_epochs
from tests.lightcurve.stores import DictStore, exposures


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
