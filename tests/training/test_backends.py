"""Training on another Keras backend than TensorFlow: the same code, and a bundle that serves as well."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from broker_plugin.model import open_scorer

FIT = ("--periods", "period", "--sequences-per-epoch", "64", "--batch-size", "32", "--hidden-size", "8")
FIT += ("--outliers", "0.05", "--head-epochs", "1", "--epochs", "2")


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_fit_and_export(backend: str, data: Path, tmp_path: Path) -> None:
    """A process that knows only that backend trains and exports; here the bundle proves itself on ONNX."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed: pip install {backend}")

    def training(*words: object) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "training", *(str(word) for word in words)],
            env={**os.environ, "KERAS_BACKEND": backend},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    run, bundle = tmp_path / "run", tmp_path / "bundle"
    training("fit", "--data", data, "--out", run, "--cache", tmp_path, *FIT)
    record = json.loads((run / "record.json").read_text())
    assert record["versions"]["keras_backend"] == backend
    training("export", "--run", run, "--data", data, "--out", bundle, "--periods", "period")
    assert open_scorer(bundle).bundle.manifest.provenance.versions["keras_backend"] == backend
