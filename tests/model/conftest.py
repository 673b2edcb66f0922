"""The shipped bundle, opened once, and windows to score."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.model import Scorer, ScoringWindow, default_bundle_path, open_scorer


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    """Return the shipped model under ONNX Runtime."""
    return open_scorer(default_bundle_path())


@pytest.fixture(scope="session")
def windows() -> list[ScoringWindow]:
    """Return 40 seeded windows: periodic, with every fifth one noise."""
    rng = np.random.default_rng(7)
    made = []
    for index in range(40):
        period = float(10 ** rng.uniform(-1, 2.5))
        time = np.sort(58_000.0 + rng.uniform(0, 1500, 200))
        phase = np.mod(time / period, 1.0)
        curve = (
            rng.normal(size=200) if index % 5 == 4 else np.cos(2 * np.pi * phase) + 0.4 * np.abs(phase - 0.5)
        )
        mag = rng.uniform(9, 18) + rng.uniform(0.1, 2) * curve + 0.03 * rng.normal(size=200)
        made.append(ScoringWindow(time, mag.astype(np.float32), np.full(200, 0.03, np.float32), period))
    return made
