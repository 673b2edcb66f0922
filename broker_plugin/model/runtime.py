"""What runs the network: a protocol, and ONNX Runtime behind it (the default).

The only module that imports onnxruntime. Keras lives in :mod:`broker_plugin.model.keras_runtime` and is
imported when asked for.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
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

_AT_ONCE = 16
"""Sequences of one run: their states through 200 steps stay in the processor's cache. With 128 at once each
takes 1.4 times as long."""

RuntimeName = Literal["onnxruntime", "tensorflow"]


_Block = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


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
        That share the runs between them; 0: one for each core. One run has one thread: its products are too
        small to be shared.

    Raises
    ------
    BundleError
        If the file is no network of ours.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
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
        threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(threads, "network") if threads > 1 else None

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network; see :class:`Runtime`."""
        starts = range(0, len(sequence), _AT_ONCE)
        blocks = [
            (sequence[start : start + _AT_ONCE], auxiliary[start : start + _AT_ONCE]) for start in starts
        ]
        mapped = map if self._pool is None or len(blocks) == 1 else self._pool.map
        z, gamma, reconstruction = zip(*mapped(self._run, blocks), strict=True)
        if len(blocks) == 1:
            return NetworkOutput(z[0], gamma[0], reconstruction[0])
        return NetworkOutput(np.concatenate(z), np.concatenate(gamma), np.concatenate(reconstruction))

    def _run(self, block: _Block) -> list[npt.NDArray[np.float32]]:
        sequence, auxiliary = block
        outputs: list[npt.NDArray[np.float32]] = self._session.run(
            ["z", "gamma", "reconstruction"], {"sequence": sequence, "auxiliary": auxiliary}
        )
        return outputs


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
