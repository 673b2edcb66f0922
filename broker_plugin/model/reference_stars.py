"""Training stars in z, kept in the bundle: which known stars a window looks like to the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from broker_plugin.records.annotation import Neighbour
from broker_plugin.records.epoch import FloatArray


@dataclass(frozen=True, slots=True)
class ReferenceStars:
    """Windows of training stars.

    Attributes
    ----------
    z : ndarray, shape (n, l), float32
        As the network gives it.
    star_id : ndarray, shape (n,), str
        A star has as many rows as windows.
    label : ndarray, shape (n,), int64
        Index into the bundle's classes.
    """

    z: npt.NDArray[np.float32]
    star_id: npt.NDArray[np.str_]
    label: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        n = len(self.star_id)
        if self.z.ndim != 2 or len(self.z) != n or self.label.shape != (n,) or n == 0:
            shapes = (self.z.shape, self.star_id.shape, self.label.shape)
            msg = f"z, star_id and label have shapes {shapes}; expected (n, l), (n,), (n,)"
            raise ValueError(msg)
        if not np.isfinite(self.z).all():
            msg = "z of a training star is not finite"
            raise ValueError(msg)

    def scale(self) -> FloatArray:
        """Return the standard deviation of each dimension, shape (l,), 1 where there is none."""
        deviation = self.z.std(axis=0, dtype=np.float64)
        return np.where(deviation > 0, deviation, 1.0)


class NeighbourSearch:
    """Find the nearest training stars; made once for a bundle.

    Parameters
    ----------
    stars : ReferenceStars
    classes : tuple of str
    """

    def __init__(self, stars: ReferenceStars, classes: tuple[str, ...]) -> None:
        self._stars = stars
        self._classes = classes
        self._scale = stars.scale()
        self._points = np.asarray(stars.z / self._scale, dtype=np.float32)

    def nearest(self, z: FloatArray, count: int) -> tuple[Neighbour, ...]:
        """Return the ``count`` nearest stars, each once, nearest first (equal distances: in their order).

        Parameters
        ----------
        z : ndarray, shape (l,)
        count : int
        """
        squares = np.sum((self._points - np.asarray(z / self._scale, dtype=np.float32)) ** 2, axis=1)
        some = min(len(squares), 8 * count)
        near = np.argpartition(squares, some - 1)[:some]
        found: dict[str, Neighbour] = {}
        for row in near[np.lexsort((near, squares[near]))]:
            star_id = str(self._stars.star_id[row])
            if star_id not in found:
                star_class = self._classes[int(self._stars.label[row])]
                found[star_id] = Neighbour(star_id, star_class, float(np.sqrt(squares[row])))
            if len(found) == count:
                break
        return tuple(found.values())
