"""The period search against every trap that is known to catch one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.period import PeriodSettings, find_period, find_periods
from broker_plugin.period.spectrum import frequency_grid, one_term_power
from tests.period.curves import SETTINGS, contact_binary, detached_binary, night_times, observe, rr_lyrae


@pytest.mark.parametrize("period_days", [0.4437, 0.5678, 0.6913])
def test_rr_lyrae_is_neither_doubled_nor_aliased(period_days):
    """A sawtooth seen once a night: P, not 2P, and not 1 / (1/P +- 1)."""
    rng = np.random.default_rng(5)
    time = night_times(rng)
    mag, err = observe(rng, rr_lyrae, period_days, time)

    report = find_period(time, mag, err, SETTINGS)

    assert report.value_days == pytest.approx(period_days, rel=1e-3)
    assert report.log10_false_alarm < -10


@pytest.mark.parametrize("odd", [0.04, 0.0])
def test_contact_binary_is_not_halved(odd):
    """A contact binary, minima unequal or equal: the one-term peak stands at P/2, the period is P."""
    period_days = 0.3671
    rng = np.random.default_rng(6)
    time = night_times(rng)
    mag, err = observe(rng, lambda phase: contact_binary(phase, odd), period_days, time)
    grid = frequency_grid(float(time[-1] - time[0]), SETTINGS)
    power = one_term_power(time - time[0], mag - mag.mean(), err, grid)

    report = find_period(time, mag, err, SETTINGS)

    one_term = 1.0 / (grid.step * (grid.first + int(power.argmax())))
    assert one_term == pytest.approx(period_days / 2, rel=1e-3), "the trap is not set"
    assert report.value_days == pytest.approx(period_days, rel=1e-3)
    assert any(c.period_days == pytest.approx(period_days / 2, rel=1e-3) for c in report.candidates)


def test_detached_binary_with_unequal_minima():
    """Narrow eclipses of two depths: neither halved nor doubled."""
    rng = np.random.default_rng(7)
    time = night_times(rng)
    mag, err = observe(rng, detached_binary, 2.6543, time)

    assert find_period(time, mag, err, SETTINGS).fold_days == pytest.approx(2.6543, rel=1e-3)


@pytest.mark.parametrize("period_days", [260.0, 340.0])
def test_mira_is_not_one_day(period_days):
    """Slow variation seen once a night has an alias near 1 d that fits almost as well."""
    rng = np.random.default_rng(8)
    time = night_times(rng, years=4)
    mag, err = observe(rng, lambda phase: 9 + 2 * np.cos(2 * np.pi * phase), period_days, time, 0.1)

    assert find_period(time, mag, err, SETTINGS).value_days == pytest.approx(period_days, rel=0.02)


def test_short_period_found_through_daily_aliases():
    """A sinusoid of 1.9 hours: of the comb of 1-day and sidereal aliases the middle tooth is taken."""
    rng = np.random.default_rng(9)
    time = night_times(rng)
    mag, err = observe(rng, lambda phase: 12 + 0.1 * np.cos(2 * np.pi * phase), 0.0803, time)

    assert find_period(time, mag, err, SETTINGS).value_days == pytest.approx(0.0803, rel=1e-4)


def test_float32_times_are_refused_and_would_have_failed():
    """MJD in float32 moves each epoch by up to 169 s: a period of 50 minutes is lost."""
    rng = np.random.default_rng(10)
    time = night_times(rng)
    mag, err = observe(rng, lambda phase: 12 + 0.1 * np.cos(2 * np.pi * phase), 0.0347, time)

    with pytest.raises(TypeError, match="float32"):
        find_period(time.astype(np.float32), mag, err, SETTINGS)
    exact = find_period(time, mag, err, SETTINGS)
    damaged = find_period(time.astype(np.float32).astype(np.float64), mag, err, SETTINGS)
    assert exact.value_days == pytest.approx(0.0347, rel=1e-4)
    assert damaged.log10_false_alarm > exact.log10_false_alarm + 5


@pytest.mark.parametrize("mag", [np.full(200, 15.0), np.full(200, np.nan)])
def test_nothing_to_find_in_constant_or_missing_magnitudes(mag):
    """Constant or NaN photometry: no period, and something finite to fold with."""
    time = night_times(np.random.default_rng(0))

    report = find_period(time, mag, np.full(200, 0.02), SETTINGS)

    assert report.value_days is None
    assert report.log10_false_alarm == 0.0
    assert np.isfinite(report.fold_days)
    assert report.fold_days > 0


def test_nothing_to_find_at_one_time():
    """200 epochs at one time: no baseline, no grid, no crash."""
    rng = np.random.default_rng(0)

    report = find_period(np.full(200, 58000.0), rng.normal(15, 1, 200), np.full(200, 0.1), SETTINGS)

    assert (report.value_days, report.fold_days, report.log10_false_alarm) == (None, 1.0, 0.0)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_unusable_errors_count_as_typical_ones(bad):
    """Zero, negative or NaN errors are no weights: those epochs get the typical one."""
    rng = np.random.default_rng(11)
    time = night_times(rng)
    mag, err = observe(rng, rr_lyrae, 0.5678, time)
    err[::3] = bad

    assert find_period(time, mag, err, SETTINGS).value_days == pytest.approx(0.5678, rel=1e-3)


@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 3, 9, 10, 30, 200]),
    st.sampled_from([0.0, 1e-6, 0.01, 1.0, 30.0, 4000.0]),
    st.sampled_from([0.0, 1e-3, 1.0]),
)
@settings(max_examples=40, deadline=None)
def test_every_light_curve_gets_a_usable_report(seed, n, baseline_days, scatter):
    """Whatever the length, baseline and scatter: a finite fold period and a probability."""
    rng = np.random.default_rng(seed)
    time = np.sort(58000 + baseline_days * rng.uniform(size=n))
    mag = 15 + scatter * rng.normal(size=n)

    report = find_period(time, mag, np.full(n, 0.1), SETTINGS)

    assert np.isfinite(report.fold_days)
    assert report.fold_days > 0
    assert report.log10_false_alarm <= 0
    assert report.value_days in (None, report.fold_days)


def test_a_light_curve_in_a_batch_equals_it_alone():
    """Same report, to the last bit, alone, in a batch, again, and whatever the order of epochs."""
    rng = np.random.default_rng(12)
    curves = []
    for shape, period_days in ((rr_lyrae, 0.55), (contact_binary, 0.37), (detached_binary, 3.1)):
        time = night_times(rng, n=int(rng.integers(150, 220)))
        curves.append((time, *observe(rng, shape, period_days, time)))

    alone = [find_period(*curve, SETTINGS) for curve in curves]
    shuffled = rng.permutation(len(curves[0][0]))

    assert find_periods(curves, SETTINGS) == alone
    assert find_periods(reversed(curves), SETTINGS) == alone[::-1]
    assert find_period(*(column[shuffled] for column in curves[0]), SETTINGS) == alone[0]


def test_zero_point_of_time_does_not_matter():
    """JD and MJD give the same period (the epoch is subtracted before anything else)."""
    rng = np.random.default_rng(13)
    time = night_times(rng)
    mag, err = observe(rng, rr_lyrae, 0.5678, time)

    later = find_period(time + 2_400_000.5, mag, err, SETTINGS)

    assert later.fold_days == pytest.approx(find_period(time, mag, err, SETTINGS).fold_days, rel=1e-6)


@pytest.mark.parametrize(("baseline_days", "cut"), [(3000.0, False), (40_000.0, False), (400_000.0, True)])
def test_grid_is_never_sparser_than_its_peaks(baseline_days, cut):
    """A long baseline raises the grid up to its cap; beyond, the shortest period rises, and it is said."""
    grid = frequency_grid(baseline_days, PeriodSettings())

    assert grid.step * baseline_days <= 0.4 + 1e-12
    assert grid.first + grid.size - 1 <= 4_000_000
    assert grid.cut is cut


@pytest.mark.parametrize("max_days", [30.0, 1000.0])
def test_no_period_outside_of_the_range(max_days):
    """A trend longer than what is searched: refinement and doubling stay within the limits."""
    limits = PeriodSettings(max_days=max_days)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        time = night_times(rng, years=5)
        mag, err = observe(rng, lambda phase: 12 + np.cos(2 * np.pi * phase), 1300.0, time, 0.05)
        report = find_period(time, mag, err, limits)
        for candidate in report.candidates:
            assert limits.min_days * (1 - 1e-9) <= candidate.period_days <= max_days * (1 + 1e-9)


def test_no_candidate_twice():
    """Neighbouring peaks that refinement brings to one frequency are one candidate."""
    rng = np.random.default_rng(11)
    time = night_times(rng)
    for period_days in (0.5678, 3.21, 211.0):
        mag, err = observe(rng, rr_lyrae, period_days, time)
        frequencies = np.array([1 / c.period_days for c in find_period(time, mag, err, SETTINGS).candidates])
        assert len(frequencies) >= 5
        apart = np.abs(frequencies[:, None] - frequencies) + np.eye(len(frequencies))
        assert apart.min() > 0.1 / (time[-1] - time[0])


def test_candidates_are_published_best_first_and_higher_is_better():
    """As the schema says; the period itself is the first of them."""
    rng = np.random.default_rng(21)
    time = night_times(rng)
    for shape, period_days in ((contact_binary, 0.3671), (rr_lyrae, 0.5678)):
        mag, err = observe(rng, shape, period_days, time)

        report = find_period(time, mag, err, SETTINGS)

        scores = [candidate.score for candidate in report.candidates]
        assert len(scores) == 8
        assert scores == sorted(scores, reverse=True)
        assert scores[0] > scores[-1]
        assert report.candidates[0].period_days == report.fold_days
