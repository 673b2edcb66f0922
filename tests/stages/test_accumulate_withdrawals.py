"""Epochs that the survey takes back, as the accumulate stage sees them: in any order, and told once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.lightcurve.windows import WindowSettings
from broker_plugin.records.codec import decode_window, encode_photometry
from broker_plugin.records.epoch import EpochArray, Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.records.window import WITHDRAWAL, Window
from broker_plugin.runner.protocols import Message, StepResult
from broker_plugin.stages.accumulate import AccumulateStage
from tests.lightcurve.stores import exposures, packets, withdrawal
from tests.stages.test_accumulate import DictState, message, totals


def packet(offset: int, epochs: EpochArray) -> Message:
    time = float(epochs["time_mjd"].max())
    record = ObjectPhotometry("lsst", "17", str(offset), time, 10.0, -3.0, {"r": epochs})
    return message(offset, encode_photometry(record))


def detections(slots: range | list[int], version: int = 1) -> EpochArray:
    slots = list(slots)
    return make_epochs(
        exposures(slots),
        15 + np.sin(slots),
        np.full(len(slots), 0.01),
        origin=Origin.DETECTION,
        version=version,
    )


def windows(results: list[StepResult]) -> list[Window]:
    return [decode_window(o.value) for r in results for o in r.outputs]


def run(
    batches: list[EpochArray], wanted: WindowSettings | None = None
) -> tuple[list[StepResult], DictState, AccumulateStage]:
    stage, state = AccumulateStage("t", wanted or WindowSettings()), DictState()
    return [stage.step([packet(i, epochs)], state) for i, epochs in enumerate(batches)], state, stage


@settings(max_examples=40, deadline=None)
@given(packets(max_exposures=900), st.randoms(use_true_random=False))
def test_the_light_curve_is_the_same_bytes_in_any_order(batches, random) -> None:
    """Withdrawals before and after what they withdraw, repeated, forced ones undone by newer packets."""
    shuffled = [*batches, *batches[:2]]
    random.shuffle(shuffled)

    assert run(shuffled)[1].values == run(batches)[1].values


def test_too_few_are_left() -> None:
    """200 epochs make a window; two go: what is left is told once, and the next 200 make a window again."""
    batches = [
        detections(range(200)),
        withdrawal([7, 8], 2),
        withdrawal([7, 8], 3),
        detections([200, 201], 4),
    ]
    results, state, stage = run(batches)

    first, left, again = windows(results)
    assert (first.kind, len(first.epochs), first.withdrawn_mjd) == ("latest", 200, ())
    assert (left.kind, len(left.epochs), left.n_epochs_total) == (WITHDRAWAL, 198, 198)
    np.testing.assert_allclose(left.withdrawn_mjd, exposures([7, 8]), rtol=0, atol=1e-5)
    assert (again.kind, len(again.epochs), again.withdrawn_mjd) == ("latest", 200, ())
    assert not np.isclose(again.epochs["time_mjd"][:, None], exposures([7, 8]), atol=1e-5, rtol=0).any()

    counted = totals(results)
    assert counted["objects", (("state", "ready"),)] == 1
    assert counted["objects", (("state", "waiting"),)] == 0
    assert counted["windows_emitted_total", (("band", "r"), ("kind", WITHDRAWAL), ("survey", "lsst"))] == 1
    census = totals([StepResult(observations=list(stage.partition_opened(0, state)))])
    gauges = ("objects", "object_progress_ratio")
    assert {k: n for k, n in counted.items() if k[0] in gauges and n} == census


def test_enough_are_left() -> None:
    """Of 230 epochs one under the window goes: the newest 200 that are left fall due at once."""
    results, _, _ = run([detections(range(230)), withdrawal([100], 2), detections([230], 3)])

    first, second = windows(results)
    assert (second.kind, len(second.epochs), len(second.withdrawn_mjd)) == ("latest", 200, 1)
    assert first.window_id != second.window_id


@pytest.mark.parametrize("kind", ["latest", "paper"])
def test_a_withdrawal_before_its_epoch_is_never_seen(kind) -> None:
    """The 199 others make no window, and there is nothing to take back."""
    early, _, _ = run([withdrawal([7]), detections(range(200), 2)], WindowSettings(kind=kind))

    assert windows(early) == []


def test_an_object_of_which_all_is_withdrawn_is_counted_once() -> None:
    """Packets that bring nothing but withdrawals: one light curve that waits, without an epoch."""
    results, _, _ = run([withdrawal([7]), withdrawal([7], 2), withdrawal([8], 3)])

    counted = totals(results)
    assert counted["objects", (("state", "waiting"),)] == 1
    assert counted["object_progress_ratio", (("le", "0.05"),)] == 1
    assert counted["epochs_added_total", (("band", "r"), ("origin", "withdrawn"), ("survey", "lsst"))] == 2
