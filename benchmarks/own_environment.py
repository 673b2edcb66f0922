"""A Python environment for a library that wants other versions than the project's."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import CannotRunError
from benchmarks.rows import Say


def python_of(name: str, requirements: Path, say: Say) -> Path:
    """Return the interpreter of an environment with just these requirements, made once in the cache.

    Raises
    ------
    CannotRunError
        They cannot be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "broker-plugin"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = cache / f"{name}-{digest}"
    python = folder / "bin" / "python"
    if python.exists():
        return python
    say(f"installing {name} into {folder}")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    # Not moved afterwards: the programs of an environment know its place, its interpreter does not mind.
    commands = (
        [sys.executable, "-m", "venv", str(partial)],
        [str(partial / "bin" / "python"), "-m", "pip", "install", "-q", "--no-deps", "-r", str(requirements)],
    )
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            msg = f"{name} cannot be installed: {done.stderr.strip()[-300:]}"
            raise CannotRunError(msg)
    partial.rename(folder)
    return python
