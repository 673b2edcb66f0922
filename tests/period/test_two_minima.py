"""The marks of two minima and the decision learned from them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from broker_plugin.period import find_period
from broker_plugin.period.doubling import pair_about
from broker_plugin.period.light_curve import prepare
from broker_plugin.period.two_minima import MARKS, Decision, marks_of, shipped_decision
from tests.period.curves import SETTINGS, contact_binary, night_times, observe, rr_lyrae

LIMITS = (1e-3, 33.0)


def _marks(shape, period_days: float, shown_days: float) -> dict[str, float]:
    """Return the marks by name of a light curve without noise to speak of."""
    rng = np.random.default_rng(3)
    time = night_times(rng)
    mag, err = observe(rng, shape, period_days, time, 1e-4)
    curve = prepare(time, mag, err)
    pair = pair_about(curve, 1.0 / shown_days, LIMITS)
    return dict(zip(MARKS, marks_of(curve, pair.short, pair.double).tolist(), strict=True))


def test_marks_of_a_contact_binary():
    """0.2 cos(2 p) + 0.05 cos(4 p) + 0.04 cos(p): every number can be told from the series."""
    marks = _marks(contact_binary, 0.3671, 0.3671)

    assert marks["log10_period"] == pytest.approx(np.log10(0.3671 / 2), abs=1e-4)
    assert marks["log10_amplitude"] == pytest.approx(np.log10(0.2), abs=0.01)
    assert marks["sharpness"] == pytest.approx(0.25, abs=0.02)
    assert marks["asymmetry"] == pytest.approx(0.0, abs=0.02)
    assert marks["log_first_to_second"] == pytest.approx(np.log(0.2), abs=0.05)
    # From 0.29 mag below the mean at one minimum to -0.154 between: the other is 0.08 less deep.
    assert marks["depth_difference"] == pytest.approx(0.08 / 0.444, abs=0.02)
    assert marks["log_gain"] > np.log(500)


def test_the_pair_is_found_from_either_member():
    """Whichever of the two periods won, the marks are those of one pair."""
    of_half, of_whole = (_marks(contact_binary, 0.3671, shown) for shown in (0.3671 / 2, 0.3671))

    assert of_half == pytest.approx(of_whole, abs=0.05)


def test_a_sawtooth_is_asymmetric():
    """RR Lyrae: the second harmonic is out of phase with the minimum."""
    marks = _marks(rr_lyrae, 0.5678, 0.5678)

    assert marks["asymmetry"] > 0.3
    assert marks["log_first_to_second"] < -1


def test_log_odds_are_the_written_formula():
    """Clip, standardise, multiply: one mark at a time and by each other."""
    two = Decision(
        marks=("a", "b"),
        lowest=(-1.0, -1.0),
        highest=(1.0, 1.0),
        centre=(0.5, 0.0),
        scale=(2.0, 1.0),
        intercept=0.1,
        linear=(1.0, 2.0),
        quadratic=(3.0, 4.0, 5.0),  # aa, ab, bb
        bar=0.0,
        source="test",
    )

    found = two.log_odds(np.array([[1.0, 0.5], [9.0, -9.0]]))

    first = 0.1 + 0.25 + 2 * 0.5 + 3 * 0.25**2 + 4 * 0.25 * 0.5 + 5 * 0.5**2
    second = 0.1 + 0.25 - 2 + 3 * 0.25**2 - 4 * 0.25 + 5
    np.testing.assert_allclose(found, [first, second])


def test_the_file_holds_the_decision_and_where_it_is_from():
    """What a fit writes is what the search reads, and it is of the marks that the search makes."""
    decision = shipped_decision()
    assert decision.marks == MARKS
    assert "sha256" in decision.source
    read = json.loads(replace(decision, bar=0.25).to_json())
    assert read["bar"] == 0.25
    assert tuple(read["quadratic"]) == decision.quadratic


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_binaries_are_doubled_and_sinusoidal_pulsators_are_not(noise):
    """Equal minima of 0.25 mag at 0.37 d, sines of 0.08 mag at 0.09 d: nine in ten of each, and more."""
    right = {"binary": 0, "pulsator": 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        time = night_times(rng)
        for kind, shape, days in (
            ("binary", lambda phase: contact_binary(phase, 0.0), float(rng.uniform(0.3, 0.6))),
            ("pulsator", lambda phase: 12 + 0.08 * np.cos(2 * np.pi * phase), float(rng.uniform(0.06, 0.12))),
        ):
            mag, err = observe(rng, shape, days, time, noise if kind == "binary" else 0.3 * noise)
            right[kind] += abs(find_period(time, mag, err, SETTINGS).fold_days / days - 1) < 0.01

    assert min(right.values()) >= 18, right
