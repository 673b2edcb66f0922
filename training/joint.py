"""Joint training: one model whose loss is L_AE + lambda L_GMM + L_CE."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from broker_plugin.model.conventions import Conventions
from training.losses import cross_entropy, mean_energy, reconstruction_loss


class JointModel(keras.Model):  # type: ignore[misc]  # keras ships no types
    """The network with the joint loss of Tsang & Schultz (2019).

    Fed with a dict ``sequence (n, L, 2)``, ``auxiliary (n, k)``, ``weight (n, L)`` and one-hot labels (n, K).

    Parameters
    ----------
    network : keras.Model
        From :func:`training.network.build_network`.
    conventions : Conventions
    energy_weight : float
        lambda.
    covariance_floor : float
        Of the batch mixture: larger than the bundle's, since a class has few windows in a batch.
    """

    def __init__(
        self, network: Any, conventions: Conventions, energy_weight: float, covariance_floor: float
    ) -> None:
        super().__init__()
        self.network = network
        self._conventions = conventions
        self._energy_weight = energy_weight
        self._covariance_floor = covariance_floor
        names = ("reconstruction_loss", "cross_entropy", "energy", "accuracy")
        self._trackers = {name: keras.metrics.Mean(name=name) for name in names}

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return reconstruction, z and gamma."""
        reconstruction, z, gamma = self.network([inputs["sequence"], inputs["auxiliary"]], training=training)
        return {"reconstruction": reconstruction, "z": z, "gamma": gamma}

    def compute_loss(
        self,
        x: dict[str, Any] | None = None,
        y: Any = None,
        y_pred: dict[str, Any] | None = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Return the joint loss and update the trackers of its parts."""
        del sample_weight, training
        assert x is not None
        assert y_pred is not None
        reconstruction = reconstruction_loss(x["sequence"], y_pred["reconstruction"], x["weight"])
        entropy = cross_entropy(y, y_pred["gamma"])
        energy = mean_energy(
            y_pred["z"],
            y_pred["gamma"],
            covariance_floor=self._covariance_floor,
            standardise=self._conventions.mixture.standardise_z,
            paper_normaliser=self._conventions.mixture.normaliser == "paper",
        )
        hits = ops.equal(ops.argmax(y, axis=1), ops.argmax(y_pred["gamma"], axis=1))
        self._trackers["reconstruction_loss"].update_state(reconstruction)
        self._trackers["cross_entropy"].update_state(entropy)
        self._trackers["energy"].update_state(energy)
        self._trackers["accuracy"].update_state(ops.mean(ops.cast(hits, "float32")))
        return reconstruction + entropy + self._energy_weight * energy

    @property
    def metrics(self) -> list[Any]:
        """Return the loss tracker of Keras and ours, so that all are reset each epoch."""
        tracked = list(super().metrics)
        known = {id(metric) for metric in tracked}
        return tracked + [metric for metric in self._trackers.values() if id(metric) not in known]
