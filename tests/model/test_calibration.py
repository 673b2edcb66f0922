"""Conformal p-values of all windows together, and of each predicted class."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.model.calibration import LEAST_OF_A_CLASS, Calibration, conformal_p_value


def test_small_cases_by_hand() -> None:
    """Four held-out energies: (1 + those at least as large) / 5; none at all is no p-value."""
    energies = np.array([1.0, 2.0, 2.0, 5.0])
    assert conformal_p_value(0.0, energies) == 1.0
    assert conformal_p_value(2.0, energies) == pytest.approx(4 / 5)
    assert conformal_p_value(5.0, energies) == pytest.approx(2 / 5)
    assert conformal_p_value(6.0, energies) == pytest.approx(1 / 5)
    assert conformal_p_value(6.0, np.empty(0)) is None


def test_a_class_is_compared_with_its_own() -> None:
    """Class 0 scatters widely, class 1 does not: what is ordinary for the one is strange for the other."""
    n = 2 * LEAST_OF_A_CLASS
    energies = np.concatenate([np.linspace(0, 10, n), np.linspace(0, 1, n)])
    order = np.argsort(energies)
    calibration = Calibration(energies[order], np.repeat([0, 1], n)[order])
    assert calibration.p_value(3.0, 0) == pytest.approx(0.7, abs=0.01)
    assert calibration.p_value(3.0, 1) == pytest.approx(1 / (n + 1))


def test_small_classes_share() -> None:
    """Two classes too small for themselves are compared with each other, or with all if that is few, too."""
    n = LEAST_OF_A_CLASS
    energies = np.arange(2.0 * n)
    half = n // 2
    calibration = Calibration(energies, np.repeat([0, 1, 2], [n, half, n - half]))
    assert calibration.p_value(-1.0, 1) == calibration.p_value(-1.0, 2) == 1.0
    assert calibration.p_value(n - 0.5, 2) == 1.0, "all of the small classes lie above"
    few = Calibration(energies[: n + 5], np.repeat([0, 1], [n, 5]))
    assert few.p_value(float(n), 1) == pytest.approx(6 / (n + 6))


def test_without_classes_all_count() -> None:
    """Bundles without calibration classes."""
    assert Calibration(np.array([1.0, 2.0]), np.empty(0, dtype=np.int64)).p_value(1.5, 3) == pytest.approx(
        2 / 3
    )


def test_it_holds_what_it_promises() -> None:
    """Fresh windows of two unlike classes: p <= 0.05 for one in twenty of *each* class."""
    rng = np.random.default_rng(0)
    n = 20_000
    classes = rng.integers(0, 2, n)
    energies = rng.normal(size=n) * (1.0 + 4.0 * classes)
    order = np.argsort(energies[: n // 2])
    calibration = Calibration(energies[: n // 2][order], classes[: n // 2][order])
    p = np.array([calibration.p_value(e, int(k)) for e, k in zip(energies, classes, strict=True)])[n // 2 :]
    for k in (0, 1):
        assert np.mean(p[classes[n // 2 :] == k] <= 0.05) == pytest.approx(0.05, abs=0.01)
