"""The network under OpenVINO. The only module that imports openvino.

On processors with AVX-512 a window of a batch takes 0.7 of its time under ONNX Runtime; one window alone
takes longer (``docs/reference/benchmarks.md``). Here, too, the others of a batch cannot change a last bit.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

# Importing openvino reports to its maker and keeps an identifier on disk, unless the package that does so is
# not there; for that it has a stub. setdefault: whoever wants to report may import it before.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

from broker_plugin.model.blocks import OUTPUTS, Block, BlockRuntime  # noqa: E402
from broker_plugin.model.network_output import NetworkOutput  # noqa: E402


class OpenVinoRuntime(BlockRuntime):
    """See :class:`broker_plugin.model.blocks.BlockRuntime`."""

    library = f"OpenVINO {openvino.__version__}"
    at_once = 128  # 32 take 2 % longer, 512 a tenth

    def _open(self, network: bytes, threads: int) -> list[str]:
        options = {
            # As the network was trained: processors that have bfloat16 would be given that.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
            "ENABLE_CPU_PINNING": False,
        }
        core = openvino.Core()
        self._model = core.compile_model(core.read_model(network, b""), "CPU", options)
        self._of_thread = threading.local()
        return [port.get_any_name() for port in self._model.inputs]

    def _run(self, block: Block) -> NetworkOutput:
        sequence, auxiliary = block
        request: Any = getattr(self._of_thread, "request", None)
        if request is None:  # what one run works on; two threads cannot share it
            request = self._of_thread.request = self._model.create_infer_request()
        results = request.infer({"sequence": sequence, "auxiliary": auxiliary})
        return NetworkOutput(*(results[name] for name in OUTPUTS))
