"""The merge is a join: order and repetition of packets cannot matter."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.lightcurve.epochs import merge, no_epochs, one_per_exposure, usable
from broker_plugin.records.epoch import EpochArray, Origin, make_epochs
from tests.lightcurve.stores import packets


def merged(batches: list[EpochArray]) -> EpochArray:
    held = no_epochs()
    for batch in batches:
        held = merge(held, batch)
    return held


@given(packets(), st.randoms(use_true_random=False), st.data())
def test_any_permutation_and_duplication_gives_the_same_light_curve(batches, random, data) -> None:
    """Packets arrive shuffled, some of them several times."""
    shuffled = batches + data.draw(st.lists(st.sampled_from(batches), max_size=5))
    random.shuffle(shuffled)

    assert merged(shuffled).tobytes() == merged(batches).tobytes()


@given(packets())
def test_light_curve_has_each_exposure_once_in_time_order(batches) -> None:
    """However the last digits of its times wobble, an exposure is one epoch."""
    light_curve = one_per_exposure(merged(batches))

    truly = {round((time - 58000.0) / 0.37) for batch in batches for time in batch["time_mjd"]}
    assert len(light_curve) == len(truly)
    assert (np.diff(light_curve["time_mjd"]) > 0.3).all()


def test_detection_beats_forced_point_of_the_same_exposure() -> None:
    """A forced point that comes later, in a newer packet, does not replace the detection."""
    detection = make_epochs([58000.0], [15.0], [0.01], origin=Origin.DETECTION, version=1)
    forced = make_epochs([58000.0 + 3e-7], [15.2], [0.05], origin=Origin.FORCED, version=9)

    light_curve = one_per_exposure(merge(detection, forced))

    assert light_curve["mag"].tolist() == [15.0]


def test_newest_packet_revises_a_forced_value() -> None:
    """The older packet arrives last; the newer packet's value stays."""
    newer = make_epochs([58000.0], [15.3], [0.05], origin=Origin.FORCED, version=2)
    older = make_epochs([58000.0], [15.1], [0.05], origin=Origin.FORCED, version=1)

    assert merge(newer, older)["mag"].tolist() == [np.float32(15.3)]


def test_times_that_straddle_a_rounding_border_are_one_exposure() -> None:
    """Last digits put the two values into neighbouring slots."""
    border = 5_800_000_000.5e-5
    epochs = merge(
        make_epochs([border - 1e-9], [15.0], [0.01]), make_epochs([border + 1e-9], [15.0], [0.01], version=1)
    )

    assert len(epochs) == 2
    assert len(one_per_exposure(epochs)) == 1


def test_unusable_epochs_are_told() -> None:
    """NaN, infinite and zero-error values are all refused."""
    epochs = make_epochs(
        [58000, 58001, np.nan, 58003, 58004], [15, np.nan, 15, np.inf, 15], [0.1, 0.1, 0.1, 0.1, 0]
    )

    assert usable(epochs).tolist() == [True, False, False, False, False]
