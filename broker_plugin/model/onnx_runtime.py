"""The network under ONNX Runtime, the default. The only module that imports onnxruntime."""

from __future__ import annotations

import os
from pathlib import Path

# Since 1.29 ONNX Runtime's Linux builds report to their maker and keep an identifier on disk. The variable is
# read once, when the library is loaded; setdefault: whoever wants to report may set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import numpy.typing as npt
import onnxruntime

from broker_plugin.errors import BundleError
from broker_plugin.model.blocks import Block, Blocks
from broker_plugin.model.network_output import NetworkOutput

_AT_ONCE = 16
"""Sequences of one run: their states through 200 steps stay in the processor's cache. With 128 at once each
takes 1.2 to 1.4 times as long."""


class OnnxRuntime:
    """Run ``network.onnx``.

    Parameters
    ----------
    path : Path
        The bundle's ``network.onnx``.
    threads : int
        See :func:`broker_plugin.model.runtime.open_runtime`.

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
        self._blocks = Blocks(self._run, _AT_ONCE, threads)

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network; see :class:`broker_plugin.model.runtime.Runtime`."""
        return self._blocks.predict(sequence, auxiliary)

    def _run(self, block: Block) -> NetworkOutput:
        sequence, auxiliary = block
        outputs = self._session.run(
            ["z", "gamma", "reconstruction"], {"sequence": sequence, "auxiliary": auxiliary}
        )
        return NetworkOutput(*outputs)
