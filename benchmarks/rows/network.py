"""Fold, normalise, network and energy beside other runtimes of the network and the bare products in it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from multiprocessing import get_context
from time import perf_counter, process_time
from typing import Any

import numpy as np

from benchmarks.measure import Absent, Effort, Way, lines, spread, way
from benchmarks.results import Figure, Line, Result, find
from benchmarks.rows import Say
from benchmarks.samples import curves
from broker_plugin.model import Scorer, ScoringWindow, default_bundle_path, open_runtime, open_scorer

WHOLE = "Scorer.score: fold, normalise, network, energy, nearest stars"
NETWORK = "its network alone, ONNX Runtime"
OPENVINO = "the same, the network under OpenVINO"
PRODUCTS = "the network's matrix products alone, numpy"
BATCHES = (1, 8, 32, 128, 512)
_THREADS = "two threads, one window at a time each"
_WORKERS = "two workers, one window at a time each"
_ALONE = 64
"""Windows that a thread or worker scores one after the other."""


def windows(count: int) -> list[ScoringWindow]:
    """Return windows and periods to fold them with."""
    rng = np.random.default_rng(0)
    periods = 10.0 ** rng.uniform(-1.0, 2.0, count)
    return [
        ScoringWindow(c.time_mjd, c.mag.astype(np.float32), c.magerr.astype(np.float32), float(period))
        for c, period in zip(curves(count, 200), periods, strict=True)
    ]


def score_way(scorer: Scorer, batch: list[ScoringWindow]) -> Way:
    """Return our scorer on a batch."""
    return Way(WHOLE, lambda: scorer.score(batch), len(batch))


def _under_openvino(batch: list[ScoringWindow]) -> Way:
    from broker_plugin.model import openvino_runtime  # noqa: F401  where it is missing, the row says so

    scorer = open_scorer(default_bundle_path(), "openvino", threads=1, batch_size=max(BATCHES))
    return replace(score_way(scorer, batch), name=OPENVINO)


def products(scorer: Scorer, count: int) -> Way:
    """Return the matrix products of the network for a batch: the same sizes, nothing between them."""
    shape = scorer.bundle.manifest.conventions.network
    hidden, length = shape.hidden_size, shape.sequence_length
    rng = np.random.default_rng(0)

    def matrix(*size: int) -> Any:
        return rng.normal(size=size).astype(np.float32)

    # The input's product of a layer needs no recurrence: all steps at once.
    inputs = [2, hidden, 1 + shape.embedding_size, hidden]
    whole = [(matrix(count * length, n), matrix(n, 3 * hidden)) for n in inputs]
    state, recurrent, out = matrix(count, hidden), matrix(hidden, 3 * hidden), matrix(count, 3 * hidden)
    wide = matrix(count * length, 3 * hidden)

    def work() -> None:
        for left, right in whole:
            np.matmul(left, right, out=wide)
        for _ in range(length * len(whole)):
            np.matmul(state, recurrent, out=out)

    return Way(PRODUCTS, work, count)


def _tensorflow(count: int, inputs: tuple[Any, Any], *, compiled: bool) -> Way:
    import keras
    import tensorflow as tf

    from broker_plugin.model import keras_runtime  # noqa: F401  registers the layers that the file names

    network = keras.saving.load_model(default_bundle_path() / "network.keras", compile=False, safe_mode=True)
    run: Callable[..., Any] = tf.function(
        lambda x, a: network([x, a], training=False), jit_compile=compiled, autograph=False
    )
    sequence, auxiliary = (tf.constant(value) for value in inputs)
    name = "TensorFlow XLA, the network alone" if compiled else "TensorFlow graph, the network alone"
    return Way(name, lambda: [value.numpy() for value in run(sequence, auxiliary)], count)


def network(effort: Effort, say: Say) -> Result:
    """Measure batches of 1 to 512."""
    scorer = open_scorer(default_bundle_path(), threads=1, batch_size=max(BATCHES))
    session = open_runtime(default_bundle_path(), threads=1)
    all_windows = windows(max(BATCHES))
    found: list[Line] = []
    figures: list[Figure] = []
    for count in BATCHES:
        group = f"batch of {count}"
        say(group)
        batch = all_windows[:count]
        inputs = _inputs(scorer, count)
        runtime = Way(NETWORK, partial(session.predict, *inputs), count)
        others: list[Way | Absent] = [
            way(OPENVINO, partial(_under_openvino, batch)),
            products(scorer, count),
        ]
        if count in (1, 128) or (count == 512 and not effort.quick):
            others += [
                way(
                    "TensorFlow graph, the network alone", partial(_tensorflow, count, inputs, compiled=False)
                ),
                way("TensorFlow XLA, the network alone", partial(_tensorflow, count, inputs, compiled=True)),
            ]
        also = [runtime]
        if count == 1:
            also.append(_by_two_threads(scorer, all_windows[:_ALONE]))
        found += lines(group, "window", score_way(scorer, batch), others, effort, also=also)
        if count == 1:
            found.append(_by_two_workers(group, effort))
        if count >= 128:
            figures += _shares(found, group)
    for name, what in ((WHOLE, "one thread"), (_THREADS, _THREADS), (_WORKERS, _WORKERS)):
        line = find(found, name, "batch of 1")
        if line is not None and line.wall is not None:
            rate, aim = 1.0 / line.wall.median, 500.0 if name == _WORKERS else None
            figures.append(Figure(f"batch of 1: {what}, by the clock", rate, "windows/s", aim, "at least"))
    about = (
        "Ours is what scoring calls with a period: screen, fold, normalise, 40 structure features, network, "
        "mixture energy, p-value, nearest training stars. The others run the network on input that is ready. "
        "The products are the ceiling: the same multiplications and nothing else; which runtime comes nearer "
        "depends on the processor, and the aim is on that one. One thread, but where two "
        "are named; processor time of two threads counts both. Two workers are two processes, as the stage "
        "is spread over cores."
    )
    return Result("network", "Fold, normalise, network, energy", about, found, figures)


def _shares(found: list[Line], group: str) -> list[Figure]:
    """Return which part of the bare products' rate scoring has under each runtime; one has the aim."""
    ceiling, other = (find(found, name, group) for name in (PRODUCTS, OPENVINO))
    if ceiling is None or ceiling.ratio is None:
        return []
    shares = {"ONNX Runtime, the default": 100.0 * ceiling.ratio.median}
    if other is not None and other.ratio is not None:
        shares["OpenVINO"] = shares["ONNX Runtime, the default"] / other.ratio.median
    best = max(shares.values())
    return [
        Figure(
            f"{group}: of the rate of its products, {name}",
            share,
            "%",
            70.0 if share == best else None,
            "at least",
        )
        for name, share in shares.items()
    ]


def _inputs(scorer: Scorer, count: int) -> tuple[Any, Any]:
    conventions = scorer.bundle.manifest.conventions
    rng = np.random.default_rng(0)
    sequence = rng.normal(size=(count, conventions.network.sequence_length, 2)).astype(np.float32)
    return sequence, rng.normal(size=(count, len(conventions.input.auxiliary))).astype(np.float32)


def _by_two_threads(scorer: Scorer, some: list[ScoringWindow]) -> Way:
    pool = ThreadPoolExecutor(2)
    return Way(_THREADS, lambda: list(pool.map(lambda window: scorer.score([window]), some)), len(some))


def _by_two_workers(group: str, effort: Effort) -> Line:
    units = 2 * _ALONE
    turns = []
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_score_alone, range(2)))  # opens the scorers
        for _ in range(effort.repetitions):
            start = perf_counter()
            cpu = sum(pool.map(_score_alone, range(2)))
            turns.append((cpu / units, (perf_counter() - start) / units))
    cpu_spread, wall_spread = (spread(column) for column in zip(*turns, strict=True))
    return Line(group, _WORKERS, "window", cpu_spread, wall_spread)


def _score_alone(_: int) -> float:
    """Score a worker's windows one after the other; return seconds of its processor."""
    scorer, some = _of_worker()
    start = process_time()
    for window in some:
        scorer.score([window])
    return process_time() - start


@cache
def _of_worker() -> tuple[Scorer, list[ScoringWindow]]:
    return open_scorer(default_bundle_path(), threads=1), windows(_ALONE)
