"""The network of Tsang & Schultz (2019) in Keras 3: autoencoder, z, estimation network.

``keras.ops`` and built-in layers only, so that the same code trains on TensorFlow, JAX or PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from broker_plugin.model.conventions import Conventions
from broker_plugin.model.keras_runtime import ReconstructionFeatures, published_hard_sigmoid


@dataclass(frozen=True, slots=True)
class Regularisation:
    """What acts in training only.

    Attributes
    ----------
    gru_dropout, estimation_dropout : float
        As in the paper.
    state_dropout : float
        Part of the windows whose encoder state is dropped whole, so that the auxiliary features must do; the
        encoder alone knows single training stars by heart.
    auxiliary_dropout : float
        After each layer through which the auxiliary features enter the embedding.
    auxiliary_noise : float
        Standard deviation of the noise on the scaled auxiliary features on that way.
    """

    gru_dropout: float = 0.25
    estimation_dropout: float = 0.5
    state_dropout: float = 0.0
    auxiliary_dropout: float = 0.25
    auxiliary_noise: float = 0.15


def build_network(
    conventions: Conventions,
    *,
    dtype: str = "float32",
    seed: int = 0,
    regularisation: Regularisation | None = None,
) -> Any:
    """Build the untrained network.

    Parameters
    ----------
    conventions : Conventions
        Shape and variant; how z's auxiliary part is scaled does not concern the network.
    dtype : str
        ``"float64"`` for comparisons with golden arrays.
    seed : int
        Of the initial weights and of dropout.
    regularisation : Regularisation, optional
        The paper's by default.

    Returns
    -------
    keras.Model
        Inputs ``[sequence (n, L, 2), auxiliary (n, k)]``; outputs
        ``[reconstruction (n, L), z (n, l), gamma (n, K)]``.
    """
    shape = conventions.network
    layers = keras.layers
    rates = regularisation or Regularisation()
    seeds = keras.random.SeedGenerator(seed)

    def initial(size: str) -> Any:
        kind = keras.initializers.Orthogonal if size == "recurrent" else keras.initializers.GlorotUniform
        return kind(seed=seeds)

    def gru(name: str, *, return_sequences: bool) -> Any:
        hard = shape.recurrent_activation == "hard_sigmoid_0.2"
        return layers.GRU(
            shape.hidden_size,
            return_sequences=return_sequences,
            reset_after=shape.gru_reset_after,
            recurrent_activation=published_hard_sigmoid if hard else "sigmoid",
            kernel_initializer=initial("kernel"),
            recurrent_initializer=initial("recurrent"),
            dtype=dtype,
            name=name,
        )

    def dense(units: int, name: str, activation: str | None = None) -> Any:
        return layers.Dense(
            units, activation=activation, kernel_initializer=initial("kernel"), dtype=dtype, name=name
        )

    sequence = keras.Input((shape.sequence_length, 2), dtype=dtype, name="sequence")
    auxiliary = keras.Input((len(conventions.input.auxiliary),), dtype=dtype, name="auxiliary")

    hidden = gru("encode_0", return_sequences=True)(sequence)
    hidden = layers.Dropout(rates.gru_dropout, seed=seed + 1, dtype=dtype, name="drop_encode_0")(hidden)
    hidden = gru("encode_1", return_sequences=False)(hidden)
    if shape.dropout_after == "both_encoder_grus":
        hidden = layers.Dropout(rates.gru_dropout, seed=seed + 2, dtype=dtype, name="drop_encode_1")(hidden)
    if shape.auxiliary_hidden:
        beside = layers.GaussianNoise(
            rates.auxiliary_noise, seed=seed + 5, dtype=dtype, name="noise_auxiliary"
        )(auxiliary)
        for number, units in enumerate(shape.auxiliary_hidden):
            beside = dense(units, f"auxiliary_{number}", "silu")(beside)
            beside = layers.Dropout(
                rates.auxiliary_dropout, seed=seed + 6 + number, dtype=dtype, name=f"drop_auxiliary_{number}"
            )(beside)
        hidden = layers.Dropout(
            rates.state_dropout, noise_shape=(None, 1), seed=seed + 20, dtype=dtype, name="drop_state"
        )(hidden)
        hidden = layers.Concatenate(dtype=dtype, name="encoder_output")([hidden, beside])
    embedding = dense(shape.embedding_size, "encoding")(hidden)

    lags = sequence[:, :, :1]
    repeated = layers.RepeatVector(shape.sequence_length, dtype=dtype, name="repeat")(embedding)
    hidden = layers.Concatenate(dtype=dtype, name="decoder_input")([lags, repeated])
    hidden = gru("decode_0", return_sequences=True)(hidden)
    hidden = layers.Dropout(rates.gru_dropout, seed=seed + 3, dtype=dtype, name="drop_decode_0")(hidden)
    hidden = gru("decode_1", return_sequences=True)(hidden)
    reconstruction = layers.Reshape((shape.sequence_length,), dtype=dtype, name="reconstruction")(
        dense(1, "decoded")(hidden)
    )

    features = ReconstructionFeatures(
        shape.cosine_feature, shape.reconstruction_epsilon, dtype=dtype, name="reconstruction_features"
    )([sequence, reconstruction])
    z_auxiliary = auxiliary[:, : conventions.auxiliary_in_z]
    z = layers.Concatenate(dtype=dtype, name="z")([embedding, features, z_auxiliary])
    estimation = dense(shape.estimation_size or shape.embedding_size, "estimation", "tanh")(z)
    estimation = layers.Dropout(rates.estimation_dropout, seed=seed + 4, dtype=dtype, name="drop_estimation")(
        estimation
    )
    gamma = dense(shape.n_classes, "gamma", "softmax")(estimation)
    return keras.Model([sequence, auxiliary], [reconstruction, z, gamma], name="tsang_schultz")
