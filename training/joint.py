"""Joint training: one model whose loss is L_AE + L_CE + the losses of the mixture."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from broker_plugin.model.conventions import Conventions
from training.components import GaussianComponents
from training.losses import component_losses, cross_entropy, masked_mean, mean_energy, reconstruction_loss
from training.settings import TrainingSettings

Phase = Literal["joint", "autoencoder", "estimation"]

_NEVER = -30.0  # logarithm of the share of a class without windows


class JointModel(keras.Model):  # type: ignore[misc]  # keras ships no types
    """The network with the joint loss of Tsang & Schultz (2019), or with learned components.

    Fed with a dict ``sequence (n, L, 2)``, ``auxiliary (n, k)``, ``weight (n, L)`` and one-hot labels (n, K);
    a row of zeros is an outlier: it counts in the loss of the outliers only, and its weights are 0.

    Parameters
    ----------
    network : keras.Model
        From :func:`training.network.build_network`.
    components : GaussianComponents or None
        Where the mixture is learned.
    conventions : Conventions
    settings : TrainingSettings
    drawn, share : ndarray, shape (K,)
        Shares of the classes among the drawn and among all training windows.
    phase : {"joint", "autoencoder", "estimation"}
        Everything; L_AE alone; everything but L_AE, with z as it is.
    """

    def __init__(
        self,
        network: Any,
        components: GaussianComponents | None,
        conventions: Conventions,
        settings: TrainingSettings,
        *,
        drawn: npt.NDArray[np.float64],
        share: npt.NDArray[np.float64],
        phase: Phase = "joint",
    ) -> None:
        super().__init__()
        self.network = network
        self.components = components
        self._conventions = conventions
        self._settings = settings
        self._phase = phase
        wanted = _normalised(np.where(share > 0, share, np.nan) ** settings.prior_exponent)
        self._log_drawn = _log(drawn)
        self._log_share = _log(share)
        # A class without windows is left to the cross-entropy itself, which drives it to zero.
        self._shift = np.where(share > 0, _log(drawn) - _log(wanted), 0.0).astype(np.float32)
        self._estimation = None
        if phase == "estimation":
            self._estimation = keras.Model(
                network.get_layer("z").output, network.get_layer("gamma").output, name="estimation_network"
            )
        names = ["reconstruction_loss", "cross_entropy", "energy", "accuracy"]
        if components is not None:
            names += ["mixture_entropy", "distance", "outlier_entropy"]
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}

    def build(self, input_shape: Any) -> None:
        """Nothing to build: network and components are."""
        del input_shape
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return reconstruction, z and gamma."""
        reconstruction, z, gamma = self.network([inputs["sequence"], inputs["auxiliary"]], training=training)
        if self._estimation is not None:
            z = ops.stop_gradient(z)
            gamma = self._estimation(z, training=training)
        return {"reconstruction": reconstruction, "z": z, "gamma": gamma}

    def compute_loss(
        self,
        x: dict[str, Any] | None = None,
        y: Any = None,
        y_pred: dict[str, Any] | None = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the loss and update the trackers of its parts."""
        del sample_weight, training
        assert x is not None
        assert y_pred is not None
        settings = self._settings
        known = ops.sum(y, axis=1)
        parts = {
            "cross_entropy": cross_entropy(
                y,
                y_pred["gamma"],
                shift=self._shift if np.any(self._shift) else None,
                smoothing=settings.label_smoothing,
                known=known,
            ),
        }
        loss = 0.0
        if "reconstruction" in y_pred:
            # The mean is over all windows, and outliers have no weight.
            weighted = reconstruction_loss(x["sequence"], y_pred["reconstruction"], x["weight"])
            parts["reconstruction_loss"] = weighted / ops.maximum(ops.mean(known), 1e-6)
            if self._phase != "estimation":
                loss = loss + parts["reconstruction_loss"]
        if self._phase != "autoencoder":
            loss = loss + parts["cross_entropy"]
        if self.components is None:
            parts["energy"] = mean_energy(
                y_pred["z"],
                y_pred["gamma"],
                covariance_floor=settings.batch_covariance_floor,
                standardise=self._conventions.mixture.standardise_z,
                paper_normaliser=self._conventions.mixture.normaliser == "paper",
            )
            if self._phase != "autoencoder":
                loss = loss + settings.energy_weight * parts["energy"]
        else:
            log_density = self.components(y_pred["z"])
            parts |= component_losses(
                log_density,
                y,
                known,
                log_drawn=self._log_drawn,
                log_share=self._log_share,
                level=self.components.level,
            )
            log_weighted = ops.add(log_density, self._log_share[None])
            parts["energy"] = -masked_mean(ops.logsumexp(log_weighted, axis=1), known)
            if self._phase != "autoencoder":
                loss = loss + settings.mixture_weight * (
                    parts["mixture_entropy"] + settings.compactness * parts["distance"]
                )
                if settings.uses_outliers:
                    loss = loss + settings.outlier_weight * parts["outlier_entropy"]
        hits = ops.cast(ops.equal(ops.argmax(y, axis=1), ops.argmax(y_pred["gamma"], axis=1)), "float32")
        parts["accuracy"] = masked_mean(hits, known)
        for name, value in parts.items():
            self._trackers[name].update_state(value)
        return loss

    @property
    def left_alone(self) -> list[Any]:
        """Return the variables of the network that the loss of the phase "estimation" does not reach."""
        if self._estimation is None:
            return []
        trained = {id(variable) for variable in self._estimation.trainable_variables}
        return [variable for variable in self.network.trainable_variables if id(variable) not in trained]

    @property
    def metrics(self) -> list[Any]:
        """Return the loss tracker of Keras and ours, so that all are reset each epoch."""
        tracked = list(super().metrics)
        known = {id(metric) for metric in tracked}
        return tracked + [metric for metric in self._trackers.values() if id(metric) not in known]


def _log(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.where(share > 0, np.log(np.where(share > 0, share, 1.0)), _NEVER).astype(np.float32)


def _normalised(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.nan_to_num(values / np.nansum(values))
