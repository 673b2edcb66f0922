"""Where and with what a benchmark ran."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_LIBRARIES = (
    *("numpy", "fastavro", "cavro", "confluent-kafka", "rocksdict", "finufft", "astropy"),
    *("light-curve", "onnxruntime", "openvino", "tensorflow-cpu", "keras"),
)


def describe() -> dict[str, str]:
    """Return processor, cores, memory, system, and the versions of what was measured."""
    found = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _processor() -> str:
    """Return its name and what tells processors of one name apart, as Linux has it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    pairs = (line.partition(":") for line in reversed(lines))  # reversed: the first core counts
    said = {key.strip(): value.strip() for key, _, value in pairs}
    if "model name" not in said:
        return platform.processor() or platform.machine()
    numbers = ", ".join(f"{key} {said[key]}" for key in ("cpu family", "model", "stepping") if key in said)
    vectors = [flag for flag in ("avx2", "avx512f") if flag in said.get("flags", "").split()]
    return f"{said['model name']} ({', '.join(filter(None, [numbers, *vectors]))})"
