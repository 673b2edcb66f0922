"""The mixture as part of the network: Gaussian components that training moves together with z.

Fitted after the fact (Zong et al. 2018, Eq. 5) a mixture describes whatever shape the classifier left: on the
ASAS stars, a z trained by cross-entropy alone puts windows of no class into the middle of broad components,
where the energy is *low*. Components that take part in the training pull each class into its own ball (the
Gaussian mixture loss of Wan et al. 2018, CVPR), and what belongs nowhere stays between the balls.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from broker_plugin.model.conventions import Conventions
from broker_plugin.model.mixture import Mixture
from broker_plugin.records.epoch import FloatArray

_START_SPREAD = 1.5  # of the first means: about as far apart as unit balls in m dimensions need
_START_LEVEL = 12.0  # above the mean energy of a unit ball: where outliers begin, at first
_EMPTY = 1e-300  # weight of a class without training windows: its component stays and says nothing


class GaussianComponents(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """One Gaussian a class: unit variance in the embedding, free variances in the rest of z.

    The embedding is scaled by training itself, so its variance is the unit of length; reconstruction and
    auxiliary features are given, so theirs are learned.

    Parameters
    ----------
    conventions : Conventions
    seed : int
    """

    def __init__(self, conventions: Conventions, *, seed: int, **kwargs: Any) -> None:
        super().__init__(name="components", **kwargs)
        shape = conventions.network
        size, m = conventions.z_size, shape.embedding_size
        spread = keras.initializers.RandomNormal(stddev=_START_SPREAD, seed=seed)
        self.embedding_means = self.add_weight(
            shape=(shape.n_classes, m), initializer=spread, name="embedding_means"
        )
        given = (shape.n_classes, size - m)
        self.given_means = self.add_weight(shape=given, initializer="zeros", name="given_means")
        self.given_log_scale = self.add_weight(shape=given, initializer="zeros", name="given_log_scale")
        level = _START_LEVEL + 0.5 * size * math.log(2.0 * math.pi)
        self.level = self.add_weight(shape=(), initializer=keras.initializers.Constant(level), name="level")
        self._m = m
        self._constant = 0.5 * size * math.log(2.0 * math.pi)

    def call(self, z: Any) -> Any:
        """Return log N(z; mu_k, Sigma_k), shape (n, K)."""
        embedding = z[:, None, : self._m] - self.embedding_means[None]
        given = (z[:, None, self._m :] - self.given_means[None]) * ops.exp(-self.given_log_scale)[None]
        squares = ops.sum(ops.square(embedding), axis=2) + ops.sum(ops.square(given), axis=2)
        return -0.5 * squares - ops.sum(self.given_log_scale, axis=1)[None] - self._constant

    def to_mixture(self, share: npt.NDArray[np.floating[Any]], conventions: Conventions) -> Mixture:
        """Return the frozen mixture.

        Parameters
        ----------
        share : ndarray, shape (K,)
            Of the classes among the training windows; zero for a class without any.
        conventions : Conventions
        """
        means, log_scale = self._as_arrays()
        covariances: FloatArray = np.exp(2.0 * log_scale)[:, :, None] * np.eye(means.shape[1])
        weights = np.maximum(np.asarray(share, dtype=np.float64), _EMPTY)
        size = means.shape[1]
        return Mixture(
            weights, means, covariances, np.zeros(size), np.ones(size), conventions=conventions.mixture
        )

    def start_from(self, mixture: Mixture) -> None:
        """Take the parameters of a frozen mixture of the same shape."""
        self.embedding_means.assign(mixture.means[:, : self._m].astype(np.float32))
        self.given_means.assign(mixture.means[:, self._m :].astype(np.float32))
        variances = np.diagonal(mixture.covariances, axis1=1, axis2=2)[:, self._m :]
        self.given_log_scale.assign((0.5 * np.log(variances)).astype(np.float32))

    def _as_arrays(self) -> tuple[FloatArray, FloatArray]:
        embedding, given, scale = (
            np.asarray(ops.convert_to_numpy(weight), dtype=np.float64)
            for weight in (self.embedding_means, self.given_means, self.given_log_scale)
        )
        return np.hstack([embedding, given]), np.hstack([np.zeros_like(embedding), scale])
