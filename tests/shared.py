"""Where the real light curves, alert packets and golden arrays lie, if they are on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(os.environ.get("BROKER_PLUGIN_TEST_DATA", Path(__file__).resolve().parents[2] / "shared"))


def shared_path(relative: str) -> Path:
    """Return the path below the folder of real data, or skip the test, saying what to provide."""
    path = _ROOT / relative
    if not path.exists():
        pytest.skip(f"real data not found: {path} (set BROKER_PLUGIN_TEST_DATA to the folder that holds it)")
    return path
