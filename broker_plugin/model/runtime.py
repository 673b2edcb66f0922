"""What runs the network: a protocol, and the library behind it that was asked for.

Each library is imported by one module, and that module when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from broker_plugin.errors import BundleError
from broker_plugin.model.network_output import NetworkOutput

RuntimeName = Literal["onnxruntime", "openvino", "tensorflow"]


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


def open_runtime(bundle_path: Path, name: RuntimeName = "onnxruntime", *, threads: int = 1) -> Runtime:
    """Open a bundle's network in the named runtime.

    Parameters
    ----------
    bundle_path : Path
    name : {"onnxruntime", "openvino", "tensorflow"}
    threads : int
        That share the network's runs between them; 0: one for each core. TensorFlow takes what it likes.

    Raises
    ------
    BundleError
        If the runtime is not installed or cannot read the network.
    """
    runtime: Runtime
    if name == "tensorflow":
        runtime = _module(name, "keras_runtime", "train").KerasRuntime(bundle_path / "network.keras")
    elif name == "openvino":
        opened = _module(name, "openvino_runtime", "openvino")
        runtime = opened.OpenVinoRuntime(bundle_path / "network.onnx", threads)
    else:
        from broker_plugin.model.onnx_runtime import OnnxRuntime

        runtime = OnnxRuntime(bundle_path / "network.onnx", threads)
    return runtime


def _module(runtime: RuntimeName, module: str, extra: str) -> Any:
    """Return the module of a runtime that is not always installed."""
    try:
        return import_module(f"broker_plugin.model.{module}")
    except ImportError as error:
        msg = (
            f"runtime '{runtime}' was asked for, but {error.name} is not installed; "
            f"install broker-plugin[{extra}], or set the runtime to 'onnxruntime'"
        )
        raise BundleError(msg) from error
