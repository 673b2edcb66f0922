"""Figures of merit on cases small enough to count."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import classification_figures, cut_figures, p_value_fractions, roc_auc


def test_classification_by_hand() -> None:
    """Three a (two right), one b (right), no c."""
    figures = classification_figures(np.array([0, 0, 0, 1]), np.array([0, 0, 2, 1]), ("a", "b", "c"))
    assert figures.accuracy == pytest.approx(0.75)
    assert figures.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    assert figures.recall == {"a": pytest.approx(2 / 3), "b": 1.0, "c": None}
    assert figures.confusion == [[2, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_cut_by_hand() -> None:
    """At or above 3: two of three novel, one of four known."""
    figures = cut_figures(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0]), 3.0)
    assert figures.precision == pytest.approx(2 / 3)
    assert figures.recall == pytest.approx(2 / 3)
    assert figures.f1 == pytest.approx(2 / 3)
    assert figures.false_alarm_rate == pytest.approx(0.25)


def test_a_cut_that_nothing_reaches_has_no_precision() -> None:
    """0/0 is said, not hidden."""
    figures = cut_figures(np.zeros(3), np.zeros(2), 9.0)
    assert figures.precision is None
    assert (figures.recall, figures.f1) == (0.0, 0.0)


def test_roc_auc_of_a_constant_score_is_a_half() -> None:
    """Ties count half: a constant detector knows nothing; a perfect one is 1."""
    assert roc_auc(np.zeros(5), np.zeros(3)) == 0.5
    assert roc_auc(np.zeros(5), np.ones(3)) == 1.0


def test_p_value_fractions() -> None:
    """Uniform p-values give the levels themselves."""
    fractions = p_value_fractions((np.arange(1000) + 1) / 1000)
    assert fractions == {"0.01": 0.01, "0.05": 0.05, "0.1": 0.1, "0.2": 0.2}
