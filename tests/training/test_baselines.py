"""Baselines: features that mean what they are called, forests and detectors that rank."""

from __future__ import annotations

import numpy as np
import pytest

from training.baselines.detectors import fit_detectors
from training.baselines.features import FeatureTable, folded_features, light_curve_features
from training.baselines.forest import fit_forest
from training.baselines.judge import judge_baselines
from training.split import Split
from training.windows import WindowTable

_PERIOD = 0.73


def table_of(mags: np.ndarray, time: np.ndarray) -> WindowTable:
    """Return windows with the same times."""
    n = len(mags)
    return WindowTable(
        time_mjd=np.tile(time, (n, 1)),
        mag=mags.astype(np.float32),
        magerr=np.full(mags.shape, 0.02, np.float32),
        label=np.zeros(n, dtype=np.int64),
        group=np.arange(n),
        star_id=np.arange(n).astype(str),
        original_class=np.array([""] * n),
        chunk=np.zeros(n, dtype=np.int64),
        columns_period_days={},
        data_digest="",
    )


def test_folded_features_of_a_known_curve() -> None:
    """Two harmonics, r21 = 0.5, phi21 = 1.0, hardly a residual; neither time nor mean moves them."""
    time = np.sort(np.random.default_rng(0).uniform(55_000, 55_400, 200))
    angle = 2 * np.pi * time / _PERIOD
    curve = 0.4 * np.cos(angle + 0.3) + 0.2 * np.cos(2 * angle + 0.6 + 1.0)
    shifted = 0.4 * np.cos(angle - 0.8) + 0.2 * np.cos(2 * angle - 1.6 + 1.0)
    found = folded_features(
        table_of(np.array([11 + curve, 15 + shifted]), time), np.arange(2), np.full(2, _PERIOD)
    )
    assert len(found.names) == 12
    of = dict(zip(found.names, found.values[0], strict=True))
    assert of["log10_period"] == pytest.approx(np.log10(_PERIOD))
    assert of["r21"] == pytest.approx(0.5, abs=0.01)
    assert of["phi21"] == pytest.approx(1.0, abs=0.05)
    assert of["residual"] < 0.01
    phases = [found.names.index(name) for name in ("phi31", "phi41")]  # of harmonics that are not there
    kept = np.delete(np.arange(12), phases)
    np.testing.assert_allclose(found.values[1, kept], found.values[0, kept], atol=0.02)


def test_outside_features_know_neither_date_nor_brightness() -> None:
    """A window fainter by 5 mag and years later has the same features: they cannot give its source away."""
    pytest.importorskip("light_curve", reason="extra 'baselines' is not installed")
    rng = np.random.default_rng(1)
    time = np.sort(rng.uniform(0, 300, 200))
    mag = rng.normal(0, 0.3, 200)
    here = light_curve_features(table_of(np.array([8 + mag]), 52_000 + time), np.arange(1), np.ones(1))
    there = light_curve_features(table_of(np.array([8 + mag]), 59_000 + time), np.arange(1), np.ones(1))
    np.testing.assert_allclose(here.values, there.values, rtol=1e-4, atol=1e-6)
    # What divides by the median magnitude would move by far more than the float32 of the input.
    faint = light_curve_features(table_of(np.array([13 + mag]), 52_000 + time), np.arange(1), np.ones(1))
    moved = [
        name
        for name, one, other in zip(here.names, here.values[0], faint.values[0], strict=True)
        if not np.isclose(one, other, rtol=1e-2, atol=1e-3)
    ]
    assert moved == []


@pytest.fixture(scope="module")
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Return two classes in five dimensions, and strangers beside them."""
    rng = np.random.default_rng(2)
    known = rng.normal(size=(400, 5))
    label = np.arange(400) % 2
    known[:, 0] += 8 * label
    strangers = rng.normal(size=(40, 5))
    strangers += (4, 6, 0, 0, 0)
    return np.vstack([known, strangers]), np.concatenate([label, np.full(40, -1)])


def test_detectors_rank_and_vary(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    """Order and spread: strangers beside two clouds score higher, and scores are not constant."""
    values, label = clouds
    detectors = fit_detectors(values[:400], label[:400], seed=0)
    assert set(detectors) == {"kNN distance", "class-wise Gaussians", "isolation forest"}
    for name, detector in detectors.items():
        known, strange = detector(values[:400]), detector(values[400:])
        assert np.std(known) > 0
        assert np.median(strange) > np.percentile(known, 90), name
        np.testing.assert_allclose(detector(values[400:401]), strange[:1])


def test_forest_search_stays_within_groups(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    """The grid is searched, the best is refitted; a class that was never seen has probability 0."""
    values, label = clouds
    fitted = fit_forest(values[:400], label[:400] * 2, np.arange(400) // 2, "small", seed=0)
    assert fitted.inner_accuracy > 0.98
    assert set(fitted.parameters) == {"n_estimators", "criterion", "max_features", "min_samples_leaf"}
    found = fitted.probabilities(values[:5], 3)
    np.testing.assert_array_equal(found[:, 1], 0)
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_baselines_without_novel_windows(clouds: tuple[np.ndarray, np.ndarray]) -> None:
    """Data without other kinds: accuracies, and no detector is judged."""
    values, label = clouds
    table = table_of(np.zeros((440, 200)), np.arange(200.0))
    table.label[:] = label
    parts = np.random.default_rng(0).permutation(400)
    split = Split(parts[:250], parts[250:300], parts[300:], np.empty(0, dtype=np.int64))
    features = FeatureTable(tuple("abcde"), values)
    found = judge_baselines(table, split, {"clouds": features}, "one", seed=0)["clouds"]
    assert found.classification.accuracy > 0.98
    assert found.detectors == {}
    with_novel = Split(split.train, split.calibrate, split.validate, np.arange(400, 440))
    found = judge_baselines(table, with_novel, {"clouds": features}, "one", seed=0)["clouds"]
    assert found.detectors["kNN distance"].score.roc_auc > 0.9
    assert next(iter(found.single_features)) != ""
