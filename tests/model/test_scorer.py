"""Scores of the shipped model: independent of batch-mates, spread out, explained."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.model import CLASSES, Scorer, ScoringWindow
from broker_plugin.model.calibration import conformal_p_value
from broker_plugin.model.scorer import energy_percentiles


def test_a_score_alone_equals_its_score_in_any_batch(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """Whatever shares the batch, in whatever order, a window keeps its probabilities and its energy.

    Measured difference: none at all with the native GRU of ONNX Runtime 1.32. Tolerance: float32 sums
    reordered for another batch shape on another processor.
    """
    together = scorer.score(windows)
    backwards = scorer.score(windows[::-1])[::-1]
    for index, window in enumerate(windows):
        (alone,) = scorer.score([window])
        for other in (together[index], backwards[index]):
            np.testing.assert_allclose(other.probabilities, alone.probabilities, rtol=0, atol=1e-5)
            assert other.energy == pytest.approx(alone.energy, rel=1e-5, abs=1e-4)
            np.testing.assert_allclose(other.reconstruction_mag, alone.reconstruction_mag, rtol=0, atol=1e-4)


def test_batches_smaller_than_the_input_keep_the_order(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """Forty windows in runs of seven come back in the order of the input."""
    small = Scorer(scorer.bundle, scorer._runtime, batch_size=7)
    for one, other in zip(scorer.score(windows), small.score(windows), strict=True):
        assert one.energy == pytest.approx(other.energy, rel=1e-5, abs=1e-4)


def test_scores_are_not_constant(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """A detector that gives one energy to everything can pass every other test."""
    scores = scorer.score(windows)
    energies = np.array([score.energy for score in scores])
    assert np.isfinite(energies).all()
    assert len(np.unique(energies)) == len(windows)
    assert np.ptp(energies) > 5
    assert len({score.predicted_class for score in scores}) > 1


def test_probabilities_are_probabilities(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """Eight classes, none negative, sum one, and the predicted class is the largest."""
    for score in scorer.score(windows):
        assert score.probabilities.shape == (8,)
        assert (score.probabilities >= 0).all()
        assert score.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
        assert score.predicted_class == CLASSES[int(np.argmax(score.probabilities))]


def test_novelty_flags_follow_from_the_energy(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """Cuts, percentile and p-value tell one story: a higher energy is never less novel."""
    thresholds = scorer.bundle.manifest.thresholds
    scores = sorted(scorer.score(windows), key=lambda score: score.energy)
    for score in scores:
        assert score.novel_80 == (score.energy >= thresholds.percentile_80)
        assert score.novel_95 == (score.energy >= thresholds.percentile_95)
        assert score.novel == (score.energy >= thresholds.novel)
    assert (np.diff([score.percentile for score in scores]) >= 0).all()
    for name in scorer.bundle.manifest.classes:
        p_values = [score.p_value for score in scores if score.predicted_class == name]
        assert all(p is not None and 0 < p <= 1 for p in p_values)
        assert (np.diff(np.array(p_values, dtype=float)) <= 0).all(), "each class has its own calibration"


def test_a_light_curve_that_fits_no_class_is_novel(scorer: Scorer) -> None:
    """A star that fades by six magnitudes in jumps, folded with a nonsense period, is above the threshold."""
    rng = np.random.default_rng(3)
    time = np.sort(58_000 + rng.uniform(0, 1500, 200))
    mag = np.where(rng.random(200) < 0.5, 9.0, 15.0) + 0.01 * rng.normal(size=200)
    (score,) = scorer.score([(time, mag.astype(np.float32), np.full(200, 0.02, np.float32), 0.031)])
    assert score.novel
    assert score.p_value is not None
    assert score.p_value < 0.05


def test_the_apparent_brightness_does_not_matter(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """The same star ten times farther away is not more novel: the mean magnitude is no feature."""
    farther = [window._replace(mag=window.mag + np.float32(5)) for window in windows]
    for near, far in zip(scorer.score(windows), scorer.score(farther), strict=True):
        assert far.predicted_class == near.predicted_class
        assert far.energy == pytest.approx(near.energy, rel=2e-2, abs=0.05)


def test_phase_and_reconstruction_are_in_time_order(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """Each epoch's phase follows from its time, and the reconstruction follows the light curve."""
    window = windows[0]
    (score,) = scorer.score([window])
    expected = np.mod((window.time_mjd - window.time_mjd[0]) / window.period_days + score.phase[0], 1.0)
    distance = np.abs(score.phase - expected)
    assert np.minimum(distance, 1 - distance).max() < 1e-9
    assert score.reconstruction_mag.shape == window.mag.shape
    assert np.corrcoef(score.reconstruction_mag, window.mag)[0, 1] > 0.5


def test_a_window_that_screening_rejects_is_refused(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """A NaN never becomes a score."""
    bad = windows[0].mag.copy()
    bad[5] = np.nan
    with pytest.raises(ValueError, match="window 1 cannot be scored: non_finite"):
        scorer.score([windows[1], windows[0]._replace(mag=bad)])


def test_a_window_of_another_length_is_refused(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """199 epochs are not a window."""
    time, mag, magerr, period, _ = windows[0]
    with pytest.raises(ValueError, match="199 epochs, expected 200"):
        scorer.score([(time[1:], mag[1:], magerr[1:], period)])


def test_no_windows_no_scores(scorer: Scorer) -> None:
    """An empty batch is a batch."""
    assert scorer.score([]) == []


def test_conformal_p_values_by_hand() -> None:
    """(1 + number at least as large) / (1 + n), None without a calibration."""
    calibration = np.array([1.0, 2.0, 3.0, 4.0])
    assert conformal_p_value(0.5, calibration) == 1.0
    assert conformal_p_value(2.5, calibration) == pytest.approx(3 / 5)
    assert conformal_p_value(3.0, calibration) == pytest.approx(3 / 5)
    assert conformal_p_value(9.0, calibration) == pytest.approx(1 / 5)
    assert conformal_p_value(9.0, np.empty(0)) is None


def test_energy_percentiles_by_hand() -> None:
    """Linear between the quantiles, clipped at both ends."""
    quantiles = np.array([0.0, 10.0, 30.0])
    energies = np.array([5.0, 20.0, -3.0, 99.0])
    assert energy_percentiles(energies, quantiles) == pytest.approx(np.array([25.0, 75.0, 0.0, 100.0]))
