"""The Gaussian mixture over z: fit (Zong et al. 2018, Eq. 5) and energies (Eq. 6), in float64.

Energies go through Cholesky factors and log-sum-exp: the inverse, determinant and ``log(sum(exp))`` of the
published code give +inf for distant points, that is for exactly those that matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.model.conventions import MixtureConventions
from broker_plugin.records.epoch import FloatArray

_LOG_TWO_PI = float(np.log(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class Mixture:
    """A frozen mixture of K Gaussians in l dimensions.

    Attributes
    ----------
    weights : ndarray, shape (K,), float64
        phi, positive, summing to one.
    means : ndarray, shape (K, l), float64
    covariances : ndarray, shape (K, l, l), float64
        Symmetric, positive definite; the floor is already in them.
    z_mean, z_scale : ndarray, shape (l,), float64
        The mixture lives on ``(z - z_mean) / z_scale``.
    conventions : MixtureConventions
    """

    weights: FloatArray
    means: FloatArray
    covariances: FloatArray
    z_mean: FloatArray
    z_scale: FloatArray
    conventions: MixtureConventions
    _whitening: FloatArray = field(init=False, repr=False, compare=False)
    _log_det: FloatArray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        n_components, size = self.means.shape
        expected = {
            "weights": (n_components,),
            "covariances": (n_components, size, size),
            "z_mean": (size,),
            "z_scale": (size,),
        }
        for name, shape in expected.items():
            found = getattr(self, name).shape
            if found != shape:
                msg = f"mixture {name} has shape {found}; expected {shape} beside means of {self.means.shape}"
                raise ValueError(msg)
        arrays = (self.weights, self.means, self.covariances, self.z_mean, self.z_scale)
        if not all(np.isfinite(array).all() for array in arrays):
            msg = "mixture holds NaN or infinity; expected finite parameters"
            raise ValueError(msg)
        if not ((self.weights > 0).all() and (self.z_scale > 0).all()):
            msg = "mixture weights and z_scale must be positive"
            raise ValueError(msg)
        # Once for all windows: the inverse factors and the determinants of the covariances.
        factors: FloatArray = np.asarray(np.linalg.cholesky(self.covariances), dtype=np.float64)
        diagonal = np.diagonal(factors, axis1=1, axis2=2)
        object.__setattr__(self, "_log_det", 2.0 * np.sum(np.log(diagonal), axis=1))
        object.__setattr__(self, "_whitening", _lower_inverse(factors))

    def log_joint(self, z: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Return ``log(phi_k N(z; mu_k, Sigma_k))``, shape (n, K), normalised as the conventions say."""
        standard: FloatArray = (np.asarray(z, dtype=np.float64) - self.z_mean) / self.z_scale
        size = standard.shape[1]
        dimensions = size if self.conventions.normaliser == "paper" else 1
        centred: FloatArray = standard[:, None, :] - self.means
        # One product for each point and component: batch-mates cannot change a last bit.
        whitened = (self._whitening @ centred[:, :, :, None])[:, :, :, 0]
        mahalanobis = np.sum(whitened**2, axis=2)
        log_joint: FloatArray = np.log(self.weights) - 0.5 * (
            mahalanobis + self._log_det + dimensions * _LOG_TWO_PI
        )
        return log_joint

    def energy(self, z: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Return the sample energies ``-log sum_k phi_k N(z; mu_k, Sigma_k)``, shape (n,), float64.

        Finite for every finite z whose squared distance float64 can hold.
        """
        return energy_from_log_joint(self.log_joint(z))

    def responsible(self, z: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.intp]:
        """Return the component with the highest responsibility for each z, shape (n,)."""
        component: npt.NDArray[np.intp] = self.log_joint(z).argmax(axis=1)
        return component


def energy_from_log_joint(log_joint: FloatArray) -> FloatArray:
    """Return ``-logsumexp`` over the components, shape (n,) from (n, K)."""
    highest = log_joint.max(axis=1)
    energy: FloatArray = -(highest + np.log(np.sum(np.exp(log_joint - highest[:, None]), axis=1)))
    return energy


def fit_mixture(
    z: npt.NDArray[np.floating[Any]],
    gamma: npt.NDArray[np.floating[Any]],
    conventions: MixtureConventions,
) -> Mixture:
    """Fit the mixture to z and memberships gamma (Zong et al. 2018, Eq. 5).

    Parameters
    ----------
    z : ndarray, shape (n, l)
    gamma : ndarray, shape (n, K)
        Each component needs some membership.
    conventions : MixtureConventions

    Raises
    ------
    ValueError
        If a component has no members.
    """
    points = np.asarray(z, dtype=np.float64)
    memberships = np.asarray(gamma, dtype=np.float64)
    size = points.shape[1]
    z_mean, z_scale = np.zeros(size), np.ones(size)
    if conventions.standardise_z:
        z_mean, z_scale = points.mean(axis=0), points.std(axis=0)
        z_scale = np.where(z_scale > 0, z_scale, 1.0)
    standard = (points - z_mean) / z_scale
    members = memberships.sum(axis=0)
    if not (members > 0).all():
        empty = np.flatnonzero(members <= 0).tolist()
        msg = f"mixture components {empty} have no members; expected some in each"
        raise ValueError(msg)
    means = (memberships.T @ standard) / members[:, None]
    covariances = np.empty((len(members), size, size))
    for k in range(len(members)):
        centred = standard - means[k]
        covariances[k] = (centred * memberships[:, k : k + 1]).T @ centred / members[k]
        covariances[k] = 0.5 * (covariances[k] + covariances[k].T) + conventions.covariance_floor * np.eye(
            size
        )
    return Mixture(members / members.sum(), means, covariances, z_mean, z_scale, conventions)


def _lower_inverse(factors: FloatArray) -> FloatArray:
    """Return the inverses of lower triangular matrices, shape (K, l, l), by forward substitution."""
    inverse = np.zeros_like(factors)
    for row in range(factors.shape[1]):
        inverse[:, row, row] = 1.0
        inverse[:, row] -= (factors[:, row, None, :row] @ inverse[:, :row])[:, 0]
        inverse[:, row] /= factors[:, row, row, None]
    return inverse
