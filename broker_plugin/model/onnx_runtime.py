"""The network under ONNX Runtime, the default. The only module that imports onnxruntime."""

from __future__ import annotations

import os

# Since 1.29 ONNX Runtime's Linux builds report to their maker and keep an identifier on disk. The variable is
# read once, when the library is loaded; setdefault: whoever wants to report may set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from broker_plugin.model.blocks import OUTPUTS, Block, BlockRuntime
from broker_plugin.model.network_output import NetworkOutput


class OnnxRuntime(BlockRuntime):
    """See :class:`broker_plugin.model.blocks.BlockRuntime`."""

    library = f"ONNX Runtime {onnxruntime.__version__}"
    at_once = 16  # with 128 at once each takes 1.2 to 1.4 times as long

    def _open(self, network: bytes, threads: int) -> list[str]:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        return [node.name for node in self._session.get_inputs()]

    def _run(self, block: Block) -> NetworkOutput:
        sequence, auxiliary = block
        return NetworkOutput(*self._session.run(OUTPUTS, {"sequence": sequence, "auxiliary": auxiliary}))
