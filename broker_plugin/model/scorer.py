"""From windows and periods to probabilities and energies: what the stream and the evaluation both call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from broker_plugin.errors import BundleError
from broker_plugin.features import NetworkInput, build_network_input, screen, screen_windows
from broker_plugin.features.external import as_columns, names_among
from broker_plugin.model.bundle import Bundle, load_bundle
from broker_plugin.model.calibration import Calibration
from broker_plugin.model.mixture import energy_from_log_joint
from broker_plugin.model.network_output import NetworkOutput
from broker_plugin.model.reference_stars import NEIGHBOURS, NeighbourSearch, remoteness
from broker_plugin.model.runtime import Runtime, RuntimeName, open_runtime
from broker_plugin.records.annotation import Neighbour
from broker_plugin.records.epoch import Float32Array, FloatArray

PROBABILITY_TOLERANCE = 1e-4
ENERGY_TOLERANCE = 1e-3
"""float32 networks on different processors and runtimes agree to these (measured 1e-5 and 1e-4); a wrong
weight, convention or gate order misses them by orders of magnitude. The energy's is relative beyond 1."""

MAGNITUDE_TOLERANCE = 1e-3

Window = (
    tuple[FloatArray, Float32Array, Float32Array, float]
    | tuple[FloatArray, Float32Array, Float32Array, float, Mapping[str, float]]
)
"""What makes a :class:`ScoringWindow`."""


class ScoringWindow(NamedTuple):
    """A window of L epochs and its fold period.

    Attributes
    ----------
    time_mjd : ndarray, shape (L,), float64
        Time order.
    mag, magerr : ndarray, shape (L,), float32
    period_days : float
        Positive.
    external : mapping of str to float
        What is known besides the epochs, see :func:`broker_plugin.features.external.external_features`.
    """

    time_mjd: FloatArray
    mag: Float32Array
    magerr: Float32Array
    period_days: float
    external: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Score:
    """What the model says of one window.

    Attributes
    ----------
    probabilities : ndarray, shape (K,), float64
        In the order of the bundle's classes; sums to one.
    predicted_class : str
        The most probable.
    energy : float
        Sample energy, with the distance of the nearest training stars where the manifest says so
        (``neighbour_weight``); high means unlike the training stars.
    percentile : float
        Where the energy lies among the training energies, 0 to 100.
    p_value : float or None
        Conformal: (1 + held-out known windows at least as extreme) / (1 + all of them), of those with the
        same predicted class where the bundle has enough of them. None if the bundle is not calibrated.
    novel_80, novel_95, novel : bool
        Energy at or above the bundle's thresholds.
    responsible_index : int
        Mixture component with the highest responsibility.
    responsible_component : str
        Its name.
    euclidean, cosine : float
        Reconstruction features (Eq. 2) as the network computed them.
    mean_mag, std_mag : float
        Of the window, magnitudes; population standard deviation.
    z : ndarray, shape (l,), float64
        The network's latent vector.
    phase : ndarray, shape (L,), float64
        Phase in [0, 1) of each epoch, in the order of the window.
    reconstruction_mag : ndarray, shape (L,), float32
        The network's reconstruction of each epoch, magnitudes, in the order of the window.
    features : dict of str to float
        The auxiliary features by name, unscaled, and ``euclidean``, ``cosine``, ``mean_mag``.
    neighbours : tuple of Neighbour
        The nearest training stars in z, nearest first; empty if the bundle has none.
    """

    probabilities: FloatArray
    predicted_class: str
    energy: float
    percentile: float
    p_value: float | None
    novel_80: bool
    novel_95: bool
    novel: bool
    responsible_index: int
    responsible_component: str
    euclidean: float
    cosine: float
    mean_mag: float
    std_mag: float
    z: FloatArray
    phase: FloatArray
    reconstruction_mag: Float32Array
    features: Mapping[str, float]
    neighbours: tuple[Neighbour, ...]


class Scorer:
    """Score windows with a bundle; a window's score does not depend on the others of its batch.

    Parameters
    ----------
    bundle : Bundle
    runtime : Runtime
        Of the bundle's network.
    batch_size : int
        Sequences in one run of the network; bounds memory.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime, *, batch_size: int = 256) -> None:
        self.bundle = bundle
        self._runtime = runtime
        self._batch_size = batch_size
        self._calibration = Calibration(bundle.calibration_energies, bundle.calibration_classes)
        stars, classes = bundle.reference_stars, bundle.manifest.classes
        self._neighbours = None if stars is None else NeighbourSearch(stars, classes)

    def score(self, windows: Sequence[Window]) -> list[Score]:
        """Score windows of (time_mjd, mag, magerr, period_days) and perhaps external features, in order.

        Raises
        ------
        ValueError
            For a window that :func:`broker_plugin.features.screen` rejects, of another length, or with a
            period that is not positive: callers screen first; a score of such a window would be a lie.
        """
        scores: list[Score] = []
        for start in range(0, len(windows), self._batch_size):
            scores.extend(
                self._score_batch([ScoringWindow(*w) for w in windows[start : start + self._batch_size]])
            )
        return scores

    def check_golden(self) -> None:
        """Score the golden windows in one batch and each alone, and compare with the stored outputs.

        Raises
        ------
        BundleError
            At the first difference beyond the tolerances.
        """
        golden = self.bundle.golden
        names = names_among(self.bundle.manifest.conventions.input.auxiliary)
        external = golden.external if names else np.empty((len(golden.energy), 0))
        windows = [
            ScoringWindow(time, mag, magerr, float(period), dict(zip(names, known.tolist(), strict=True)))
            for time, mag, magerr, period, known in zip(
                golden.time_mjd, golden.mag, golden.magerr, golden.period_days, external, strict=True
            )
        ]
        alone = [self.score([window])[0] for window in windows]
        for how, scores in (("in a batch", self.score(windows)), ("alone", alone)):
            for index, score in enumerate(scores):
                energy = float(golden.energy[index])
                differences = {
                    "probabilities": (
                        float(np.abs(score.probabilities - golden.probabilities[index]).max()),
                        PROBABILITY_TOLERANCE,
                    ),
                    "energy": (abs(score.energy - energy), ENERGY_TOLERANCE * max(1.0, abs(energy))),
                    "reconstruction_mag": (
                        float(np.abs(score.reconstruction_mag - golden.reconstruction_mag[index]).max()),
                        MAGNITUDE_TOLERANCE,
                    ),
                }
                for name, (difference, tolerance) in differences.items():
                    if not difference <= tolerance:
                        msg = (
                            f"{self.bundle.path}: golden window {index} scored {how}: {name} differ by "
                            f"{difference:.3g}, expected at most {tolerance:.3g}; network, mixture and "
                            "golden.npz do not belong together: install the bundle again"
                        )
                        raise BundleError(msg)

    def _score_batch(self, windows: list[ScoringWindow]) -> list[Score]:
        conventions = self.bundle.manifest.conventions.input
        built = build_network_input(
            *self._stacked(windows),
            np.array([w.period_days for w in windows]),
            conventions,
            external=as_columns([w.external for w in windows], conventions.auxiliary),
        )
        output = self._runtime.predict(
            np.ascontiguousarray(built.sequence, dtype=np.float32),
            np.ascontiguousarray(built.auxiliary, dtype=np.float32),
        )
        log_joint = self.bundle.mixture.log_joint(output.z)
        energies = energy_from_log_joint(log_joint)
        neighbours: list[tuple[Neighbour, ...]] = [()] * len(windows)
        if self._neighbours is not None:
            neighbours = self._neighbours.nearest(output.z.astype(np.float64), NEIGHBOURS)
        weight = self.bundle.manifest.neighbour_weight
        if weight:
            energies = energies + weight * remoteness(np.array([stars[-1].distance for stars in neighbours]))
        return self._judge(built, output, energies, log_joint.argmax(axis=1), neighbours)

    def _stacked(self, windows: list[ScoringWindow]) -> tuple[FloatArray, Float32Array, Float32Array]:
        """Return times, magnitudes and errors, each (n, L), of windows that can all be scored."""
        length = self.bundle.manifest.conventions.network.sequence_length
        for index, window in enumerate(windows):
            if len(window.time_mjd) != length:
                found = screen(*window[:3]) or f"{len(window.time_mjd)} epochs, expected {length}"
                msg = f"window {index} cannot be scored: {found}"
                raise ValueError(msg)
        time_mjd, mag, magerr = (np.stack(column) for column in list(zip(*windows, strict=True))[:3])
        for index, reason in enumerate(screen_windows(time_mjd, mag, magerr)):
            if reason is not None:
                msg = f"window {index} cannot be scored: {reason}"
                raise ValueError(msg)
        return time_mjd, mag, magerr

    def _judge(
        self,
        built: NetworkInput,
        output: NetworkOutput,
        energies: FloatArray,
        responsible: npt.NDArray[np.intp],
        neighbours: list[tuple[Neighbour, ...]],
    ) -> list[Score]:
        """Put together what is known of each window of a batch."""
        manifest = self.bundle.manifest
        probabilities = tempered(output.gamma.astype(np.float64), manifest.probability_temperature)
        z = output.z.astype(np.float64)
        reconstruction = built.to_magnitudes(output.reconstruction).astype(np.float32)
        for array in (probabilities, z, reconstruction):
            array.setflags(write=False)
        conventions = manifest.conventions
        m = conventions.network.embedding_size
        percentiles = energy_percentiles(energies, self.bundle.energy_quantiles).tolist()
        distances = z[:, m : m + 2].tolist()
        mean_mag, std_mag = built.mean_mag.tolist(), built.std_mag.tolist()
        auxiliary = built.raw_auxiliary.tolist()
        classes, components = probabilities.argmax(axis=1).tolist(), responsible.tolist()
        scores: list[Score] = []
        for i, energy in enumerate(energies.tolist()):
            predicted, component = classes[i], components[i]
            euclidean, cosine = distances[i]
            features = dict(zip(conventions.input.auxiliary, auxiliary[i], strict=True))
            features |= {"euclidean": euclidean, "cosine": cosine, "mean_mag": mean_mag[i]}
            score = Score(
                probabilities=probabilities[i],
                predicted_class=manifest.classes[predicted],
                energy=energy,
                percentile=percentiles[i],
                p_value=self._calibration.p_value(energy, predicted),
                novel_80=energy >= manifest.thresholds.percentile_80,
                novel_95=energy >= manifest.thresholds.percentile_95,
                novel=energy >= manifest.thresholds.novel,
                responsible_index=component,
                responsible_component=manifest.classes[component],
                euclidean=euclidean,
                cosine=cosine,
                mean_mag=mean_mag[i],
                std_mag=std_mag[i],
                z=z[i],
                phase=built.phase[i],
                reconstruction_mag=reconstruction[i],
                features=features,
                neighbours=neighbours[i],
            )
            scores.append(score)
        return scores


def energy_percentiles(energies: FloatArray, quantiles: FloatArray) -> FloatArray:
    """Return the percentile, 0 to 100, of each energy in a table of equally spaced quantiles."""
    return np.interp(energies, quantiles, _percents(len(quantiles)))


@cache
def _percents(size: int) -> FloatArray:
    percents = np.linspace(0.0, 100.0, size)
    percents.setflags(write=False)
    return percents


def tempered(gamma: FloatArray, temperature: float) -> FloatArray:
    """Return probabilities in proportion to ``gamma ** (1 / temperature)``, along the last axis."""
    if temperature != 1.0:
        gamma = (gamma / gamma.max(axis=-1, keepdims=True)) ** (1.0 / temperature)
    probabilities: FloatArray = gamma / gamma.sum(axis=-1, keepdims=True)
    return probabilities


def open_scorer(
    path: Path, runtime: RuntimeName = "onnxruntime", *, threads: int = 1, batch_size: int = 256
) -> Scorer:
    """Load a bundle, open its network and let it prove itself on its golden windows.

    Raises
    ------
    BundleError
        If a file is damaged, the runtime missing, or a golden output not reproduced.
    """
    bundle = load_bundle(path)
    scorer = Scorer(bundle, open_runtime(path, runtime, threads=threads), batch_size=batch_size)
    scorer.check_golden()
    return scorer
