"""Learned components against scipy, and what their losses ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from broker_plugin.model.conventions import OURS, MixtureConventions

LEARNED = replace(
    OURS, mixture=MixtureConventions("paper", covariance_floor=0.0, standardise_z=False, estimator="learned")
)


@pytest.fixture(scope="module")
def components():
    """Return components with random parameters."""
    from training.components import GaussianComponents

    made = GaussianComponents(LEARNED, seed=1)
    rng = np.random.default_rng(1)
    for weight in made.trainable_variables:
        weight.assign(rng.normal(scale=0.5, size=weight.shape).astype(np.float32))
    return made


def test_densities_are_those_of_scipy(components) -> None:
    """Layer and frozen mixture say the same as an independent implementation."""
    rng = np.random.default_rng(2)
    z = rng.normal(size=(6, LEARNED.z_size)).astype(np.float32)
    share = np.array([0.3, 0.1, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05])
    mixture = components.to_mixture(share, LEARNED)
    expected = np.stack(
        [multivariate_normal(mixture.means[k], mixture.covariances[k]).logpdf(z) for k in range(8)], axis=1
    )
    np.testing.assert_allclose(np.asarray(components(z)), expected, rtol=1e-4)
    np.testing.assert_allclose(mixture.energy(z), -logsumexp(expected + np.log(share), axis=1), rtol=1e-9)


def test_the_embedding_has_unit_variance(components) -> None:
    """Its scale is what training learns; a free variance would fall without end."""
    m = LEARNED.network.embedding_size
    covariances = components.to_mixture(np.full(8, 1 / 8), LEARNED).covariances
    np.testing.assert_array_equal(covariances[:, range(m), range(m)], 1.0)


def test_a_class_without_windows_never_wins(components) -> None:
    """Leave one class out: its component stays in its place and explains nothing."""
    share = np.array([0.5, 0.5, 0, 0, 0, 0, 0, 0])
    mixture = components.to_mixture(share, LEARNED)
    assert set(mixture.responsible(mixture.means)) <= {0, 1}
    assert np.isfinite(mixture.energy(mixture.means)).all()


def test_losses_by_hand() -> None:
    """Two windows and an outlier in two classes of one dimension."""
    from training.losses import component_losses

    log_density = np.array([[-1.0, -3.0], [-4.0, -2.0], [-30.0, -40.0]], dtype=np.float32)
    one_hot = np.array([[1, 0], [0, 1], [0, 0]], dtype=np.float32)
    known = np.array([1, 1, 0], dtype=np.float32)
    even = np.log([0.5, 0.5]).astype(np.float32)
    losses = component_losses(log_density, one_hot, known, log_drawn=even, log_share=even, level=10.0)
    entropy = np.log1p(np.exp(-2.0))
    assert float(losses["mixture_entropy"]) == pytest.approx(entropy, rel=1e-5)
    assert float(losses["distance"]) == pytest.approx(1.5)
    energies = -logsumexp(log_density + even, axis=1) - 10.0
    softplus = np.log1p(np.exp(energies[:2])).mean() + np.log1p(np.exp(-energies[2]))
    assert float(losses["outlier_entropy"]) == pytest.approx(softplus, rel=1e-4)


def test_the_shift_of_the_prior_leaves_natural_probabilities() -> None:
    """With the log of drawn over natural shares added, the natural posterior is what fits balanced draws."""
    from training.losses import cross_entropy

    natural = np.array([[0.9, 0.1]], dtype=np.float32)
    shift = np.log(np.array([0.5, 0.5]) / np.array([0.9, 0.1])).astype(np.float32)
    for k in (0, 1):  # a window that says nothing: even odds in balanced draws
        loss = cross_entropy(np.eye(2, dtype=np.float32)[[k]], natural, shift=shift)
        assert float(loss) == pytest.approx(np.log(2.0), rel=1e-5)


def test_outliers_count_in_their_own_loss_only() -> None:
    """A row of zeros changes neither cross-entropy nor its mean."""
    from training.losses import cross_entropy

    gamma = np.array([[0.7, 0.3], [0.5, 0.5]], dtype=np.float32)
    one_hot = np.array([[1, 0], [0, 0]], dtype=np.float32)
    both = cross_entropy(one_hot, gamma, smoothing=0.1, known=np.array([1, 0], dtype=np.float32))
    alone = cross_entropy(one_hot[:1], gamma[:1], smoothing=0.1)
    assert float(both) == pytest.approx(float(alone))
