"""The sums behind the periodogram against sums written out, and searches that share plans and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.period import PeriodSettings, find_period, find_periods
from broker_plugin.period.compare import _near
from broker_plugin.period.harmonics import unit_circle
from broker_plugin.period.light_curve import LightCurve
from broker_plugin.period.nonuniform import padded_size, trigonometric_sums
from tests.period.curves import SETTINGS, night_times, observe, rr_lyrae


@pytest.mark.parametrize(("first", "size"), [(1, 7), (4, 997), (20_000, 64)])
def test_sums_equal_those_written_out(first, size) -> None:
    """Grids that begin anywhere, of sizes that are padded: every sum to the error that is asked for."""
    rng = np.random.default_rng(3)
    time, strengths = np.sort(rng.uniform(0, 900, 200)), rng.normal(size=200)
    step = 1 / 4500

    sums = trigonometric_sums(time, strengths, first, step, size)

    frequencies = step * np.arange(first, first + size)
    plain = (strengths * np.exp(2j * np.pi * frequencies[:, None] * time)).sum(axis=1)
    np.testing.assert_allclose(sums, plain, rtol=0, atol=2e-6 * np.abs(strengths).sum())


@given(st.integers(1, 5_000_000))
def test_padding_is_even_and_small(size) -> None:
    """A plan's size is even (the orders are counted from minus its half) and wastes at most a tenth."""
    padded = padded_size(size)

    assert padded % 2 == 0
    assert size <= padded <= max(128, 1.11 * size)


def test_trial_frequencies_about_others_and_at_the_limits() -> None:
    """Products of cosines equal cosines of sums; a trial beyond the search's limits stands at the limit."""
    time = night_times(np.random.default_rng(4)) - 58000
    curve = LightCurve(time, time, time, time, float(np.ptp(time)), 1.0)
    frequencies, offsets = np.array([0.0101, 3.3, 33.3]), np.array([-0.01, 0.0, 0.01])

    trial, circle = _near(curve, frequencies, offsets, (0.01, 33.305))

    np.testing.assert_allclose(trial, [[0.01, 0.0101, 0.0201], [3.29, 3.3, 3.31], [33.29, 33.3, 33.305]])
    np.testing.assert_allclose(circle, unit_circle(time, trial.ravel()).reshape(circle.shape), atol=1e-9)


def test_threads_and_company_change_nothing() -> None:
    """Light curves of many lengths, searched together by two threads: each report as from a search alone."""
    rng = np.random.default_rng(9)
    curves = []
    for n in (40, 200, 60, 120, 80, 30, 200, 100, 50):
        time = night_times(rng, n=n, years=n / 50)
        curves.append((time, *observe(rng, rr_lyrae, 0.3 + n / 1000, time)))

    with ThreadPoolExecutor(2) as pool:
        together = find_periods(curves, PeriodSettings(), pool)

    assert together == [find_period(*curve, SETTINGS) for curve in curves]
