"""Nobody hears of the stars that we score: the network's library must not report to its maker."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from broker_plugin.model import default_bundle_path

_LOAD = """
import sys
from pathlib import Path
from broker_plugin.model import open_runtime
open_runtime(Path(sys.argv[1]), sys.argv[2])
"""
# What the library takes for a build machine or a test, where it never reports.
_SUPPRESSORS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "JENKINS_URL", "ORT_DISABLE_TELEMETRY")


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_loading_the_network_leaves_no_identifier_behind(runtime: str, tmp_path: Path) -> None:
    """ONNX Runtime since 1.29 writes ~/.cache/Microsoft/.../deviceid and a queue when it is let to report.

    OpenVINO writes ~/intel/openvino_ga_cid and tells of every import.
    """
    if find_spec(runtime) is None:
        pytest.skip(f"{runtime} is not installed: pip install 'broker-plugin[{runtime}]'")
    network = default_bundle_path()
    environment = {name: value for name, value in os.environ.items() if name not in _SUPPRESSORS}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    subprocess.run(
        [sys.executable, "-c", _LOAD, str(network), runtime], env=environment, check=True, timeout=240
    )
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == []
