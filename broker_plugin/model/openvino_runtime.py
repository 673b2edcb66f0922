"""The network under OpenVINO. The only module that imports openvino.

On processors with AVX-512 a window of a batch takes 0.7 of its time under ONNX Runtime; one window alone
takes longer (``docs/reference/benchmarks.md``). Here, too, the others of a batch cannot change a last bit.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

from broker_plugin.errors import BundleError
from broker_plugin.model.blocks import Block, Blocks
from broker_plugin.model.network_output import NetworkOutput

_AT_ONCE = 128  # sequences of one run; 32 take 2 % longer, 512 a tenth


class OpenVinoRuntime:
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
        threads = threads or os.cpu_count() or 1
        options = {
            # As the network was trained: processors that have bfloat16 would be given that.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        core = openvino.Core()
        try:
            # From bytes: the digest was checked on what is read here, and a path could hold external data.
            model = core.read_model(path.read_bytes(), b"")
            found = sorted(port.get_any_name() for port in model.inputs)
            if found == ["auxiliary", "sequence"]:
                self._model = core.compile_model(model, "CPU", options)
        except Exception as error:  # of several kinds, RuntimeError most of them
            msg = f"{path}: OpenVINO {openvino.__version__} refuses the network: {error}"
            raise BundleError(msg) from error
        if found != ["auxiliary", "sequence"]:
            msg = f"{path}: the inputs are {found}; expected 'sequence' and 'auxiliary'; export it again"
            raise BundleError(msg)
        self._outputs = [self._model.output(name) for name in ("z", "gamma", "reconstruction")]
        self._of_thread = threading.local()
        self._blocks = Blocks(self._run, _AT_ONCE, threads)

    def predict(self, sequence: npt.NDArray[np.float32], auxiliary: npt.NDArray[np.float32]) -> NetworkOutput:
        """Run the network; see :class:`broker_plugin.model.runtime.Runtime`."""
        return self._blocks.predict(sequence, auxiliary)

    def _run(self, block: Block) -> NetworkOutput:
        sequence, auxiliary = block
        request: Any = getattr(self._of_thread, "request", None)
        if request is None:  # what one run works on; two threads cannot share it
            request = self._of_thread.request = self._model.create_infer_request()
        results = request.infer({"sequence": sequence, "auxiliary": auxiliary})
        return NetworkOutput(*(results[output] for output in self._outputs))
