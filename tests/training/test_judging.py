"""Reliability, p-values, intervals, parts and scores on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from training.bootstrap import bootstrap_intervals
from training.metrics import roc_auc
from training.novelty_scores import best_side, novelty_scores, score_figures
from training.reliability import p_value_calibration, reliability
from training.scored import ScoredWindows, signal_to_noise
from training.strata import strata

RNG = np.random.default_rng(5)


def scored(n: int = 600, n_novel: int = 60) -> ScoredWindows:
    """Return windows of three classes of which one in four is wrong; novel ones have higher energies."""
    rng = np.random.default_rng(1)
    label = rng.integers(0, 3, n + n_novel)
    said = np.where(rng.random(n + n_novel) < 0.25, (label + 1) % 3, label)
    label[n:] = -1
    total = len(label)
    uniform = rng.random(total)
    return ScoredWindows(
        classes=("a", "b", "c"),
        star_id=np.array([f"s{i // 2}" for i in range(total)]),
        group=np.arange(total) // 2,
        label=label,
        chunk=np.arange(total) % 2,
        n_epochs=np.where(np.arange(total) % 4 < 2, 200, 800),
        probabilities=np.eye(3)[said] * 0.7 + 0.1,
        energy=np.where(label < 0, 2.0, 0.0) + rng.normal(size=total),
        p_value=uniform,
        euclidean=rng.normal(size=total),
        cosine=rng.normal(size=total),
        mean_mag=rng.normal(size=total),
        std_mag=rng.uniform(0.1, 1, total),
        period_days=np.full(total, 2.0),
        reference_days=np.where(
            np.arange(total) % 3 == 0, 2.001, np.where(np.arange(total) % 3 == 1, 4.0, 0.7)
        ),
        signal_to_noise=rng.uniform(0.5, 9, total),
        z=rng.normal(size=(total, 4)),
        feature_names=("std",),
        features=rng.normal(size=(total, 1)),
    )


def test_probabilities_that_are_what_they_say() -> None:
    """Said 0.8, right three times in four: an error of about 0.05 in one bin."""
    windows = scored()
    known = windows.take(windows.known)
    found = reliability(known.probabilities, known.label)
    assert [one.n_windows for one in found.bins] == [600]
    assert found.bins[0].mean_probability == pytest.approx(0.8)
    assert found.expected_calibration_error == pytest.approx(abs(found.bins[0].accuracy - 0.8))
    assert found.brier == pytest.approx(
        np.mean(np.sum((known.probabilities - np.eye(3)[known.label]) ** 2, axis=1))
    )


def test_perfect_probabilities_cost_nothing() -> None:
    """All on the truth."""
    label = np.array([0, 1, 2, 1])
    found = reliability(np.eye(3)[label], label)
    assert (found.expected_calibration_error, found.brier, found.log_loss) == (0.0, 0.0, 0.0)


def test_uniform_p_values_are_calibrated_and_others_are_not() -> None:
    """The level lies in its interval; halved p-values are found out."""
    p_values = (np.arange(2000) + 0.5) / 2000
    found = p_value_calibration(p_values, np.arange(2000))
    assert found is not None
    for level, fraction in found.fractions.items():
        low, high = found.intervals[level]
        assert low <= float(level) <= high
        assert fraction == pytest.approx(float(level), abs=1e-3)
    halved = p_value_calibration(p_values / 2, np.arange(2000))
    assert halved is not None
    assert halved.intervals["0.05"][0] > 0.05
    assert halved.ks_statistic == pytest.approx(0.5, abs=0.01)
    assert p_value_calibration(np.full(3, np.nan), np.arange(3)) is None


def test_intervals_hold_the_figures_and_widen_with_correlated_windows() -> None:
    """The value is that of all windows; copies of each star must not make the interval narrower."""
    windows = scored()
    found = bootstrap_intervals(windows)
    known = windows.take(windows.known)
    assert found["accuracy"].value == pytest.approx(np.mean(known.predicted == known.label))
    expected = roc_auc(windows.energy[windows.known], windows.energy[~windows.known])
    assert found["roc_auc"].value == pytest.approx(expected)
    for one in found.values():
        assert one.low < one.value < one.high
    twice = windows.take(np.repeat(np.arange(len(windows)), 4))
    copied = bootstrap_intervals(twice)
    width, copied_width = (x["accuracy"].high - x["accuracy"].low for x in (found, copied))
    assert copied_width == pytest.approx(width, rel=0.2)


def test_without_novel_windows_there_is_no_auc() -> None:
    """Known stars only: accuracy, but nothing to detect."""
    windows = scored()
    assert set(bootstrap_intervals(windows.take(windows.known))) == {"accuracy", "balanced_accuracy"}


def test_parts_add_up() -> None:
    """Every property parts all windows; the period's verdict is by ratio to the reference."""
    windows = scored()
    parts = strata(windows)
    for name, found in parts.items():
        total = sum(part.n_known for part in found)
        assert total == 600, name
    verdicts = {part.name: part.n_known + part.n_novel for part in parts["period of the window"]}
    assert verdicts == {"right": 220, "factor 2": 220, "wrong": 220}
    assert {part.name for part in parts["epochs of the star"]} == {"200 to 399", "600 to 999"}


def test_scores_by_hand() -> None:
    """A natural score keeps its side even where the other fits better; a feature takes the better side."""
    known, novel = np.array([2.0, 3.0]), np.array([0.0, 1.0])
    assert score_figures(known, novel).roc_auc == 0.0
    assert best_side(known, novel) == score_figures(known, novel, lower_is_novel=True)
    assert best_side(known, novel).roc_auc == 1.0
    found = novelty_scores(scored())
    assert found["energy"].roc_auc > 0.85
    assert found["energy"].average_precision > 0.4
    assert not found["reconstruction error"].lower_is_novel


def test_signal_to_noise_knows_the_right_fold() -> None:
    """A sine of 0.3 mag with noise of 0.03: 7 on its period, 1 on a wrong one."""
    time = np.sort(RNG.uniform(0, 500, 200))
    mag = 12 + 0.3 * np.sin(2 * np.pi * time / 0.71) + RNG.normal(0, 0.03, 200)
    right, wrong = (np.mod(time / period, 1.0) for period in (0.71, 0.4412))
    found = signal_to_noise(np.array([mag, mag]), np.array([right, wrong]))
    assert 4.5 < found[0] < 10
    assert 0.5 < found[1] < 1.5
