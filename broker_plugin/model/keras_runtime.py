"""The network under Keras: the alternative runtime, and the two pieces that its file format needs by name.

The only module of this package that imports Keras (hence TensorFlow, JAX or PyTorch); it is imported by
whoever asks for that runtime and by training, never by a stream that serves ONNX.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import ops

from broker_plugin.errors import BundleError
from broker_plugin.model.network_output import NetworkOutput


@keras.saving.register_keras_serializable(package="broker_plugin")  # type: ignore[untyped-decorator]
def published_hard_sigmoid(x: Any) -> Any:
    """Return ``clip(0.2 x + 0.5, 0, 1)``: Keras 2's ``hard_sigmoid``; that of Keras 3 has slope 1/6."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="broker_plugin")
class ReconstructionFeatures(keras.layers.Layer):  # type: ignore[misc]  # keras ships no types
    """z_r of Eq. 2: relative Euclidean distance and cosine feature of a sequence and its reconstruction.

    Parameters
    ----------
    cosine_feature : {"cosine", "half_one_minus_cosine"}
    epsilon : float
        Added to both denominators.
    """

    def __init__(self, cosine_feature: str, epsilon: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cosine_feature = cosine_feature
        self.epsilon = epsilon

    def call(self, inputs: tuple[Any, Any]) -> Any:
        """Return shape (n, 2) from the sequence (n, L, 2) and its reconstruction (n, L)."""
        sequence, reconstruction = inputs
        x = sequence[:, :, 1]
        norm_x = _norm(x)
        euclidean = _norm(x - reconstruction) / (norm_x + self.epsilon)
        product = ops.sum(x * reconstruction, axis=1, keepdims=True)
        cosine = product / (norm_x * _norm(reconstruction) + self.epsilon)
        if self.cosine_feature == "half_one_minus_cosine":
            cosine = 0.5 * (1.0 - cosine)
        return ops.concatenate([euclidean, cosine], axis=1)

    def compute_output_shape(self, input_shape: tuple[tuple[int | None, ...], ...]) -> tuple[int | None, int]:
        """Return (n, 2)."""
        return (input_shape[0][0], 2)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "cosine_feature": self.cosine_feature, "epsilon": self.epsilon}


def _norm(x: Any) -> Any:
    # The gradient of sqrt is infinite at 0; 1e-24 is below float32's resolution of any sum met here.
    return ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True) + 1e-24)


class KerasRuntime:
    """Run ``network.keras`` through Keras' own compiled prediction function.

    Parameters
    ----------
    path : Path
        The bundle's ``network.keras``.

    Raises
    ------
    BundleError
        If Keras cannot read the file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._network = keras.saving.load_model(path, compile=False, safe_mode=True)
        except (ValueError, TypeError, OSError, KeyError) as error:
            msg = f"{path}: Keras {keras.__version__} cannot read the network ({error}); export it again"
            raise BundleError(msg) from error

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network; see :class:`broker_plugin.model.runtime.Runtime`."""
        # predict_on_batch, not predict: the latter builds a data pipeline for each call and leaks.
        reconstruction, z, gamma = self._network.predict_on_batch([sequence, auxiliary])
        return NetworkOutput(z=z, gamma=gamma, reconstruction=reconstruction)
