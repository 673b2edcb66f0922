"""Nobody hears of the stars that we score: the network's library must not report to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from broker_plugin.model import runtime

_LOAD = """
import sys
from pathlib import Path
from broker_plugin.model.onnx_runtime import OnnxRuntime
OnnxRuntime(Path(sys.argv[1]))
"""
# What the library takes for a build machine or a test, where it never reports.
_SUPPRESSORS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL", "ORT_DISABLE_TELEMETRY")


def test_loading_the_network_leaves_no_identifier_behind(tmp_path: Path) -> None:
    """ONNX Runtime since 1.29 writes ~/.cache/Microsoft/.../deviceid and a queue when it is let to report."""
    network = Path(runtime.__file__).parents[1] / "bundles" / "default" / "network.onnx"
    environment = {name: value for name, value in os.environ.items() if name not in _SUPPRESSORS}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    subprocess.run([sys.executable, "-c", _LOAD, str(network)], env=environment, check=True, timeout=240)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == []
