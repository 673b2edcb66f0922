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
FIT += ("--outliers", "0.05", "--epochs", "2")
PLAIN = ("--gru-dropout", "0", "--state-dropout", "0", "--estimation-dropout", "0", "--head-epochs", "0")
PLAIN += ("--auxiliary-dropout", "0", "--auxiliary-noise", "0")


def training(backend: str, *words: object) -> None:
    """Run a command in a process that knows only that backend."""
    done = subprocess.run(
        [sys.executable, "-m", "training", *(str(word) for word in words)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def need(*libraries: str) -> None:
    """Skip where one is missing."""
    for library in libraries:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed: pip install {library}")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_fit_and_export(backend: str, data: Path, tmp_path: Path) -> None:
    """A run and its bundle, which proves itself here on ONNX."""
    need(backend)
    run, bundle = tmp_path / "run", tmp_path / "bundle"
    training(backend, "fit", "--data", data, "--out", run, "--cache", tmp_path, *FIT, "--head-epochs", "1")
    record = json.loads((run / "record.json").read_text())
    assert record["versions"]["keras_backend"] == backend
    training(backend, "export", "--run", run, "--data", data, "--out", bundle, "--periods", "period")
    assert open_scorer(bundle).bundle.manifest.provenance.versions["keras_backend"] == backend


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("mode", ["joint", "sequential"])
def test_the_same_training_as_on_tensorflow(backend: str, mode: str, data: Path, tmp_path: Path) -> None:
    """From the same weights and without dropout, every figure of every epoch."""
    need(backend, "tensorflow")
    common = ("fit", "--data", data, "--cache", tmp_path, *FIT, "--mode", mode)
    training("tensorflow", *common, "--out", tmp_path / "initial", "--head-epochs", "0")
    histories = []
    for name in ("tensorflow", backend):
        out = tmp_path / name
        training(name, *common, *PLAIN, "--initial", tmp_path / "initial", "--out", out)
        history = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
        histories.append([{key: value for key, value in row.items() if key != "seconds"} for row in history])
    assert len(histories[0]) == 2
    for expected, found in zip(*histories, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_what_a_phase_does_not_train_stays() -> None:
    """JAX gives a gradient of zero where TensorFlow gives none: the momentum must not go on."""
    import keras
    import numpy as np

    from training.trainee import AveragingAdam

    variables = [keras.Variable(np.ones(2, np.float32), name=name) for name in ("encoder", "head")]
    optimizer = AveragingAdam(0.1)
    optimizer.build(variables)
    one, zero = keras.ops.ones(2), keras.ops.zeros(2)
    optimizer.apply([one, one], variables)
    before = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
    optimizer.leave_alone(variables[:1])
    optimizer.apply([zero, zero], variables)
    after = [keras.ops.convert_to_numpy(variable) for variable in variables]
    np.testing.assert_array_equal(after[0], before[0])
    assert (after[1] != before[1]).all()
