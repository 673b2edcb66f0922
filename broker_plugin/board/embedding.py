"""Where a window lies among the training stars: a plane through the latent space, and its nearest stars.

The plane is the discriminant plane of the bundle's mixture (Fisher): of all planes it parts the classes
best, and distances in it count in standard deviations within a class. It hides what lies across it, so a
novelty can lie over a class there; the distances that are told are those of the whole space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.model.bundle import Bundle
from broker_plugin.model.mixture import Mixture
from broker_plugin.model.reference_stars import ReferenceStars
from broker_plugin.records.annotation import Neighbour
from broker_plugin.records.epoch import FloatArray

_MOST_STARS = 3000  # drawn; more of them hide each other and make the page heavy


@dataclass(frozen=True, slots=True)
class Component:
    """A component of the mixture in the plane.

    Attributes
    ----------
    name : str
        Of its class.
    index : int
        Of its class, for the colour.
    centre : (float, float)
    outline : ndarray, shape (k, 2), float64
        Its 2-sigma ellipse.
    """

    name: str
    index: int
    centre: tuple[float, float]
    outline: FloatArray


class Plane:
    """The discriminant plane of a bundle.

    Parameters
    ----------
    mixture : Mixture
    classes : sequence of str
        Of the bundle.
        Component k of the mixture carries the name of class k.
    stars : ReferenceStars, optional
    """

    def __init__(self, mixture: Mixture, classes: Sequence[str], stars: ReferenceStars | None) -> None:
        self._mixture = mixture
        self._classes = tuple(classes)
        within = np.einsum("k,kij->ij", mixture.weights, mixture.covariances)
        whiten = np.linalg.inv(np.linalg.cholesky(within))
        self._centre: FloatArray = mixture.weights @ mixture.means
        offsets = (mixture.means - self._centre) @ whiten.T
        between = (offsets * mixture.weights[:, None]).T @ offsets
        _, vectors = np.linalg.eigh(between)
        self._axes: FloatArray = whiten.T @ vectors[:, :-3:-1]  # the two greatest, greatest first
        self.components = tuple(self._component(k) for k in range(len(mixture.weights)))
        self.star_points: FloatArray = np.empty((0, 2))
        self.star_classes: npt.NDArray[np.int64] = np.empty(0, dtype=np.int64)
        if stars is not None:
            some = slice(None, None, -(-len(stars.z) // _MOST_STARS))
            self.star_points = self.project(stars.z[some])
            self.star_classes = stars.label[some]

    def project(self, z: npt.NDArray[np.floating]) -> FloatArray:
        """Return points in the plane, shape (n, 2), of latent vectors, shape (n, l)."""
        points: FloatArray = (self._standard(z) - self._centre) @ self._axes
        return points

    def nearest_components(self, z: FloatArray, most: int) -> tuple[Neighbour, ...]:
        """Return the components nearest to one latent vector, in standard deviations of their own."""
        difference = self._standard(z[None])[0] - self._mixture.means
        solved = np.linalg.solve(self._mixture.covariances, difference[:, :, None])[:, :, 0]
        distance = np.sqrt(np.maximum(np.sum(difference * solved, axis=1), 0.0))
        nearest = np.argsort(distance, kind="stable")[:most]
        return tuple(Neighbour(f"component {k}", self._classes[k], float(distance[k])) for k in nearest)

    def _standard(self, z: npt.NDArray[np.floating]) -> FloatArray:
        standard: FloatArray = (
            np.asarray(z, dtype=np.float64) - self._mixture.z_mean
        ) / self._mixture.z_scale
        return standard

    def _component(self, k: int) -> Component:
        centre = (self._mixture.means[k] - self._centre) @ self._axes
        covariance = self._axes.T @ self._mixture.covariances[k] @ self._axes
        angle = np.linspace(0, 2 * np.pi, 49)
        circle = 2.0 * np.column_stack([np.cos(angle), np.sin(angle)])
        outline: FloatArray = centre + circle @ np.linalg.cholesky(covariance).T
        return Component(self._classes[k], k, (float(centre[0]), float(centre[1])), outline)


def plane_of(bundle: Bundle) -> Plane:
    """Return the plane of a bundle, with its training stars where it has some."""
    return Plane(bundle.mixture, bundle.manifest.classes, bundle.reference_stars)
