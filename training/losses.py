"""The losses of training in ``keras.ops``: those of Tsang & Schultz (2019, Eq. 1, 3 and 4-5) and ours.

Tensor and array meet in ``ops.add``, not in ``+``, where PyTorch would leave the sum to NumPy.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

_SMALLEST_PROBABILITY = 1e-7  # Keras' own clip of the cross-entropy
_SMALLEST_MEMBERS = 1e-12  # a component that no window of a batch belongs to keeps a finite mean


def reconstruction_loss(sequence: Any, reconstruction: Any, weight: Any) -> Any:
    """Return Eq. 1: the mean of ``weight (x - x_hat)^2``; scalar from (n, L, 2), (n, L), (n, L)."""
    return ops.mean(weight * ops.square(sequence[:, :, 1] - reconstruction))


def cross_entropy(
    one_hot: Any, gamma: Any, *, shift: Any = None, smoothing: float = 0.0, known: Any = None
) -> Any:
    """Return Eq. 3, averaged over the batch.

    Parameters
    ----------
    one_hot, gamma : tensor, shape (n, K)
    shift : tensor, shape (K,), optional
        Added to the logarithms of gamma before they are normalised again: log of drawn over wanted shares.
    smoothing : float
        Part of each label that is spread over all classes.
    known : tensor, shape (n,), optional
        1 for windows that count, 0 for the rest.
    """
    gamma = ops.clip(gamma, _SMALLEST_PROBABILITY, 1.0 - _SMALLEST_PROBABILITY)
    logarithm = ops.log(gamma)
    if shift is not None:
        logarithm = ops.log_softmax(ops.add(logarithm, shift[None]), axis=1)
    target = one_hot
    if smoothing:
        target = (1.0 - smoothing) * one_hot + smoothing / one_hot.shape[1]
    return -masked_mean(ops.sum(target * logarithm, axis=1), known)


def masked_mean(values: Any, known: Any = None) -> Any:
    """Return the mean of values (n,) of the windows that count; 0 when none does."""
    if known is None:
        return ops.mean(values)
    return ops.sum(values * known) / ops.maximum(ops.sum(known), 1.0)


def component_losses(
    log_density: Any, one_hot: Any, known: Any, *, log_drawn: Any, log_share: Any, level: Any
) -> dict[str, Any]:
    """Return the losses of learned components, each a scalar.

    Parameters
    ----------
    log_density : tensor, shape (n, K)
        log N(z; mu_k, Sigma_k).
    one_hot : tensor, shape (n, K)
    known : tensor, shape (n,)
        0 for outliers.
    log_drawn, log_share : tensor, shape (K,)
        Logarithms of the classes' shares among the drawn and among all training windows.
    level : tensor, scalar
        Energy between known windows and outliers.

    Returns
    -------
    dict
        ``mixture_entropy``: cross-entropy of the components' posterior. ``distance``: mean negative
        log density under the window's own component. ``outlier_entropy``: of telling outliers from known
        windows by the energy alone.
    """
    posterior = ops.log_softmax(ops.add(log_density, log_drawn[None]), axis=1)
    energy = -ops.logsumexp(ops.add(log_density, log_share[None]), axis=1) - level
    return {
        "mixture_entropy": -masked_mean(ops.sum(one_hot * posterior, axis=1), known),
        "distance": -masked_mean(ops.sum(one_hot * log_density, axis=1), known),
        "outlier_entropy": masked_mean(ops.softplus(energy), known)
        + masked_mean(ops.softplus(-energy), 1.0 - known),
    }


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
