"""Drift: silent on the training's own distribution, loud on another one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from broker_plugin.app.model_facts import expected_novel_share, training_reference
from broker_plugin.drift import (
    Distribution,
    describe,
    from_json,
    from_quantiles,
    stability_index,
    to_json,
)
from broker_plugin.metrics import Metrics, ModelFacts
from broker_plugin.metrics.drift import DriftMonitor
from broker_plugin.model import default_bundle_path, load_bundle
from broker_plugin.runner.protocols import Observation


def index(reference: Distribution, values: np.ndarray) -> float:
    return stability_index(reference, reference.counts(values))


def test_shift_of_half_a_standard_deviation() -> None:
    """Gaussians with one shifted by half a sigma: 0.25 in the continuum (d^2), a little less in ten bins."""
    rng = np.random.default_rng(1)
    (reference,) = describe({"x": rng.normal(size=50_000)}).values()
    assert index(reference, rng.normal(size=50_000)) < 0.001
    assert index(reference, rng.normal(0.5, size=50_000)) == pytest.approx(0.24, abs=0.02)


def test_chance_alone() -> None:
    """Small samples of the same distribution: (bins - 1) / n on average, which is why 500 are asked for."""
    rng = np.random.default_rng(2)
    (reference,) = describe({"x": rng.normal(size=100_000)}).values()
    found = [index(reference, rng.normal(size=500)) for _ in range(400)]
    assert np.mean(found) == pytest.approx(9 / 500, rel=0.15)
    assert max(found) < 0.1


def test_missing_values_are_a_bin() -> None:
    """A survey that loses a colour drifts, also if what it still has looks as ever."""
    rng = np.random.default_rng(3)
    colour = np.where(rng.random(20_000) < 0.2, np.nan, rng.normal(size=20_000))
    reference = describe({"colour": colour})["colour"]
    assert reference.shares[-1] == pytest.approx(0.2, abs=0.01)
    lost = np.where(rng.random(20_000) < 0.7, np.nan, rng.normal(size=20_000))
    assert index(reference, lost) > 0.5


def test_flag() -> None:
    """Of 0 and 1: two bins with the shares that there are."""
    reference = describe({"has_colour": np.array([0.0] * 30 + [1.0] * 70)})["has_colour"]
    assert reference.shares.tolist() == [0.3, 0.7, 0.0]
    constant = describe({"x": np.zeros(9)})["x"]
    assert constant.shares.tolist() == [1.0, 0.0]


@given(hnp.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6) | st.just(np.nan)))
def test_training_is_its_own_reference(values: np.ndarray) -> None:
    """Whatever the values, ties and gaps: their index against themselves is zero, also through a file."""
    reference = from_json(to_json(describe({"x": values})))["x"]
    assert index(reference, values) == pytest.approx(0.0, abs=1e-12)
    assert (
        reference.counts(values)
        == np.bincount([reference.bin_of(v) for v in values], minlength=reference.n_bins)
    ).all()


def test_quantiles_alone_make_a_reference() -> None:
    """Every bundle has those of its energies."""
    rng = np.random.default_rng(4)
    values = rng.gamma(2.0, size=50_000)
    reference = from_quantiles(np.quantile(values, np.linspace(0, 1, 101)))
    assert index(reference, values) < 1e-4
    assert reference.n_bins == 11


@pytest.mark.parametrize(
    ("edges", "shares", "complaint"),
    [
        ([1.0, 1.0], [0.5, 0.5, 0, 0], "increasing"),
        ([1.0], [1.0], "expected 3"),
        ([1.0], [0.5, 0.2, 0], "sum"),
    ],
)
def test_damaged_reference_is_refused(edges: list[float], shares: list[float], complaint: str) -> None:
    """The feature is named."""
    text = json.dumps({"format": 1, "features": {"std": {"edges": edges, "shares": shares}}})
    with pytest.raises(ValueError, match=rf"feature std: .*{complaint}"):
        from_json(text)


def test_monitor_holds_the_newest_windows() -> None:
    """Too few tell nothing; then the old ones leave, and with them the old drift."""
    rng = np.random.default_rng(5)
    reference = describe({"x": rng.normal(size=10_000)})
    monitor = DriftMonitor(reference, newest=1000, least=500)
    for value in rng.normal(3.0, size=499):
        monitor.add("x", value)
    monitor.add("unknown", 1.0)
    assert list(monitor.indices()) == []
    monitor.add("x", 3.0)
    ((name, drifted),) = monitor.indices()
    assert (name, monitor.n_windows) == ("x", 500)
    assert drifted > 2
    for value in rng.normal(size=1000):
        monitor.add("x", value)
    assert dict(monitor.indices())["x"] < 0.05
    assert monitor.n_windows == 1000


def test_drift_at_a_scrape() -> None:
    """No model, no metric; a feature that the bundle does not describe has none either."""
    metrics = Metrics(strict=True)

    def shown(feature: str) -> float | None:
        return metrics.registry.get_sample_value("broker_plugin_drift_psi", {"feature": feature})

    values = [Observation("drift_psi", n / 600, {"feature": f}) for n in range(600) for f in ("std", "x")]
    metrics.observe(values)
    assert shown("std") is None
    reference = describe({"std": np.linspace(0, 1, 1000)})
    metrics.set_model(ModelFacts("m", "1", "ab", "onnx", 0.05, reference))
    metrics.observe(values)
    assert shown("std") == pytest.approx(0.0, abs=0.02)
    assert shown("x") is None
    assert metrics.registry.get_sample_value("broker_plugin_drift_windows") == 600


def test_shipped_bundle() -> None:
    """Its energies have a reference, and its threshold a rate that is that of rare things."""
    bundle = load_bundle(default_bundle_path())
    assert "energy" in training_reference(bundle)
    assert 0.0 < expected_novel_share(bundle) < 0.2
