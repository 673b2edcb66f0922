"""Windows that cannot be scored are named, each with its reason."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from broker_plugin.features import (
    MIN_DISTINCT_TIMES,
    OUR_INPUT,
    build_network_input,
    screen,
    screen_windows,
)


def good_window() -> dict[str, np.ndarray]:
    """Return 200 ordinary epochs."""
    rng = np.random.default_rng(0)
    return {
        "time_mjd": 58_000.0 + np.arange(200.0),
        "mag": (12 + rng.normal(size=200)).astype(np.float32),
        "magerr": np.full(200, 0.03, dtype=np.float32),
    }


def test_an_ordinary_window_passes() -> None:
    """Nothing is wrong with two hundred nights of a variable star."""
    assert screen(**good_window()) is None


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("time_mjd", np.nan, "non_finite"),
        ("mag", np.nan, "non_finite"),
        ("mag", -np.inf, "non_finite"),
        ("magerr", np.inf, "non_finite"),
        ("mag", 99.99, "bad_magnitude"),
        ("mag", -999.0, "bad_magnitude"),
        ("mag", 1e30, "bad_magnitude"),
        ("magerr", 0.0, "bad_error"),
        ("magerr", -0.1, "bad_error"),
        ("magerr", 1e-30, "bad_error"),
    ],
)
def test_one_bad_value_is_enough(column: str, value: float, reason: str) -> None:
    """One sentinel among 200 epochs condemns the window, with the reason."""
    window = good_window()
    window[column][17] = value
    assert screen(**window) == reason


def test_constant_magnitudes() -> None:
    """A star without scatter cannot be normalised."""
    window = good_window()
    window["mag"][:] = 14.2
    assert screen(**window) == "constant"


def test_scatter_of_rounding_counts_as_constant() -> None:
    """One float32 step at one epoch is rounding."""
    window = good_window()
    window["mag"][:] = np.float32(14.2)
    window["mag"][0] = np.nextafter(np.float32(14.2), np.float32(15))
    assert screen(**window) == "constant"


@pytest.mark.parametrize(
    ("distinct", "reason"), [(1, "too_few_times"), (MIN_DISTINCT_TIMES - 1, "too_few_times")]
)
def test_equal_times(distinct: int, reason: str) -> None:
    """Two hundred epochs at a handful of times are no light curve."""
    window = good_window()
    window["time_mjd"] = 58_000.0 + np.arange(200) % distinct
    assert screen(**window) == reason


def test_many_windows_at_once_are_judged_as_each_alone() -> None:
    """Each of a batch gets its own reason, the first in the order of the reasons where it has several."""
    columns = [np.stack([column] * 7) for column in good_window().values()]
    time_mjd, mag, magerr = columns
    mag[1, 3], magerr[1, 4] = np.nan, 0.0
    mag[2, 5], magerr[2, 5] = 99.0, np.inf
    mag[3] = 12.5
    time_mjd[4] = np.roll(time_mjd[4] % MIN_DISTINCT_TIMES, 3)
    time_mjd[5] = np.roll(time_mjd[5] % (MIN_DISTINCT_TIMES - 1), 3)
    magerr[6, 0] = -1.0
    expected = [None, "non_finite", "non_finite", "constant", None, "too_few_times", "bad_error"]

    assert screen_windows(time_mjd, mag, magerr) == expected
    assert [screen(*window) for window in zip(*columns, strict=True)] == expected
    assert screen([], [], []) == "too_few_times"


@given(
    columns=npst.arrays(
        np.float32, (3, 200), elements=st.floats(width=32, allow_nan=True, allow_infinity=True)
    ),
    period=st.floats(0.03, 1000),
)
@settings(max_examples=60, deadline=None)
def test_whatever_passes_gives_finite_input(columns: np.ndarray, period: float) -> None:
    """For any photometry at all: a reason, or a finite input."""
    time, mag, magerr = columns.astype(np.float64)
    if screen(time, mag, magerr) is None:
        built = build_network_input(time, mag, magerr, period, OUR_INPUT)
        assert np.isfinite(built.sequence).all()
        assert np.isfinite(built.auxiliary).all()
        assert np.isfinite(built.phase).all()


@given(mag=npst.arrays(np.float32, 200, elements=st.floats(-50, 50, width=32)), period=st.floats(0.03, 1000))
@settings(max_examples=40, deadline=None)
def test_any_magnitudes_at_good_times(mag: np.ndarray, period: float) -> None:
    """Extreme but finite magnitudes are either named or normalised to unit scatter."""
    window = good_window() | {"mag": mag}
    if screen(**window) is None:
        built = build_network_input(*window.values(), period, OUR_INPUT, dtype=np.float64)
        assert built.sequence[0, :, 1].std() == pytest.approx(1.0)
