"""Plain novelty detectors, trained on known windows; larger scores are more novel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import RobustScaler

from broker_plugin.records.epoch import FloatArray
from training.metrics import IntArray

_NEIGHBOURS = 10
_MIN_MEMBERS = 5
_TREES = 300

Detector = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True)
class Scaled:
    """Features brought to one scale by the training windows' median and quartiles, clipped far outside.

    A feature with one value for most windows keeps its own scale.
    """

    scaler: RobustScaler

    def __call__(self, features: FloatArray) -> FloatArray:
        """Return scaled features."""
        return np.asarray(np.clip(self.scaler.transform(features), -50.0, 50.0))


def fit_detectors(
    features: FloatArray, label: IntArray, *, seed: int, threads: int = 1
) -> dict[str, Detector]:
    """Return the detectors by name: distance to the 10th neighbour, class-wise Gaussians, isolation forest.

    Parameters
    ----------
    features : ndarray, shape (n, f)
        Of training windows of known classes.
    label : ndarray, shape (n,), int
    seed : int
        Of the isolation forest.
    threads : int
    """
    scaled = Scaled(RobustScaler(quantile_range=(10, 90)).fit(features))
    known = scaled(features)
    return {
        "kNN distance": _neighbours(known, scaled, threads),
        "class-wise Gaussians": _gaussians(known, label, scaled),
        "isolation forest": _isolation(known, scaled, seed, threads),
    }


def _neighbours(known: FloatArray, scaled: Scaled, threads: int) -> Detector:
    count = min(_NEIGHBOURS, len(known))
    tree = NearestNeighbors(n_neighbors=count, n_jobs=threads).fit(known)

    def score(features: FloatArray) -> FloatArray:
        distance, _ = tree.kneighbors(scaled(features))
        return np.asarray(distance[:, -1])

    return score


def _gaussians(known: FloatArray, label: IntArray, scaled: Scaled) -> Detector:
    """Negative log density of the nearest class: Gaussians, covariances shrunk as by Ledoit & Wolf (2004)."""
    fitted = []
    for k in np.unique(label):
        members = known[label == k]
        if len(members) < _MIN_MEMBERS:
            continue
        shrunk = LedoitWolf().fit(members)
        floor = 1e-6 * np.eye(known.shape[1])
        precision = np.linalg.inv(shrunk.covariance_ + floor)
        _, log_det = np.linalg.slogdet(shrunk.covariance_ + floor)
        fitted.append((shrunk.location_, precision, log_det))

    def score(features: FloatArray) -> FloatArray:
        points = scaled(features)
        energies = []
        for mean, precision, log_det in fitted:
            centred = points - mean
            energies.append(0.5 * (np.einsum("ni,ij,nj->n", centred, precision, centred) + log_det))
        return np.asarray(np.min(energies, axis=0))

    return score


def _isolation(known: FloatArray, scaled: Scaled, seed: int, threads: int) -> Detector:
    forest = IsolationForest(n_estimators=_TREES, random_state=seed, n_jobs=threads).fit(known)

    def score(features: FloatArray) -> FloatArray:
        return np.asarray(-forest.score_samples(scaled(features)))

    return score
