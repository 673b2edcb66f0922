"""A head start for what stands on the encoder: trained on encoder states that are computed once.

The recurrent layers are nearly all of the cost, and the dense ones learn from many more steps than two cores
can afford of the whole network. The encoder stays as it is here (random, or of an earlier run), so that its
states are arrays and a step costs a hundredth.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from broker_plugin.model.conventions import Conventions
from broker_plugin.records.epoch import Float32Array
from training.joint import JointModel
from training.network import Regularisation

_BLOCK = 512


class HeadModel(JointModel):
    """The layers between encoder state and class probabilities, with all losses but the reconstruction's.

    Fed with ``hidden (n, H)``, ``auxiliary (n, k)`` and ``given (n, 2)``, the reconstruction features.
    """

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        """Return z and gamma."""
        z, gamma = self.network([inputs["hidden"], inputs["auxiliary"], inputs["given"]], training=training)
        return {"z": z, "gamma": gamma}


def build_heads(network: Any, conventions: Conventions, rates: Regularisation, seed: int) -> Any:
    """Return a model of those layers; it shares their weights with the network.

    Inputs ``[hidden (n, H), auxiliary (n, k), given (n, 2)]``, outputs ``[z (n, l), gamma (n, K)]``.
    """
    shape, layers = conventions.network, keras.layers
    hidden = keras.Input((shape.hidden_size,), name="hidden")
    auxiliary = keras.Input((len(conventions.input.auxiliary),), name="auxiliary")
    given = keras.Input((2,), name="given")
    state = hidden
    if shape.auxiliary_hidden:
        beside = layers.GaussianNoise(rates.auxiliary_noise, seed=seed)(auxiliary)
        for number in range(len(shape.auxiliary_hidden)):
            beside = network.get_layer(f"auxiliary_{number}")(beside)
            beside = layers.Dropout(rates.auxiliary_dropout, seed=seed + 1 + number)(beside)
        kept = layers.Dropout(rates.state_dropout, noise_shape=(None, 1), seed=seed + 20)(hidden)
        state = layers.Concatenate()([kept, beside])
    embedding = network.get_layer("encoding")(state)
    z = layers.Concatenate()([embedding, given, auxiliary[:, : conventions.auxiliary_in_z]])
    estimation = layers.Dropout(rates.estimation_dropout, seed=seed + 9)(network.get_layer("estimation")(z))
    return keras.Model([hidden, auxiliary, given], [z, network.get_layer("gamma")(estimation)], name="heads")


def encoder_states(network: Any, arrays: dict[str, Float32Array]) -> tuple[Float32Array, Float32Array]:
    """Return the encoder's last states (n, H) and the reconstruction features (n, 2) of training arrays."""
    model = keras.Model(
        network.inputs,
        [network.get_layer("encode_1").output, network.get_layer("reconstruction_features").output],
    )
    parts = [
        model.predict_on_batch(
            [arrays["sequence"][start : start + _BLOCK], arrays["auxiliary"][start : start + _BLOCK]]
        )
        for start in range(0, len(arrays["sequence"]), _BLOCK)
    ]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def one_hot_of(label: npt.NDArray[np.int64], n_classes: int) -> Float32Array:
    """Return one-hot labels, shape (n, K); a row of zeros where the label is negative."""
    rows = np.zeros((len(label), n_classes), dtype=np.float32)
    known = label >= 0
    rows[known, label[known]] = 1.0
    return rows
