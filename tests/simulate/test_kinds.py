"""Every kind of star: reproducible, finite, of the right period and size."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.simulate.kinds import KINDS, NOVEL, Span

SPAN = Span(60000.0, 60900.0)
STRICTLY_PERIODIC = ("CEPH", "EA", "EB", "EW", "RRC")
BANDS = "ugrizy"

# Peak-to-peak range in V that the class is known for (GCVS definitions, widened for the draws' tails).
AMPLITUDES = {
    "CEPH": (0.3, 1.4),
    "DSCT": (0.08, 1.0),
    "EA": (0.3, 1.8),
    "EB": (0.2, 1.4),
    "EW": (0.15, 0.9),
    "M": (2.0, 8.5),
    "ROT": (0.05, 1.0),
    "RRAB": (0.25, 1.9),
    "RRC": (0.25, 0.6),
    "RRD": (0.25, 0.9),
    "SR": (0.15, 3.5),
    "RCB": (1.5, 6.0),
    "T_TAURI": (0.5, 6.0),
    "NOVA": (3.5, 6.5),
    "DIPPER": (0.5, 8.0),
    "MICROLENSING": (0.8, 5.0),
}


@pytest.mark.parametrize("name", sorted(KINDS))
@pytest.mark.parametrize("seed", range(4))
def test_a_drawn_star_is_finite_and_of_the_size_of_its_class(name: str, seed: int) -> None:
    star = KINDS[name].draw(np.random.default_rng(seed), SPAN)
    times = np.linspace(SPAN.start_mjd, SPAN.end_mjd, 20_000)

    variation = star.variation(times, "g") / star.ratios["g"]

    low, high = AMPLITUDES[name]
    assert np.isfinite(variation).all()
    assert low < np.ptp(variation) < high
    assert star.kind == name
    assert star.superclass in {"CEPH", "DSCT", "ECL", "M", "ROT", "RRAB", "RRCD", "SR", NOVEL}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_same_seed_draws_the_same_star(name: str) -> None:
    times = np.linspace(SPAN.start_mjd, SPAN.end_mjd, 500)
    first, again, other = (KINDS[name].draw(np.random.default_rng(seed), SPAN) for seed in (3, 3, 4))

    for band in BANDS:
        np.testing.assert_array_equal(first.variation(times, band), again.variation(times, band))
    assert not np.array_equal(first.variation(times, "r"), other.variation(times, "r"))


@pytest.mark.parametrize("name", STRICTLY_PERIODIC)
def test_a_strictly_periodic_star_repeats_after_its_period_and_not_after_half_of_it(name: str) -> None:
    """Holds for contact binaries, too: their minima differ, so that P/2 is not their period."""
    star = KINDS[name].draw(np.random.default_rng(11), SPAN)
    assert star.period_days is not None
    times = np.linspace(60100.0, 60100.0 + star.period_days, 1000)

    now, later = star.variation(times, "r"), star.variation(times + 25 * star.period_days, "r")
    half = star.variation(times + 25.5 * star.period_days, "r")

    np.testing.assert_allclose(now, later, atol=2e-6)  # 60000 d in float64 leave 1e-11 d, steep at an eclipse
    assert np.abs(now - half).max() > 0.005


def test_an_rrab_rises_faster_than_it_declines() -> None:
    for seed in range(10):
        star = KINDS["RRAB"].draw(np.random.default_rng(seed), SPAN)
        assert star.period_days is not None
        phase = np.linspace(0, 1, 2000, endpoint=False)
        magnitude = star.variation(60200.0 + phase * star.period_days, "r")
        rise = (phase[magnitude.argmin()] - phase[magnitude.argmax()]) % 1.0
        assert 0.05 < rise < 0.4


def test_amplitudes_fall_from_blue_to_red_except_where_light_is_grey() -> None:
    times = np.linspace(SPAN.start_mjd, SPAN.end_mjd, 5000)
    for name, kind in KINDS.items():
        star = kind.draw(np.random.default_rng(5), SPAN)
        ranges = [np.ptp(star.variation(times, band)) for band in BANDS]
        if name in ("NOVA", "MICROLENSING"):
            np.testing.assert_allclose(ranges, ranges[0])
        else:
            assert sorted(ranges, reverse=True) == ranges
