"""Features from outside of the window: known, missing, and never something in between."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from broker_plugin.features import OUR_INPUT, build_network_input
from broker_plugin.features.external import EXTERNAL, as_columns, colours, external_features
from broker_plugin.records.color import BandMean
from broker_plugin.records.match import CatalogueMatch

RNG = np.random.default_rng(3)
TIMES = np.sort(RNG.uniform(58000, 58900, (2, 200)), axis=1)
MAGS = 15 + RNG.normal(size=(2, 200))
ERRORS = np.full((2, 200), 0.02)

NAMES = ("std", "gaia_bp_rp", "colour_g_r", "has_gaia_bp_rp", "has_colour_g_r")
CONVENTIONS = replace(
    OUR_INPUT,
    auxiliary=NAMES,
    auxiliary_mean=(0.0, 1.0, 0.5, 0.5, 0.5),
    auxiliary_scale=(1.0, 0.5, 0.25, 0.5, 0.5),
)


def test_missing_is_the_mean_and_says_so() -> None:
    """The first star has a colour of Gaia, the second none; of neither is g - r known."""
    external = as_columns([{"gaia_bp_rp": 1.5}, {}], NAMES)
    built = build_network_input(TIMES, MAGS, ERRORS, [1.0, 2.0], CONVENTIONS, external=external)
    np.testing.assert_allclose(built.auxiliary[:, 1:], [[1, 0, 1, -1], [0, 0, -1, -1]])
    assert np.isnan(built.raw_auxiliary[1, 1])
    nothing = build_network_input(TIMES, MAGS, ERRORS, [1.0, 2.0], CONVENTIONS)
    np.testing.assert_allclose(nothing.auxiliary[:, 1:], [[0, 0, -1, -1]] * 2)


def test_what_the_network_does_not_take_is_not_made() -> None:
    """A mask alone needs its value's column; features that nobody asked for make none."""
    assert set(as_columns([{}], ("std", "has_wise_w_rp"))) == {"wise_w_rp"}
    assert as_columns([{"gaia_bp_rp": 1.0}], ("std",)) == {}


def test_colours_need_epochs_in_both_bands() -> None:
    """Four epochs of a variable star's curve are no mean."""
    means = {"g": BandMean(15.75, 0.01, 5), "r": BandMean(15.25, 0.01, 200), "i": BandMean(15.0, 0.01, 4)}
    assert colours(means) == {"colour_g_r": pytest.approx(0.5)}


def test_what_is_known_of_a_star() -> None:
    """Of a catalogue's star what is not None, unless another star is as near; and the stream's colours."""
    match = CatalogueMatch("V1", 0.1, False, gaia_abs_g_mag=0.5)
    means = {"g": BandMean(15.75, 0.01, 9), "r": BandMean(15.25, 0.01, 9)}
    assert external_features(match, means) == {"gaia_abs_g_mag": 0.5, "colour_g_r": 0.5}
    assert external_features(replace(match, ambiguous=True), None) == {}
    assert external_features(None, None) == {}
    assert set(external_features(match, means)) <= set(EXTERNAL)
