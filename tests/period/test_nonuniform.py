"""The sums behind the periodogram against sums written out, and searches that share plans and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from broker_plugin.period import PeriodSettings, find_period, find_periods
from broker_plugin.period.compare import _near
from broker_plugin.period.harmonics import SeriesSums, unit_circle
from broker_plugin.period.light_curve import LightCurve
from broker_plugin.period.nonuniform import trigonometric_sums
from tests.period.curves import SETTINGS, night_times, observe, rr_lyrae


@pytest.mark.parametrize("n_epochs", [30, 200, 700])
@pytest.mark.parametrize(("first", "size"), [(1, 7), (4, 997), (20_000, 64), (2, 70_000)])
def test_sums_equal_those_written_out(n_epochs, first, size) -> None:
    """Grids that begin anywhere, of one block or many: every sum of both sets to the error that is told."""
    rng = np.random.default_rng(3)
    time, strengths = np.sort(rng.uniform(0, 900, n_epochs)), rng.normal(size=(2, n_epochs))
    step = 1 / 4500

    sums = trigonometric_sums(time, strengths, first, step, size)

    assert sums.shape == (2, size)
    some = rng.choice(size, min(size, 900), replace=False)
    turns = np.exp(2j * np.pi * step * (first + some)[:, None] * time)
    error = np.abs(sums[:, some] - strengths @ turns.T) / np.abs(strengths).sum(axis=1)[:, None]
    assert error.max() < 1e-4
    assert np.sqrt((error**2).mean()) < 1.5e-5


def test_lowest_frequencies_are_the_most_exact() -> None:
    """Where slow variation and the window's own sums are large, errors are a hundredth of the bound."""
    rng = np.random.default_rng(5)
    time, strengths = np.sort(rng.uniform(0, 900, 200)), rng.uniform(size=(1, 200))
    step = 1 / 4500

    sums = trigonometric_sums(time, strengths, 3, step, 100_000)[:, :50]

    turns = np.exp(2j * np.pi * step * (3 + np.arange(50))[:, None] * time)
    assert np.abs(sums - strengths @ turns.T).max() < 2e-6 * strengths.sum()


def test_sums_at_trial_frequencies_about_others_and_at_the_limits() -> None:
    """Sums of products of cosines are those of cosines of sums; beyond the limits stands the limit."""
    rng = np.random.default_rng(4)
    time = night_times(rng) - 58000
    weights, values = rng.uniform(size=len(time)), rng.normal(size=len(time))
    curve = LightCurve(time, values, weights, weights / weights.sum(), float(np.ptp(time)), 1.0)
    frequencies, offsets = np.array([0.0101, 3.3, 33.3]), np.array([-0.01, 0.0, 0.01])

    trial, sums = _near(curve, frequencies, offsets, (0.01, 33.305), 3)

    np.testing.assert_allclose(trial, [[0.01, 0.0101, 0.0201], [3.29, 3.3, 3.31], [33.29, 33.3, 33.305]])
    turns = unit_circle(time, trial.ravel())[:, None] ** np.arange(7)[:, None]
    weight_sums, value_sums = turns @ curve.weights, turns[:, :4] @ (curve.weights * values)
    np.testing.assert_allclose(sums.weight.reshape(9, 7), weight_sums, atol=1e-9)
    np.testing.assert_allclose(sums.value.reshape(9, 4)[:, 1:], value_sums[:, 1:], atol=1e-9)
    alone = SeriesSums.of(unit_circle(time, trial[1]), values, curve.weights, 3)
    np.testing.assert_allclose(alone.weight, sums.weight[1], atol=1e-9)


def test_threads_and_company_change_nothing() -> None:
    """Light curves of many lengths, in a row and by two threads: each report as from a search alone."""
    rng = np.random.default_rng(9)
    curves = []
    for n in (40, 200, 60, 120, 80, 30, 200, 100, 50):
        time = night_times(rng, n=n, years=n / 50)
        curves.append((time, *observe(rng, rr_lyrae, 0.3 + n / 1000, time)))

    in_a_row = find_periods(curves, PeriodSettings())
    with ThreadPoolExecutor(2) as pool:
        by_threads = list(pool.map(lambda curve: find_period(*curve, SETTINGS), reversed(curves)))

    assert in_a_row == by_threads[::-1]
    assert in_a_row[3] == find_period(*curves[3], SETTINGS)
