"""Forward and backward passes of the network in training, by how TensorFlow runs them."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measure import Absent, Effort, Way, lines, way
from benchmarks.results import Figure, Line, Result
from benchmarks.rows import Say
from benchmarks.samples import curves
from broker_plugin.model import default_bundle_path, load_bundle

_SHIPPED = "as `training fit` runs it"


def training(effort: Effort, say: Say) -> Result:
    """Measure one step of Adam in every configuration."""
    say("building the models")
    first = way(_SHIPPED, partial(_trainee, None, None, effort))
    if isinstance(first, Absent):
        return Result("training", "Training", failed=first.reason)
    others: list[Way | Absent] = []
    chosen: list[tuple[bool, int | None]] = [(False, None), (True, None)]
    if not effort.quick:
        chosen += [(False, 64), (False, 256)]
    for compiled, batch in chosen:
        name = _name(compiled=compiled, batch=batch)
        say(name)
        others.append(way(name, partial(_trainee, compiled, batch, effort)))
    fewer = replace(effort, repetitions=min(3, effort.repetitions))
    found = lines("forward and backward", "sequence", first, others, fewer)
    shipped = found[0]
    figures = []
    if shipped.wall is not None:
        best = min(found, key=lambda line: line.wall.median if line.wall else float("inf"))
        rate = _rate(shipped)
        figures.append(Figure("as shipped, by the clock", rate, "sequences/s"))
        share = 100.0 * rate / _rate(best)
        # Five in a hundred is what two equal configurations differ by.
        figures.append(Figure(f"of the fastest found ({best.way})", share, "%", 95.0, "at least"))
    about = (
        f"The joint loss of the shipped settings, one step of Adam a batch, all {os.cpu_count()} cores; "
        "windows of 200 epochs. Rates are by the clock."
    )
    return Result("training", "Training, forward and backward", about, found, figures)


def _rate(line: Line) -> float:
    return 1.0 / line.wall.median if line.wall is not None else float("nan")


def _name(*, compiled: bool, batch: int | None) -> str:
    how = "TensorFlow XLA" if compiled else "TensorFlow graph"
    return f"{how}, batches of {batch}" if batch else how


def _trainee(compiled: bool | None, batch: int | None, effort: Effort) -> Way:
    """Return a run over some batches; None of ``compiled`` or ``batch`` leaves what training does."""
    import keras

    from training.joint import JointModel
    from training.sampling import make_pool, training_arrays
    from training.settings import TrainingSettings
    from training.trainee import Trainee

    settings = TrainingSettings()
    if batch is not None:
        settings = replace(settings, batch_size=batch)
    conventions = load_bundle(default_bundle_path()).manifest.conventions
    count = 128 if effort.quick else 512
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    stars = curves(count, 200)
    label = np.arange(count) % conventions.network.n_classes
    pool = make_pool(
        np.stack([star.time_mjd for star in stars]),
        np.stack([star.mag for star in stars]),
        np.stack([star.magerr for star in stars]),
        10.0 ** rng.uniform(-1.0, 2.0, count),
        label,
        conventions=conventions.input,
    )
    arrays = training_arrays(pool, np.arange(count), conventions.input, weight_mode=settings.weight_mode)
    one_hot = np.eye(conventions.network.n_classes, dtype=np.float32)[label]
    trainee = Trainee(conventions, settings, label)
    if compiled is None:
        return Way(_SHIPPED, lambda: trainee.train(0, arrays, one_hot), count)
    share = np.full(conventions.network.n_classes, 1.0 / conventions.network.n_classes)
    model: Any = JointModel(trainee.network, None, conventions, settings, drawn=share, share=share)
    model.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0), jit_compile=compiled)

    def work() -> None:
        model.fit(arrays, one_hot, batch_size=settings.batch_size, shuffle=False, verbose=0)

    return Way(_name(compiled=compiled, batch=batch), work, count)
