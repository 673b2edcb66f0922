"""Training stars in z, kept in the bundle: which known stars a window looks like to the network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from broker_plugin.records.annotation import Neighbour
from broker_plugin.records.epoch import FloatArray

NEIGHBOURS = 5
"""Training stars that a score names; the last of them is the one whose distance counts in the energy."""

_LEAST_DISTANCE = 1e-3  # a window that is among the training windows has no infinite density
_GROUPS = 256  # of rows, each by its nearest
_AT_ONCE = 16  # points whose distances to all rows stay in the processor's cache
_ROUNDINGS = 32.0 * float(np.finfo(np.float32).eps)


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


def remoteness(distance: FloatArray) -> FloatArray:
    """Return how far from all training stars windows are, as a term of their energy.

    The density of points that a k-th neighbour at distance d tells is proportional to ``d ** -l``
    (Loftsgaarden & Quesenberry 1965, Ann. Math. Stat. 36, 1049): its energy is a multiple of ``ln d``.

    Parameters
    ----------
    distance : ndarray, shape (n,)
        From :meth:`NeighbourSearch.distance`.
    """
    return np.log(np.maximum(distance, _LEAST_DISTANCE))


class NeighbourSearch:
    """Find the nearest training stars; made once for a bundle.

    A product of matrices finds the rows that can be among the nearest, some dozens of the thousands; only
    their distances are computed as they are told.

    Parameters
    ----------
    stars : ReferenceStars
    classes : tuple of str
    """

    def __init__(self, stars: ReferenceStars, classes: tuple[str, ...]) -> None:
        self._stars = stars
        # Lists: an element of an array is made anew each time that it is asked for.
        self._star_ids: list[str] = stars.star_id.tolist()
        self._star_classes = [classes[label] for label in stars.label.tolist()]
        self._scale = stars.scale()
        self._points = np.asarray(stars.z / self._scale, dtype=np.float32)
        squares = np.sum(self._points**2, axis=1)
        rows = -(-len(squares) // _GROUPS) * _GROUPS
        self._product = np.zeros((self._points.shape[1], rows), dtype=np.float32)
        self._product[:, : len(squares)] = -2.0 * self._points.T
        self._squares = np.full(rows, np.inf, dtype=np.float32)
        self._squares[: len(squares)] = squares
        self._largest = float(squares.max())

    def nearest(self, z: npt.NDArray[np.floating[Any]], count: int) -> list[tuple[Neighbour, ...]]:
        """Return for each z the ``count`` nearest stars, each once, nearest first (ties: in their order).

        Parameters
        ----------
        z : ndarray, shape (n, l)
        count : int
            At most 32.
        """
        points = np.asarray(z / self._scale, dtype=np.float32)
        if not len(points):
            return []
        rows = list(self._candidates(points, 8 * count))
        ends = np.cumsum([len(some) for some in rows])
        together = np.concatenate(rows)
        differences = self._points[together] - np.repeat(points, np.diff(ends, prepend=0), axis=0)
        squares = np.sum(differences**2, axis=1)
        return [
            self._named(some, squares[end - len(some) : end], count)
            for some, end in zip(rows, ends.tolist(), strict=True)
        ]

    def distance(
        self, z: npt.NDArray[np.floating[Any]], *, own: npt.NDArray[np.str_] | None = None
    ) -> FloatArray:
        """Return how far the last of the :data:`NEIGHBOURS` nearest stars is, shape (n,).

        Parameters
        ----------
        z : ndarray, shape (n, l)
        own : ndarray, shape (n,), str, optional
            Star of each z, which does not count: to a training window its own star is no neighbour.
        """
        if own is None:
            return np.array([stars[-1].distance for stars in self.nearest(z, NEIGHBOURS)])
        distances = np.empty(len(z))
        for row, stars in enumerate(self.nearest(z, NEIGHBOURS + 1)):
            others = [star.distance for star in stars if star.star_id != own[row]]
            if len(others) < NEIGHBOURS:  # the own star has more windows than candidates were looked at
                others = self._of_others(z[row], str(own[row]))
            distances[row] = others[min(len(others), NEIGHBOURS) - 1]
        return distances

    def _of_others(self, z: npt.NDArray[np.floating[Any]], own: str) -> list[float]:
        """Return the distances of the nearest stars but one, from all rows."""
        rows = np.flatnonzero(self._stars.star_id != own)
        if not len(rows):
            msg = f"there is no training star but {own}; expected several"
            raise ValueError(msg)
        squares = np.sum((self._points[rows] - np.asarray(z / self._scale, dtype=np.float32)) ** 2, axis=1)
        order = np.argsort(squares, kind="stable")
        _, first = np.unique(self._stars.star_id[rows[order]], return_index=True)
        return [math.sqrt(squares[place]) for place in order[np.sort(first)[:NEIGHBOURS]]]

    def _candidates(self, points: npt.NDArray[np.float32], some: int) -> Iterator[npt.NDArray[np.intp]]:
        """Yield for each point rows among which are its ``some`` nearest."""
        last = min(some, len(self._points)) - 1
        memory = np.empty((min(_AT_ONCE, len(points)), self._product.shape[1]), dtype=np.float32)
        for start in range(0, len(points), _AT_ONCE):
            block = points[start : start + _AT_ONCE]
            distances = memory[: len(block)]
            np.matmul(block, self._product, out=distances)
            distances += self._squares  # but for the point's own square, the same for all rows
            # As many groups as rows are wanted have a row within this limit.
            nearest = distances.reshape(len(block), -1, _GROUPS).min(axis=1)
            limits = np.partition(nearest, last, axis=1)[:, last]
            # Cancellation costs some float32 roundings of the largest terms; it must cost no neighbour.
            limits += _ROUNDINGS * (self._largest + np.sum(block**2, axis=1))
            for row, limit in zip(distances, limits, strict=True):
                yield np.flatnonzero(row[: len(self._points)] <= limit)

    def _named(
        self, rows: npt.NDArray[np.intp], squares: npt.NDArray[np.float32], count: int
    ) -> tuple[Neighbour, ...]:
        order = np.argsort(squares, kind="stable")[: 8 * count]  # rows ascend: ties stay in their order
        found: dict[str, Neighbour] = {}
        for row, square in zip(rows[order].tolist(), squares[order].tolist(), strict=True):
            star_id = self._star_ids[row]
            if star_id not in found:
                found[star_id] = Neighbour(star_id, self._star_classes[row], math.sqrt(square))
                if len(found) == count:
                    break
        return tuple(found.values())
