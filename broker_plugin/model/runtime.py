"""What runs the network: a protocol, and ONNX Runtime behind it (the default).

The only module that imports onnxruntime. Keras lives in :mod:`broker_plugin.model.keras_runtime` and is
imported when asked for.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Protocol

# Since 1.29 ONNX Runtime's Linux builds report to their maker and keep an identifier on disk. The variable is
# read once, when the library is loaded; setdefault: whoever wants to report may set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import numpy.typing as npt
import onnxruntime

from broker_plugin.errors import BundleError
from broker_plugin.model.network_output import NetworkOutput

RuntimeName = Literal["onnxruntime", "tensorflow"]


class Runtime(Protocol):
    """Something that runs the network of a bundle."""

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network.

        Parameters
        ----------
        sequence : ndarray, shape (n, L, 2), float32
            From :func:`broker_plugin.features.build_network_input`.
        auxiliary : ndarray, shape (n, k), float32
            Scaled.
        """


class OnnxRuntime:
    """Run ``network.onnx``.

    Parameters
    ----------
    path : Path
        The bundle's ``network.onnx``.
    threads : int
        Threads of one run; 0 lets ONNX Runtime take every core.

    Raises
    ------
    BundleError
        If the file is no network of ours.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A run that waits must not burn a core beside the consumers.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            # From bytes: the digest was checked on what is read here, and a path could hold external data.
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own classes, without a common root
            msg = f"{path}: ONNX Runtime {onnxruntime.__version__} refuses the network: {error}"
            raise BundleError(msg) from error
        found = [node.name for node in self._session.get_inputs()]
        if sorted(found) != ["auxiliary", "sequence"]:
            msg = f"{path}: the inputs are {found}; expected 'sequence' and 'auxiliary'; export it again"
            raise BundleError(msg)

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network; see :class:`Runtime`."""
        z, gamma, reconstruction = self._session.run(
            ["z", "gamma", "reconstruction"], {"sequence": sequence, "auxiliary": auxiliary}
        )
        return NetworkOutput(z=z, gamma=gamma, reconstruction=reconstruction)


def open_runtime(bundle_path: Path, name: RuntimeName = "onnxruntime", *, threads: int = 1) -> Runtime:
    """Open a bundle's network in the named runtime.

    Raises
    ------
    BundleError
        If the runtime is not installed or cannot read the network.
    """
    if name == "onnxruntime":
        return OnnxRuntime(bundle_path / "network.onnx", threads)
    try:
        from broker_plugin.model.keras_runtime import KerasRuntime
    except ImportError as error:
        msg = (
            f"runtime 'tensorflow' was asked for, but {error.name} is not installed; "
            "install broker-plugin[train], or set the runtime to 'onnxruntime'"
        )
        raise BundleError(msg) from error
    runtime: Runtime = KerasRuntime(bundle_path / "network.keras")
    return runtime
