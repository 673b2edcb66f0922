"""Structure features on light curves whose structure is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.features import STRUCTURE_FEATURES, structure_features
from tests.features.plain_structure import plain_features

N = 200


def epochs(seed: int = 0) -> np.ndarray:
    """Return 200 times, a visit a night, some nights lost."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(700, N, replace=False)) + rng.uniform(0.1, 0.3, N)


def features(time: np.ndarray, mag: np.ndarray, period: float) -> dict[str, float]:
    """Return the features of one window as numbers."""
    found = structure_features(time[None], mag[None], np.array([period]))
    return {name: float(value[0]) for name, value in found.items()}


def test_a_sine_with_known_harmonics() -> None:
    """Amplitudes 1 and 0.5 mag, the second a quarter cycle late: ratio, phase, and everything explained."""
    time = epochs()
    angle = 2 * np.pi * time / 0.7
    found = features(time, 12 + np.cos(angle) + 0.5 * np.cos(2 * angle - np.pi / 2), 0.7)
    assert found["log10_period"] == pytest.approx(np.log10(0.7))
    assert found["log_ratio_21"] == pytest.approx(np.log(0.5), abs=0.05)
    assert found["sin_phi_21"] == pytest.approx(-0.7, abs=0.1)  # -1 damped by the noise terms
    assert abs(found["cos_phi_21"]) < 0.1
    assert found["explained_1"] == pytest.approx(0.8, abs=0.04)
    assert found["explained_2"] == pytest.approx(1.0, abs=0.01)
    assert found["fold_residual"] < 0.2


def test_noise_is_white_everywhere() -> None:
    """No structure in phase, in time, or in what the fold leaves."""
    time = epochs()
    found = features(time, np.random.default_rng(1).normal(size=N), 0.7)
    assert found["fold_residual"] == pytest.approx(1.0, abs=0.1)
    for name in ("fold_roughness", "time_roughness", "residual_roughness"):
        assert found[name] == pytest.approx(1.0, abs=0.2)
    for name in ("residual_correlation_1", "residual_correlation_16", "slow_15", "residual_slow_15"):
        assert abs(found[name]) < 0.2


def test_red_noise_under_any_fold_is_not_white_in_time() -> None:
    """What an irregular variable leaves over is structured in time; that of a noisy sine is not."""
    time = epochs()
    rng = np.random.default_rng(2)
    walk = np.cumsum(rng.normal(size=N)) * 0.1
    sine = 0.5 * np.sin(2 * np.pi * time / 0.7) + 0.5 * rng.normal(size=N)
    irregular, known = features(time, walk, 0.7), features(time, sine, 0.7)
    assert irregular["residual_roughness"] < 0.3 < 0.7 < known["residual_roughness"]
    assert irregular["residual_block_scatter"] > known["residual_block_scatter"] + 1
    assert irregular["slow_15"] > 0.5 > known["slow_15"]


def test_unequal_minima_show_at_the_double_period() -> None:
    """Folded with half its period a binary looks round; its odd harmonics and its secondary tell."""
    time = epochs()
    angle = 2 * np.pi * time / 1.3
    binary = 12 + np.cos(2 * angle) + 0.5 * np.cos(angle)
    assert features(time, binary, 0.65)["odd_gain"] > 0.1
    whole = features(time, binary, 1.3)
    assert abs(whole["odd_gain"]) < 0.05
    assert whole["secondary_depth"] == pytest.approx((1 - 0.5) / (1 + 0.5), abs=0.15)


@given(
    seed=st.integers(0, 30),
    shift=st.floats(-20_000, 20_000),
    offset=st.floats(-10, 10),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
)
@settings(max_examples=30, deadline=None)
def test_neither_date_nor_brightness_enters(seed: int, shift: float, offset: float, scale: float) -> None:
    """A shift of times or magnitudes changes nothing; a factor of the magnitudes only the first feature."""
    time = epochs(seed)
    mag = np.random.default_rng(seed).normal(size=N) + np.sin(time)
    one = features(time, mag, 0.37)
    other = features(time + round(shift), offset + scale * mag, 0.37)
    assert other.pop("log10_std") == pytest.approx(one.pop("log10_std") + np.log10(scale), abs=1e-6)
    for name, value in one.items():
        assert other[name] == pytest.approx(value, abs=1e-4), name


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_finite_on_the_strangest_windows(seed: int) -> None:
    """Two values, one leap, one outlier, all phases in one heap: numbers all the same."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, 10 ** rng.uniform(-1, 4), N))
    shapes = (
        np.where(np.arange(N) == rng.integers(N), 10.0, 0.0),
        np.where(np.arange(N) < 100, 10.0, 11.0),
        rng.integers(0, 2, N).astype(float),
        rng.standard_cauchy(N).clip(-50, 50),
    )
    period = 10 ** rng.uniform(-1.5, 4)
    for mag in shapes:
        assert np.isfinite(list(features(time, mag, period).values())).all()


def test_a_window_does_not_know_its_neighbours() -> None:
    """The features of a window alone are those in a batch, to the last bits."""
    rng = np.random.default_rng(4)
    times = np.stack([epochs(seed) for seed in range(20)])
    mags, periods = rng.normal(size=(20, N)), 10 ** rng.uniform(-1, 2, 20)
    together = structure_features(times, mags, periods)
    assert tuple(together) == tuple(STRUCTURE_FEATURES)
    for i in range(20):
        alone = structure_features(times[i : i + 1], mags[i : i + 1], periods[i : i + 1])
        for name, value in alone.items():
            assert value[0] == pytest.approx(together[name][i], rel=1e-9, abs=1e-12)


@given(seed=st.integers(0, 10_000), log_period=st.floats(-1.3, 3.0), noise=st.sampled_from([0.01, 0.3, 30.0]))
@settings(max_examples=60, deadline=None)
def test_fast_features_are_those_of_the_definitions(seed: int, log_period: float, noise: float) -> None:
    """All windows at once, sums shared, sorted once: what a plain reading of each definition gives alone."""
    rng = np.random.default_rng(seed)
    periods = np.array([10**log_period, 0.5])
    times = np.stack([epochs(seed), np.sort(rng.integers(0, 2000, N) / 4.0)])  # the second with equal phases
    angle = 2 * np.pi * times / periods[:, None]
    mags = 12 + np.cos(angle) + rng.uniform(-1, 1) * np.cos(2 * angle + 1) + rng.normal(0, noise, (2, N))
    fast = structure_features(times, mags, periods)
    for i, period in enumerate(periods):
        plain = plain_features(times[i], mags[i], float(period))
        assert plain.keys() == fast.keys()
        for name, value in plain.items():
            # Grid points of the fitted curve may be told from their equals by rounding alone.
            if name not in {"secondary_depth", "faint_width", "asymmetry"}:
                assert fast[name][i] == pytest.approx(value, rel=1e-6, abs=1e-8), name
            else:
                assert fast[name][i] == pytest.approx(value, rel=1e-6, abs=0.05), name
