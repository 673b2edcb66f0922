"""A scorer that cannot keep up: the group stays whole, the lag shows, the memory does not grow with it."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from broker_plugin.records.codec import encode_window
from broker_plugin.records.epoch import make_epochs
from broker_plugin.records.window import WINDOW_EPOCHS
from broker_plugin.runner.protocols import Output
from tests.chaos.counters import free_port, scrape, total
from tests.chaos.harness import Installation, wait_until
from tests.chaos.load import Feeder, light_curves
from tests.chaos.slow_scorer import slow_worker
from tests.records.examples import WINDOW

pytestmark = pytest.mark.kafka

STEP_SECONDS = 5.0
HUNG_SECONDS = 20.0  # less than a few batches without a poll in between
MAX_GROWTH_MB = 200.0  # librdkafka fetches 64 MB ahead, and a fetch beyond; the rest is what scoring takes
SEED = 5


@pytest.mark.parametrize(
    # Four steps at least: the lag is told once a step, and the first time windows are still on their way.
    "n_objects",
    [pytest.param(24, id="short"), pytest.param(150, id="long", marks=pytest.mark.long)],
)
@pytest.mark.timeout(900)
def test_nobody_leaves_the_group_and_the_lag_shows(installation: Installation, n_objects: int) -> None:
    """Two workers, five seconds a batch, six until Kafka takes a silent worker for dead: each window once."""
    ports = {name: free_port() for name in "ab"}
    workers = [
        slow_worker(
            installation,
            name,
            "accumulate,score",
            STEP_SECONDS,
            METRICS__ENABLED="true",
            METRICS__PORT=str(port),
            RUNNER__BATCH_RECORDS="10",
            RUNNER__MAX_POLL_INTERVAL_SECONDS=f"{HUNG_SECONDS:g}",
            KAFKA__TIMEOUT_SECONDS="10",  # less than that
        )
        for name, port in ports.items()
    ]
    wait_until(
        lambda: all(
            total(scrape([port]), "partitions_owned", stage=stage) == 2
            for port in ports.values()
            for stage in ("accumulate", "score")
        ),
        lambda: f"two partitions each:\n{installation.describe_workers()}\nlogs in {installation.folder}",
    )
    before = scrape(ports.values())
    with installation.feed(light_curves(SEED, n_objects)):
        pass
    most_lag = 0

    def annotated() -> bool:
        nonlocal most_lag
        counts = scrape(ports.values())
        most_lag = max(most_lag, total(counts, "consumer_lag", stage="score"))
        return total(counts, "annotations_total") >= 3 * n_objects

    wait_until(annotated, lambda: f"the last annotation, seed {SEED}", seconds=800)
    installation.wait_until_idle("accumulate", "score")
    counts = scrape(ports.values())
    assert most_lag > n_objects, f"the greatest lag that the metrics showed was {most_lag}"
    for kind in ("assigned", "revoked"):
        changes = total(counts, "rebalances_total", kind=kind) - total(before, "rebalances_total", kind=kind)
        assert changes == 0, f"{changes} times were partitions {kind} under load"
    assert total(counts, "rejoins_total") == 0
    assert total(counts, "transactions_total", outcome="aborted") == 0
    assert total(counts, "transactions_total", outcome="fenced") == 0
    slowest = total(counts, "step_seconds_sum", stage="score") / total(
        counts, "step_seconds_count", stage="score"
    )
    assert slowest >= STEP_SECONDS, "the scorer was not slow"
    assert [worker.terminate() for worker in workers] == [0, 0]
    installation.check(scored=True, where=f"seed {SEED}")


@pytest.mark.long
@pytest.mark.parametrize(
    ("n_windows", "seconds"),
    [pytest.param(60_000, 10, id="some"), pytest.param(200_000, 120, id="many")],
)
@pytest.mark.timeout(900)
def test_memory_does_not_grow_with_the_backlog(
    installation: Installation, n_windows: int, seconds: float
) -> None:
    """Hundreds of megabytes of windows wait; what the client fetches ahead is bounded, so the worker is."""
    values = noisy_windows(200)
    backlog_mb = n_windows * len(values[0]) / 1e6
    port = free_port()
    worker = slow_worker(
        installation,
        "a",
        "score",
        STEP_SECONDS,
        METRICS__ENABLED="true",
        METRICS__PORT=str(port),
        RUNNER__BATCH_RECORDS="10",
    )
    wait_until(lambda: total(scrape([port]), "partitions_owned") == 4, lambda: worker.output[-3000:])
    before = resident_mb(worker.process.pid)
    records = (Output("", b"%d" % (n % 97), values[n % 200]) for n in range(n_windows))
    with Feeder(installation.bus, f"{installation.prefix}.lightcurves", records):
        pass
    wait_until(
        lambda: total(scrape([port]), "consumer_lag", stage="score") > 0.9 * n_windows,
        lambda: f"a lag of {n_windows}; the metrics show {total(scrape([port]), 'consumer_lag')}",
    )
    most, deadline = before, time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.5)
        most = max(most, resident_mb(worker.process.pid))
    assert worker.alive, worker.output[-3000:]
    assert most < before + MAX_GROWTH_MB < before + backlog_mb, f"{before:.0f} MB, then {most:.0f} MB"
    assert worker.terminate() == 0


def noisy_windows(count: int) -> list[bytes]:
    """Return windows that do not compress better than real ones."""
    rng = np.random.default_rng(SEED)
    times = 58000.0 + np.cumsum(rng.uniform(0.5, 1.5, (count, WINDOW_EPOCHS)), axis=1)
    mags = rng.normal(15.0, 0.3, (count, WINDOW_EPOCHS))
    errors = rng.uniform(0.01, 0.02, (count, WINDOW_EPOCHS))
    return [
        encode_window(replace(WINDOW, epochs=make_epochs(*columns)))
        for columns in zip(times, mags, errors, strict=True)
    ]


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
