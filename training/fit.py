"""Joint training with checkpoints: an interrupted run goes on at the epoch where it stopped."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from broker_plugin.errors import InputError
from broker_plugin.features import InputConventions, build_network_input
from broker_plugin.model.conventions import CLASSES, OURS, Conventions
from broker_plugin.records.epoch import FloatArray
from training.joint import JointModel
from training.network import build_network
from training.sampling import draw_epoch, training_arrays
from training.settings import TrainingSettings
from training.split import Split
from training.windows import WindowTable

Progress = Callable[[str], None]

_LAST_RATE = 0.01  # of the peak
_VALIDATION_WINDOWS = 1024  # enough for a progress line; the evaluation uses all


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained network and what led to it.

    Attributes
    ----------
    network : keras.Model
    conventions : Conventions
    history : list of dict
        One entry an epoch.
    """

    network: Any
    conventions: Conventions
    history: list[dict[str, float]]


def conventions_for(
    table: WindowTable, split: Split, period_days: FloatArray, settings: TrainingSettings
) -> Conventions:
    """Return our conventions with the auxiliary features scaled to the training stars."""
    inputs = OURS.input
    if settings.with_mean_magnitude:
        inputs = InputConventions(
            fold_unit=inputs.fold_unit,
            phase_zero=inputs.phase_zero,
            lag=inputs.lag,
            auxiliary=("mean", *inputs.auxiliary),
            auxiliary_mean=(0.0, *inputs.auxiliary_mean),
            auxiliary_scale=(1.0, *inputs.auxiliary_scale),
        )
    raw = build_network_input(
        table.time_mjd[split.train],
        table.mag[split.train],
        table.magerr[split.train],
        period_days[split.train],
        inputs,
        dtype=np.float64,
    ).auxiliary
    inputs = replace(
        inputs,
        auxiliary_mean=tuple(float(value) for value in raw.mean(axis=0)),
        auxiliary_scale=tuple(float(value) for value in raw.std(axis=0)),
    )
    network = replace(OURS.network, embedding_size=settings.embedding_size, hidden_size=settings.hidden_size)
    return Conventions(input=inputs, network=network, mixture=OURS.mixture)


def fit(
    table: WindowTable,
    split: Split,
    period_days: FloatArray,
    settings: TrainingSettings,
    *,
    initial_weights: list[Any] | None = None,
    out_dir: Path,
    progress: Progress,
) -> FittedNetwork:
    """Train the network, from random or given weights, or finish the training that ``out_dir`` holds.

    After each epoch, in this order: 1. the checkpoint replaces the previous one, 2. ``history.jsonl`` gains a
    line, 3. ``progress`` is told.

    Raises
    ------
    InputError
        If ``out_dir`` holds a checkpoint of other settings or other data.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    conventions = conventions_for(table, split, period_days, settings)
    keras.utils.set_random_seed(settings.seed)
    model = _compiled(conventions, settings)
    identity = json.dumps([asdict(settings), asdict(conventions), table.data_digest])
    checkpoint = _Checkpoint(out_dir / "checkpoint.npz", identity)
    if initial_weights is not None:
        model.network.set_weights(initial_weights)
    history = checkpoint.restore(model)
    if history:
        progress(f"resuming after epoch {len(history)} of {settings.epochs}")

    arrays = _Arrays(table, period_days, conventions, settings)
    watched = _spread(split.validate, _VALIDATION_WINDOWS)
    watched_input = arrays.plain(watched)
    for epoch in range(len(history), settings.epochs):
        started = time.monotonic()
        rng = np.random.default_rng([settings.seed, epoch])
        drawn = draw_epoch(table.label[split.train], settings.sequences_per_epoch, settings.balance, rng)
        index = split.train[drawn]
        fitted = model.fit(
            arrays.augmented(index, rng),
            np.eye(len(CLASSES), dtype=np.float32)[table.label[index]],
            batch_size=settings.batch_size,
            shuffle=False,
            verbose=0,
        )
        losses = {name: float(values[-1]) for name, values in fitted.history.items()}
        scores = _validation_scores(model, watched_input, table.label[watched])
        seconds = round(time.monotonic() - started, 1)
        history.append({"epoch": epoch + 1, **losses, **scores, "seconds": seconds})
        checkpoint.save(model, history)
        line = " ".join(f"{name} {value:.4g}" for name, value in history[-1].items())
        progress(line)
        with (out_dir / "history.jsonl").open("a") as file:
            file.write(json.dumps(history[-1]) + "\n")
    return FittedNetwork(model.network, conventions, history)


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keras": keras.__version__,
        "keras_backend": keras.backend.backend(),
    }


class _Arrays:
    """Arrays of any windows under one set of conventions and settings."""

    def __init__(
        self,
        table: WindowTable,
        period_days: FloatArray,
        conventions: Conventions,
        settings: TrainingSettings,
    ) -> None:
        self._table = table
        self._period_days = period_days
        self._conventions = conventions.input
        self._settings = settings

    def plain(self, index: npt.NDArray[np.int64]) -> dict[str, Any]:
        """Return the windows as they are."""
        return training_arrays(
            self._table, index, self._period_days, self._conventions, weight_mode=self._settings.weight_mode
        )

    def augmented(self, index: npt.NDArray[np.int64], rng: np.random.Generator) -> dict[str, Any]:
        """Return the windows with shifted phases and added noise."""
        return training_arrays(
            self._table,
            index,
            self._period_days,
            self._conventions,
            weight_mode=self._settings.weight_mode,
            rng=rng,
            phase_jitter=self._settings.phase_jitter,
            noise=self._settings.noise,
        )


class _Checkpoint:
    """Every variable of model and optimiser, and the history, in one file that is replaced whole."""

    def __init__(self, path: Path, identity: str) -> None:
        self._path = path
        self._identity = identity

    def restore(self, model: JointModel) -> list[dict[str, float]]:
        """Set the model to the checkpoint, if there is one, and return its history."""
        if not self._path.exists():
            return []
        with np.load(self._path, allow_pickle=False) as stored:
            if str(stored["identity"]) != self._identity:
                msg = (
                    f"{self._path}: belongs to a run with other settings or data; "
                    "give another --out, or remove it to start anew"
                )
                raise InputError(msg)
            for position, variable in enumerate(_variables(model)):
                variable.assign(stored[f"variable_{position}"])
            history: list[dict[str, float]] = json.loads(str(stored["history"]))
            return history

    def save(self, model: JointModel, history: list[dict[str, float]]) -> None:
        """Write beside the old checkpoint, then replace it."""
        values: dict[str, Any] = {
            f"variable_{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_variables(model))
        }
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, identity=self._identity, history=json.dumps(history), **values)
        os.replace(partial, self._path)


def _compiled(conventions: Conventions, settings: TrainingSettings) -> JointModel:
    network = build_network(conventions, seed=settings.seed)
    model = JointModel(network, conventions, settings.energy_weight, settings.batch_covariance_floor)
    steps = settings.epochs * -(-settings.sequences_per_epoch // settings.batch_size)
    warmup = max(1, int(steps * settings.warmup_fraction))
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.peak_rate * _LAST_RATE,
        max(1, steps - warmup),
        alpha=_LAST_RATE,
        warmup_target=settings.peak_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=settings.gradient_norm)
    # Built now, not at the first step, so that a checkpoint finds every variable in its place.
    optimizer.build(network.trainable_variables)
    model.compile(optimizer=optimizer)
    return model


def _variables(model: JointModel) -> list[Any]:
    return [*model.network.variables, *model.optimizer.variables]


def _spread(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Return about ``size`` entries, evenly spaced."""
    return index[:: max(1, len(index) // size)]


def _validation_scores(
    model: JointModel, arrays: dict[str, Any], label: npt.NDArray[np.int64]
) -> dict[str, float]:
    batches = [
        model.network.predict_on_batch(
            [arrays["sequence"][start : start + 256], arrays["auxiliary"][start : start + 256]]
        )
        for start in range(0, len(label), 256)
    ]
    reconstruction = np.concatenate([batch[0] for batch in batches])
    predicted = np.concatenate([batch[2] for batch in batches]).argmax(axis=1)
    recalls = [np.mean(predicted[label == k] == k) for k in np.unique(label)]
    error = np.mean((reconstruction - arrays["sequence"][:, :, 1]) ** 2)
    return {
        "val_accuracy": float(np.mean(predicted == label)),
        "val_balanced_accuracy": float(np.mean(recalls)),
        "val_squared_error": float(error),
    }
