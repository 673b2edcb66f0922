"""From a trained network and a split to a bundle in memory and the runtime that scores with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from broker_plugin import drift
from broker_plugin.features import build_network_input
from broker_plugin.features.external import names_among
from broker_plugin.model import CLASSES, Bundle, Conventions, Scorer, ScoringWindow
from broker_plugin.model.bundle import GoldenVectors
from broker_plugin.model.manifest import FORMAT_VERSION, Manifest, Provenance, Thresholds
from broker_plugin.model.mixture import Mixture, fit_mixture
from broker_plugin.model.reference_stars import NeighbourSearch, ReferenceStars, remoteness
from broker_plugin.model.scorer import tempered
from broker_plugin.records.epoch import FloatArray
from training.bundle_writer import session_of
from training.external import columns_of, with_hidden
from training.fit import FittedNetwork
from training.golden import synthetic_external, synthetic_windows
from training.onnx_graph import build_onnx
from training.periods import FoldPeriods
from training.split import Split
from training.windows import WindowTable

NEIGHBOUR_WEIGHT = 4.0
"""Of the nearest training stars in the energy of a learned mixture. A class that was never seen can lie in an
empty corner of a broad component, at no high energy of the mixture, but near no star."""

_QUANTILES = 1001  # a tenth of a percent apart
_BATCH = 256
_NO_WEIGHT = 1e-300  # of a component without training windows: log 1e-300 = -691 never wins
_TEMPERATURES = (0.3, 3.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Latent:
    """What the network says of windows of a table.

    Attributes
    ----------
    z : ndarray, shape (n, l), float32
    gamma : ndarray, shape (n, K), float64
    features : dict of str to ndarray, shape (n,)
        Named and unscaled, as :attr:`broker_plugin.model.Score.features`.
    """

    z: npt.NDArray[np.float32]
    gamma: FloatArray
    features: dict[str, FloatArray]


def assemble(
    fitted: FittedNetwork,
    table: WindowTable,
    split: Split,
    found: FoldPeriods,
    *,
    name: str,
    version: str,
    provenance: Provenance,
    threads: int = 1,
    neighbour_weight: float | None = None,
) -> tuple[Bundle, Any]:
    """Return a bundle in memory and its runtime.

    In this order: 1. the serving graph is built, 2. z and gamma of all training windows give the mixture
    (where it was not learned) and the quantiles of its energies, 3. the calibration windows give the energies
    behind the p-values and the temperature of the probabilities, 4. the golden windows are scored.

    Parameters
    ----------
    fitted : FittedNetwork
    table, split : WindowTable, Split
        Any split; a class without training windows keeps a component without weight.
    found : FoldPeriods
        Of all windows of the table that the split names.
    name, version : str
    provenance : Provenance
    threads : int
        Of ONNX Runtime.
    neighbour_weight : float, optional
        Of the nearest training stars in the energy; by default :data:`NEIGHBOUR_WEIGHT` beside a learned
        mixture, and 0 beside one that is computed from z and gamma, as the paper has it.
    """
    conventions = fitted.conventions
    # Mixture and p-values are those of stars of which some values are missing, as in the stream.
    hidden = float(provenance.settings.get("photometric_dropout", 0.0))
    table = dataclasses.replace(table, external=with_hidden(table.external, hidden, provenance.seed))
    runtime = session_of(build_onnx(fitted.network, conventions), threads)
    train = latent_of(runtime, table, split.train, found.period_days, conventions)
    mixture = fitted.mixture
    if mixture is None:
        mixture = _fitted_mixture(train, np.unique(table.label[split.train]), conventions)
    if neighbour_weight is None:
        neighbour_weight = 0.0 if fitted.mixture is None else NEIGHBOUR_WEIGHT
    stars = ReferenceStars(train.z, table.star_id[split.train], table.label[split.train])
    near = NeighbourSearch(stars, CLASSES) if neighbour_weight else None
    energy = _energy(mixture, near, neighbour_weight, train.z, own=stars.star_id)
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        name=name,
        version=version,
        classes=CLASSES,
        conventions=conventions,
        thresholds=thresholds_of(energy),
        n_calibration=0,
        provenance=provenance,
        sha256={},
        neighbour_weight=neighbour_weight,
    )
    bundle = Bundle(
        path=Path(),
        digest="",
        manifest=manifest,
        mixture=mixture,
        energy_quantiles=np.percentile(energy, np.linspace(0, 100, _QUANTILES)),
        calibration_energies=np.empty(0),
        golden=no_golden(),
        reference_stars=stars,
        reference=drift.describe({**train.features, "energy": energy}),
    )
    if len(split.calibrate):
        held_out = latent_of(runtime, table, split.calibrate, found.period_days, conventions)
        temperature = fitted_temperature(held_out.gamma, table.label[split.calibrate])
        bundle = calibrated(
            dataclasses.replace(
                bundle,
                manifest=dataclasses.replace(bundle.manifest, probability_temperature=temperature),
            ),
            _energy(mixture, near, neighbour_weight, held_out.z),
            held_out.gamma.argmax(axis=1),
        )
    return with_golden(bundle, runtime), runtime


def calibrated(bundle: Bundle, energy: FloatArray, predicted: npt.NDArray[np.int64]) -> Bundle:
    """Return the bundle with p-values that rest on these energies of known windows and predicted classes."""
    order = np.argsort(energy, kind="stable")
    return dataclasses.replace(
        bundle,
        manifest=dataclasses.replace(bundle.manifest, n_calibration=len(energy)),
        calibration_energies=np.asarray(energy, dtype=np.float64)[order],
        calibration_classes=np.asarray(predicted, dtype=np.int64)[order],
    )


def recalibrated(
    bundle: Bundle, energy: FloatArray, predicted: npt.NDArray[np.int64], *, with_thresholds: bool = True
) -> Bundle:
    """Return the bundle for another sample of known windows: p-values, and thresholds and quantiles as well.

    Parameters
    ----------
    bundle : Bundle
    energy : ndarray, shape (n,)
        Of windows of ordinary stars of the survey.
    predicted : ndarray, shape (n,)
        Index of the predicted class of each.
    with_thresholds : bool
        Whether percentiles and thresholds are to be those of this sample, too.
    """
    bundle = calibrated(bundle, energy, predicted)
    if not with_thresholds:
        return bundle
    return dataclasses.replace(
        bundle,
        manifest=dataclasses.replace(bundle.manifest, thresholds=thresholds_of(energy)),
        energy_quantiles=np.percentile(energy, np.linspace(0, 100, _QUANTILES)),
    )


def thresholds_of(energy: FloatArray) -> Thresholds:
    """Return the paper's cuts; ours is the 95th percentile."""
    at_80, at_95 = (float(value) for value in np.percentile(energy, [80, 95]))
    return Thresholds(percentile_80=at_80, percentile_95=at_95, novel=at_95)


def fitted_temperature(gamma: FloatArray, label: npt.NDArray[np.int64]) -> float:
    """Return the temperature with the least cross-entropy (Guo et al. 2017, ICML)."""

    def entropy(log_temperature: float) -> float:
        own = tempered(gamma, float(np.exp(log_temperature)))[np.arange(len(label)), label]
        return -float(np.mean(np.log(np.maximum(own, 1e-12))))

    bounds = tuple(np.log(_TEMPERATURES))
    return float(np.exp(minimize_scalar(entropy, bounds=bounds, method="bounded").x))


def with_golden(bundle: Bundle, runtime: Any) -> Bundle:
    """Return the bundle with golden vectors: what it says of the synthetic windows."""
    windows = synthetic_windows(bundle.manifest.provenance.seed)
    names = names_among(bundle.manifest.conventions.input.auxiliary)
    external = synthetic_external(bundle.manifest.provenance.seed, len(windows.period_days), len(names))
    scores = Scorer(bundle, runtime).score(
        [
            ScoringWindow(time, mag, magerr, float(period), dict(zip(names, known.tolist(), strict=True)))
            for time, mag, magerr, period, known in zip(
                windows.time_mjd, windows.mag, windows.magerr, windows.period_days, external, strict=True
            )
        ]
    )
    golden = GoldenVectors(
        **dataclasses.asdict(windows),
        external=external,
        probabilities=np.array([score.probabilities for score in scores]),
        energy=np.array([score.energy for score in scores]),
        reconstruction_mag=np.array([score.reconstruction_mag for score in scores], dtype=np.float64),
    )
    return dataclasses.replace(bundle, golden=golden)


def latent_of(
    runtime: Any,
    table: WindowTable,
    index: npt.NDArray[np.int64],
    period_days: FloatArray,
    conventions: Conventions,
) -> Latent:
    """Run the network over windows of a table."""
    z, gamma, raw, mean = [], [], [], []
    for start in range(0, len(index), _BATCH):
        take = index[start : start + _BATCH]
        built = build_network_input(
            table.time_mjd[take],
            table.mag[take],
            table.magerr[take],
            period_days[take],
            conventions.input,
            external=columns_of(table.external, take),
        )
        output = runtime.predict(built.sequence, built.auxiliary)
        z.append(output.z.astype(np.float32))
        gamma.append(output.gamma.astype(np.float64))
        raw.append(built.raw_auxiliary)
        mean.append(built.mean_mag)
    m = conventions.network.embedding_size
    all_z = np.concatenate(z)
    features = dict(zip(conventions.input.auxiliary, np.concatenate(raw).T, strict=True))
    features |= {
        "euclidean": all_z[:, m].astype(np.float64),
        "cosine": all_z[:, m + 1].astype(np.float64),
        "mean_mag": np.concatenate(mean),
    }
    return Latent(all_z, np.concatenate(gamma), features)


def _energy(
    mixture: Mixture,
    near: NeighbourSearch | None,
    weight: float,
    z: npt.NDArray[np.float32],
    *,
    own: npt.NDArray[np.str_] | None = None,
) -> FloatArray:
    """Return the energies that the scorer will give; ``own`` are the stars of training windows."""
    energy = mixture.energy(z)
    return energy if near is None else energy + weight * remoteness(near.distance(z, own=own))


def _fitted_mixture(train: Latent, present: npt.NDArray[np.int64], conventions: Conventions) -> Mixture:
    """Compute the mixture from z and gamma of the classes that have training windows."""
    kept = train.gamma[:, present]
    fitted = fit_mixture(train.z, kept / kept.sum(axis=1, keepdims=True), conventions.mixture)
    size = train.gamma.shape[1]
    weights = np.full(size, _NO_WEIGHT)
    means = np.repeat(fitted.means[:1], size, axis=0)
    covariances = np.repeat(fitted.covariances[:1], size, axis=0)
    weights[present], means[present], covariances[present] = fitted.weights, fitted.means, fitted.covariances
    return Mixture(weights, means, covariances, fitted.z_mean, fitted.z_scale, conventions.mixture)


def no_golden() -> GoldenVectors:
    """Return empty ones, to be replaced by :func:`with_golden`."""
    empty: Any = np.empty(0)
    return GoldenVectors(**dict.fromkeys(GoldenVectors.__slots__, empty))
