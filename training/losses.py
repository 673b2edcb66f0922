"""The three losses of joint training (Tsang & Schultz 2019, Eq. 1, 3 and 4-5), in ``keras.ops``."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

_SMALLEST_PROBABILITY = 1e-7  # Keras' own clip of the cross-entropy
_SMALLEST_MEMBERS = 1e-12  # a component that no window of a batch belongs to keeps a finite mean


def reconstruction_loss(sequence: Any, reconstruction: Any, weight: Any) -> Any:
    """Return Eq. 1: the mean of ``weight (x - x_hat)^2``; scalar from (n, L, 2), (n, L), (n, L)."""
    return ops.mean(weight * ops.square(sequence[:, :, 1] - reconstruction))


def cross_entropy(one_hot: Any, gamma: Any) -> Any:
    """Return Eq. 3, averaged over the batch."""
    gamma = ops.clip(gamma, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    return -ops.mean(ops.sum(one_hot * ops.log(gamma), axis=1))


def mean_energy(
    z: Any, gamma: Any, *, covariance_floor: float, standardise: bool, paper_normaliser: bool = True
) -> Any:
    """Return the mean sample energy of a batch under the mixture fitted to that batch (Zong Eq. 5-6).

    Parameters
    ----------
    z : tensor, shape (n, l)
    gamma : tensor, shape (n, K)
        Memberships.
    covariance_floor : float
        Added to each diagonal.
    standardise : bool
        Divide z by its batch mean and deviation first. The gradient flows through both, so shrinking a whole
        dimension, the easy way down in energy, gains nothing.
    paper_normaliser : bool
        As :class:`broker_plugin.model.conventions.MixtureConventions`; a constant, without gradient.

    Returns
    -------
    tensor, scalar
    """
    size = z.shape[1]
    if standardise:
        mean = ops.mean(z, axis=0, keepdims=True)
        z = (z - mean) / ops.sqrt(ops.mean(ops.square(z - mean), axis=0, keepdims=True) + 1e-6)
    members = ops.sum(gamma, axis=0) + _SMALLEST_MEMBERS
    phi = members / ops.sum(members)
    mu = ops.matmul(ops.transpose(gamma), z) / members[:, None]
    centred = z[None, :, :] - mu[:, None, :]
    weighted = centred * ops.transpose(gamma)[:, :, None]
    sigma = ops.matmul(ops.transpose(weighted, (0, 2, 1)), centred) / members[:, None, None]
    sigma = sigma + covariance_floor * ops.eye(size, dtype=z.dtype)[None]

    factor = ops.cholesky(sigma)
    solved = ops.solve_triangular(factor, ops.transpose(centred, (0, 2, 1)), lower=True)
    mahalanobis = ops.sum(ops.square(solved), axis=1)
    log_det = 2.0 * ops.sum(ops.log(ops.diagonal(factor, axis1=1, axis2=2)), axis=1)
    constant = (size if paper_normaliser else 1) * math.log(2.0 * math.pi)
    log_component = ops.log(phi)[:, None] - 0.5 * (mahalanobis + log_det[:, None] + constant)
    return -ops.mean(ops.logsumexp(log_component, axis=0))
