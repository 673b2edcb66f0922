"""Energies and fit of the mixture: against plain formulas, and where plain formulas fail."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.model.conventions import OURS, PUBLISHED_CODE, MixtureConventions
from broker_plugin.model.mixture import Mixture, fit_mixture
from tests.shared import shared_path

PLAIN = MixtureConventions(normaliser="paper", covariance_floor=1e-4, standardise_z=False)


def make_mixture(seed: int, n_components: int = 3, size: int = 4) -> Mixture:
    """Return a random, well-conditioned mixture."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n_components, size, size))
    weights = rng.uniform(0.1, 1.0, n_components)
    return Mixture(
        weights=weights / weights.sum(),
        means=rng.normal(size=(n_components, size)),
        covariances=root @ root.transpose(0, 2, 1) + 0.5 * np.eye(size),
        z_mean=np.zeros(size),
        z_scale=np.ones(size),
        conventions=PLAIN,
    )


@given(seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_energy_is_minus_the_log_of_the_density(seed: int) -> None:
    """Against the textbook density with inverse and determinant, near the mixture where that works."""
    mixture = make_mixture(seed)
    z = np.random.default_rng(seed + 1).normal(size=(20, 4))
    density = np.zeros(20)
    for weight, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True):
        centred = z - mean
        exponent = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(covariance), centred)
        density += weight * np.exp(-0.5 * exponent) / np.sqrt((2 * np.pi) ** 4 * np.linalg.det(covariance))
    np.testing.assert_allclose(mixture.energy(z), -np.log(density), rtol=1e-10)


def test_a_distant_point_has_a_finite_energy() -> None:
    """Where exp underflows the plain formula gives +inf; the energy must still order distant points."""
    energies = make_mixture(0).energy(np.array([[1e2] * 4, [1e4] * 4, [1e8] * 4]))
    assert np.isfinite(energies).all()
    assert (np.diff(energies) > 0).all()


def test_normaliser_of_the_code_is_lower_by_a_constant() -> None:
    """sqrt(2 pi det) against sqrt((2 pi)^l det): (l - 1)/2 ln(2 pi) for every point, so every rank stays."""
    paper = make_mixture(1)
    code = replace(paper, conventions=replace(PLAIN, normaliser="code"))
    z = np.random.default_rng(2).normal(size=(10, 4))
    np.testing.assert_allclose(paper.energy(z) - code.energy(z), 1.5 * np.log(2 * np.pi), rtol=1e-12)


def test_energy_alone_equals_energy_in_a_batch() -> None:
    """Bit for bit: the arithmetic of a point must not depend on its neighbours."""
    mixture = make_mixture(3, n_components=8, size=21)
    z = np.random.default_rng(4).normal(size=(257, 21)) * 3
    together = mixture.energy(z)
    alone = np.array([mixture.energy(row[None])[0] for row in z])
    np.testing.assert_array_equal(together, alone)


def test_fit_with_hard_memberships_gives_the_moments_of_each_class() -> None:
    """Gamma of 0 and 1: weights, means and covariances are the classes' own."""
    rng = np.random.default_rng(5)
    z = np.concatenate([rng.normal(0, 1, (300, 3)), rng.normal(5, 2, (100, 3))])
    label = np.repeat([0, 1], [300, 100])
    mixture = fit_mixture(z, np.eye(2)[label], PLAIN)
    np.testing.assert_allclose(mixture.weights, [0.75, 0.25])
    for k in range(2):
        members = z[label == k]
        np.testing.assert_allclose(mixture.means[k], members.mean(axis=0), rtol=1e-12)
        expected = np.cov(members.T, bias=True) + 1e-4 * np.eye(3)
        np.testing.assert_allclose(mixture.covariances[k], expected, rtol=1e-9, atol=1e-12)


def test_standardised_fit_does_not_depend_on_the_units_of_z() -> None:
    """A dimension that training shrank to 1e-5 counts as much as any other; energies keep their order."""
    rng = np.random.default_rng(6)
    z = rng.normal(size=(500, 4))
    gamma = rng.dirichlet(np.ones(3), 500)
    units = np.array([1.0, 1e-5, 1e3, 1.0])
    plain = fit_mixture(z, gamma, OURS.mixture).energy(z)
    shrunk = fit_mixture(z * units, gamma, OURS.mixture).energy(z * units)
    np.testing.assert_allclose(plain, shrunk, rtol=1e-8)


def test_without_a_floor_for_it_a_collapsed_dimension_is_invertible() -> None:
    """A dimension without any scatter gets the floor instead of a singular covariance."""
    z = np.random.default_rng(7).normal(size=(50, 3))
    z[:, 1] = 2.0
    energies = fit_mixture(z, np.ones((50, 1)), PLAIN).energy(z)
    assert np.isfinite(energies).all()


def test_a_component_without_members_is_refused() -> None:
    """Class 1 has no membership at all: its mean would be 0/0."""
    with pytest.raises(ValueError, match=r"components \[1\] have no members"):
        fit_mixture(np.zeros((4, 2)), np.eye(2)[[0, 0, 0, 0]], PLAIN)


def test_published_energies_in_both_normalisers() -> None:
    """The published mixture gives the golden energies to 1e-10, and 38 795 where the code gave +inf."""
    golden = np.load(shared_path("reference/golden_forward.npz"), allow_pickle=False)
    size = golden["z"].shape[1]
    mixture = Mixture(
        golden["gmm_phi"],
        golden["gmm_mu"],
        golden["gmm_sigma"],
        np.zeros(size),
        np.ones(size),
        PUBLISHED_CODE.mixture,
    )
    np.testing.assert_allclose(mixture.energy(golden["z"]), golden["energy_code"], rtol=1e-10)
    paper = replace(mixture, conventions=replace(PUBLISHED_CODE.mixture, normaliser="paper"))
    np.testing.assert_allclose(paper.energy(golden["z"]), golden["energy_paper"], rtol=1e-10)


def test_published_batch_fit() -> None:
    """The mixture fitted to the golden z and gamma is the one that the authors' code fits."""
    golden = np.load(shared_path("reference/golden_forward.npz"), allow_pickle=False)
    mixture = fit_mixture(golden["z"], golden["gamma"], PUBLISHED_CODE.mixture)
    np.testing.assert_allclose(mixture.weights, golden["batch_phi"], rtol=1e-10)
    np.testing.assert_allclose(mixture.means, golden["batch_mu"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(mixture.covariances, golden["batch_sigma"], rtol=1e-9, atol=1e-10)
