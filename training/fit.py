"""Joint training with checkpoints: an interrupted run goes on at the epoch where it stopped."""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from broker_plugin.errors import InputError
from broker_plugin.features import STRUCTURE_FEATURES, InputConventions
from broker_plugin.model.conventions import OURS, Conventions, MixtureConventions
from broker_plugin.model.mixture import Mixture
from broker_plugin.records.epoch import FloatArray
from training.checkpoint import Checkpoint
from training.external import borrowed, chosen_names, columns_of, with_hidden
from training.outliers import Outliers, make_outliers
from training.sampling import WindowPool, disturbed, make_pool, training_arrays
from training.settings import TrainingSettings
from training.split import Split
from training.trainee import Drawing, Trainee
from training.windows import NOVEL_LABEL, WindowTable

Progress = Callable[[str], None]

_VALIDATION_WINDOWS = 1024  # enough for a progress line; the evaluation uses all
_CLIP = 6.0  # of scaled features, in standard deviations: moments of bad photometry have no bounds
_AUXILIARY_HIDDEN = (128, 64)
_ESTIMATION_SIZE = 32
_PHOTOMETRIC_HIDDEN = 16


@dataclass(frozen=True, slots=True)
class FittedNetwork:
    """A trained network and what led to it.

    Attributes
    ----------
    network : keras.Model
    conventions : Conventions
    history : list of dict
        One entry an epoch.
    mixture : Mixture or None
        The learned one; None where it is to be computed from z and gamma.
    """

    network: Any
    conventions: Conventions
    history: list[dict[str, float]]
    mixture: Mixture | None = None


def conventions_for(
    table: WindowTable, split: Split, period_days: FloatArray, settings: TrainingSettings
) -> Conventions:
    """Return the conventions of a run, the auxiliary features scaled to the training stars."""
    inputs = _input_of(settings)
    table = with_some_hidden(table, settings)
    return _scaled(_pool(table, split.train, period_days, inputs).raw_auxiliary, inputs, settings)


def fit(
    table: WindowTable,
    split: Split,
    period_days: FloatArray,
    settings: TrainingSettings,
    *,
    initial: Any = None,
    initial_mixture: Mixture | None = None,
    out_dir: Path,
    cache_dir: Path | None = None,
    processes: int = 1,
    progress: Progress,
) -> FittedNetwork:
    """Train the network, from random or given weights, or finish the training that ``out_dir`` holds.

    After each epoch, in this order: 1. the checkpoint replaces the previous one, 2. ``history.jsonl`` gains a
    line, 3. ``progress`` is told.

    Parameters
    ----------
    table, split, period_days
        The windows, which of them are trained on, and the period of every window of the table.
    settings : TrainingSettings
    initial : keras.Model, optional
        A trained network. Layers that it has under the same name and with the same shapes start from it.
    initial_mixture : Mixture, optional
        Its learned mixture.
    out_dir : Path
    cache_dir : Path, optional
        Where the periods of simulated outliers are kept; ``out_dir`` by default.
    processes : int
        Workers of their period search.
    progress : callable

    Raises
    ------
    InputError
        If ``out_dir`` holds a checkpoint of other settings or other data.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    inputs = _input_of(settings)
    table = with_some_hidden(table, settings)
    plain = _pool(table, split.train, period_days, inputs)
    conventions = _scaled(plain.raw_auxiliary, inputs, settings)
    keras.utils.set_random_seed(settings.seed)
    model = Trainee(conventions, settings, plain.label)
    identity = json.dumps(
        [
            asdict(settings),
            asdict(conventions),
            table.data_digest,
            _digest_of(split.train),
            _digest_of(period_days),
        ]
    )
    checkpoint = Checkpoint(out_dir / "checkpoint.npz", identity)
    if initial is not None:
        _start_from(model.network, initial)
    if initial_mixture is not None:
        model.start_components(initial_mixture)
    resumed = checkpoint.exists()
    history = checkpoint.restore(model)
    if history:
        progress(f"resuming after epoch {len(history)} of {settings.epochs}")
    if len(history) < settings.epochs:
        pools = [plain]
        if settings.noise > 0 or settings.bad_epochs > 0:
            rng = np.random.default_rng([settings.seed, 0xD15])
            pools.append(disturbed(plain, inputs, rng, noise=settings.noise, bad_epochs=settings.bad_epochs))
        if settings.uses_outliers:
            made = make_outliers(
                table,
                split.train,
                period_days,
                count=max(1, round(settings.outliers * len(split.train))),
                seed=settings.seed,
                cache_dir=cache_dir or out_dir,
                processes=processes,
                progress=progress,
            )
            known = columns_of(table.external, split.train)
            pools.append(_outlier_pool(made, inputs, borrowed(known, len(made.period_days), settings.seed)))
        drawing = Drawing(pools, conventions, settings)
        model.draws_from(drawing)
        if settings.head_epochs and not resumed:
            losses = model.head_start(drawing)
            progress("head start: " + " ".join(f"{name} {value:.4g}" for name, value in losses.items()))
            checkpoint.save(model, history)
        watched = _spread(split.validate, _VALIDATION_WINDOWS)
        watched_pool = _pool(table, watched, period_days, inputs)
        watched_input = training_arrays(
            watched_pool, np.arange(len(watched)), conventions.input, weight_mode="constant"
        )
        for epoch in range(len(history), settings.epochs):
            started = time.monotonic()
            arrays, one_hot = drawing.of_epoch(epoch)
            losses = model.train(epoch, arrays, one_hot)
            scores = _validation_scores(model.network, watched_input, watched_pool.label)
            seconds = round(time.monotonic() - started, 1)
            history.append({"epoch": epoch + 1, **losses, **scores, "seconds": seconds})
            checkpoint.save(model, history)
            progress(" ".join(f"{name} {value:.4g}" for name, value in history[-1].items()))
            with (out_dir / "history.jsonl").open("a") as file:
                file.write(json.dumps(history[-1]) + "\n")
    return FittedNetwork(model.network, conventions, history, model.finished())


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "keras": keras.__version__,
        "keras_backend": keras.backend.backend(),
    }


def _input_of(settings: TrainingSettings) -> InputConventions:
    """Return our input conventions with the auxiliary features of the settings, not yet scaled."""
    names: tuple[str, ...] = OURS.input.auxiliary
    if settings.features == "structure":
        names = tuple(STRUCTURE_FEATURES)
    if settings.with_mean_magnitude:
        names = ("mean", *names)
    photometric = chosen_names(settings.photometric)
    names = (*names, *photometric, *(f"has_{name}" for name in photometric))
    return replace(
        OURS.input,
        auxiliary=names,
        auxiliary_mean=(0.0,) * len(names),
        auxiliary_scale=(1.0,) * len(names),
        auxiliary_clip=_CLIP if settings.features == "structure" else None,
    )


def _scaled(raw: FloatArray, inputs: InputConventions, settings: TrainingSettings) -> Conventions:
    """Return the conventions with the features scaled to their mean and deviation."""
    unknown = np.flatnonzero(~np.isfinite(raw).any(axis=0))
    if unknown.size:
        msg = f"no training star has a value of {inputs.auxiliary[unknown[0]]}; leave it out of --photometric"
        raise InputError(msg)
    deviation = np.nanstd(raw, axis=0)
    inputs = replace(
        inputs,
        auxiliary_mean=tuple(float(value) for value in np.nanmean(raw, axis=0)),
        auxiliary_scale=tuple(float(value) for value in np.where(deviation > 0, deviation, 1.0)),
    )
    network = replace(OURS.network, embedding_size=settings.embedding_size, hidden_size=settings.hidden_size)
    if settings.features == "structure":
        network = replace(
            network,
            auxiliary_in_z=2 + settings.with_mean_magnitude,
            auxiliary_hidden=_AUXILIARY_HIDDEN,
            estimation_size=_ESTIMATION_SIZE,
        )
    elif photometric := chosen_names(settings.photometric):
        # z as in the paper, and beside the encoder what z cannot tell: whether a value is known.
        network = replace(
            network,
            auxiliary_in_z=2 + settings.with_mean_magnitude + len(photometric),
            auxiliary_hidden=(_PHOTOMETRIC_HIDDEN,),
        )
    mixture = OURS.mixture
    if settings.mixture == "learned":
        mixture = MixtureConventions(
            normaliser="paper", covariance_floor=0.0, standardise_z=False, estimator="learned"
        )
    return Conventions(input=inputs, network=network, mixture=mixture)


def _pool(
    table: WindowTable, index: npt.NDArray[np.int64], period_days: FloatArray, inputs: InputConventions
) -> WindowPool:
    return make_pool(
        table.time_mjd[index],
        table.mag[index],
        table.magerr[index],
        period_days[index],
        table.label[index],
        conventions=inputs,
        external=columns_of(table.external, index),
    )


def _outlier_pool(made: Outliers, inputs: InputConventions, external: Mapping[str, FloatArray]) -> WindowPool:
    label = np.full(len(made.period_days), NOVEL_LABEL, dtype=np.int64)
    return make_pool(
        made.time_mjd,
        made.mag,
        made.magerr,
        made.period_days,
        label,
        conventions=inputs,
        external=external,
    )


def with_some_hidden(table: WindowTable, settings: TrainingSettings) -> WindowTable:
    """Return the table as training sees it: its photometric features, and some of them hidden."""
    names = chosen_names(settings.photometric)
    missing = [name for name in names if name not in table.external]
    if missing:
        found = ", ".join(table.external) or "none"
        msg = f"the data have no column {missing[0]!r} for --photometric; they have {found}"
        raise InputError(msg)
    kept = {name: table.external[name] for name in names}
    return replace(table, external=with_hidden(kept, settings.photometric_dropout, settings.seed))


def _digest_of(array: npt.NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def _start_from(network: Any, initial: Any) -> None:
    """Give the layers of a network the weights of the like layers of another."""
    given = {layer.name: layer.get_weights() for layer in initial.layers}
    for layer in network.layers:
        own, new = layer.get_weights(), given.get(layer.name, [])
        if own and [weight.shape for weight in own] == [weight.shape for weight in new]:
            layer.set_weights(new)


def _spread(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Return about ``size`` entries, evenly spaced."""
    return index[:: max(1, len(index) // size)]


def _validation_scores(
    network: Any, arrays: dict[str, Any], label: npt.NDArray[np.int64]
) -> dict[str, float]:
    batches = [
        network.predict_on_batch(
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
