"""ONNX Runtime and TensorFlow run the same network."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.errors import BundleError
from broker_plugin.model import Scorer, ScoringWindow, default_bundle_path, open_runtime, open_scorer
from broker_plugin.model.scorer import ENERGY_TOLERANCE, PROBABILITY_TOLERANCE


def test_onnx_and_tensorflow_agree(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """1e-4 on probabilities, 1e-3 on energies (relative beyond 1: far points have energies of thousands)."""
    pytest.importorskip(
        "tensorflow", reason="TensorFlow is not installed: pip install 'broker-plugin[train]'"
    )
    other = open_scorer(default_bundle_path(), "tensorflow")
    for one, two in zip(scorer.score(windows), other.score(windows), strict=True):
        np.testing.assert_allclose(two.probabilities, one.probabilities, rtol=0, atol=PROBABILITY_TOLERANCE)
        assert two.energy == pytest.approx(one.energy, abs=ENERGY_TOLERANCE, rel=ENERGY_TOLERANCE)


def test_threads_do_not_change_a_score(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """Two threads, the same scores."""
    two_threads = open_scorer(default_bundle_path(), threads=2)
    for one, two in zip(scorer.score(windows), two_threads.score(windows), strict=True):
        assert two.energy == pytest.approx(one.energy, rel=1e-5, abs=1e-4)


def test_a_missing_tensorflow_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runtime is asked for where it is not installed."""
    import sys

    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delitem(sys.modules, "broker_plugin.model.keras_runtime", raising=False)
    with pytest.raises(BundleError, match=r"keras is not installed; install broker-plugin\[train\]"):
        open_runtime(default_bundle_path(), "tensorflow")
