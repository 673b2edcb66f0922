"""How far a sample of windows is from those that a bundle was trained on: one index for each feature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin import drift
from broker_plugin.drift import Distribution
from broker_plugin.model import Bundle
from broker_plugin.model.mixture import Mixture
from broker_plugin.records.epoch import FloatArray
from training.scored import ScoredWindows

STABLE, SHIFTED = 0.1, 0.25  # what credit scoring calls stable and shifted (Siddiqi 2006)
_GRID = 1001
_SIGMAS = 6.0


@dataclass(frozen=True, slots=True)
class FeatureShift:
    """One feature.

    Attributes
    ----------
    name : str
    stability_index : float
        Population stability index; 0 for equal distributions.
    expected : float
        Its mean for a sample of this size from the training distribution itself.
    verdict : str
        "as trained", "somewhat shifted" or "shifted".
    """

    name: str
    stability_index: float
    expected: float
    verdict: str


def feature_shifts(bundle: Bundle, scored: ScoredWindows) -> list[FeatureShift]:
    """Compare the energy, every dimension of z, and the named features that the bundle has a reference of.

    Without a reference in the bundle the distribution of z in the training is that of its mixture.

    Parameters
    ----------
    bundle : Bundle
    scored : ScoredWindows
        The sample.
    """
    reference: dict[str, Distribution] = {"energy": drift.from_quantiles(bundle.energy_quantiles)}
    values: dict[str, FloatArray] = {"energy": scored.energy}
    features = dict(zip(scored.feature_names, scored.features.T, strict=True))
    for name, distribution in bundle.reference.items():
        if name in features:
            reference[name], values[name] = distribution, features[name]
    for dimension, name in enumerate(_z_names(bundle)):
        if name not in reference:
            reference[name] = _marginal(bundle.mixture, dimension)
            values[name] = scored.z[:, dimension]
    n = len(scored)
    shifts = []
    for name, distribution in reference.items():
        index = drift.stability_index(distribution, distribution.counts(values[name]))
        shifts.append(FeatureShift(name, index, (distribution.n_bins - 2) / n, _verdict(index)))
    return shifts


def _verdict(index: float) -> str:
    if index < STABLE:
        return "as trained"
    return "somewhat shifted" if index < SHIFTED else "shifted"


def _z_names(bundle: Bundle) -> list[str]:
    """Name the dimensions of z: embedding, reconstruction features, auxiliary features."""
    size = bundle.manifest.conventions.network.embedding_size
    names = [f"z_{k:02d}" for k in range(size)] + ["euclidean", "cosine"]
    within = bundle.manifest.conventions.z_size - len(names)
    return names + [f"{name} (in z)" for name in bundle.manifest.conventions.input.auxiliary[:within]]


def _marginal(mixture: Mixture, dimension: int) -> Distribution:
    """Return the distribution of one dimension of z under the mixture."""
    from scipy.special import ndtr

    mean = mixture.means[:, dimension]
    deviation = np.sqrt(mixture.covariances[:, dimension, dimension])
    heavy = mixture.weights > 1e-6
    low = float((mean - _SIGMAS * deviation)[heavy].min())
    high = float((mean + _SIGMAS * deviation)[heavy].max())
    grid = np.linspace(low, high, 20 * _GRID)
    below = (mixture.weights * ndtr((grid[:, None] - mean) / deviation)).sum(axis=1)
    quantiles = np.interp(np.linspace(0, 1, _GRID), below / below[-1], grid)
    return drift.from_quantiles(quantiles * mixture.z_scale[dimension] + mixture.z_mean[dimension])
