"""Joins and leaves under load, a leave during a restore, and workers that sleep through their membership."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker_plugin.errors import FencedError
from tests.chaos.harness import (
    KILLED,
    PATIENCE_SECONDS,
    SESSION_SECONDS,
    TRANSACTION_SECONDS,
    Installation,
    Worker,
    note,
)
from tests.chaos.load import light_curve_stream

pytestmark = pytest.mark.kafka

SEED = 20190611
FENCED = FencedError.exit_code
LOAD = {"n_objects": 8, "n_epochs": 30_000}  # a quarter of an hour
MAX_POLL_SECONDS = 15.0  # soon, and more than an answer of a busy broker takes
SOON_HUNG = {"RUNNER__MAX_POLL_INTERVAL_SECONDS": f"{MAX_POLL_SECONDS:g}", "KAFKA__TIMEOUT_SECONDS": "12"}
RECORDS_PER_SECOND = 60.0
# Where a worker falls asleep: before it has a transaction, with one that holds nothing, with one that holds
# everything, in the middle of a restore, in a rebalance callback.
SLEEPS = ("after_poll", "after_step", "after_begin", "after_changelog", "after_offsets", "after_commit")
OTHER_SLEEPS = ("during_restore", "in_assign")


def judge(installation: Installation, name: str, started: float, seed: int, **figures: float) -> None:
    """Wait for the end of the load, stop every worker in order, audit, and tell the figures."""
    installation.wait_until_idle()
    for worker in installation.workers:
        if worker.alive:
            worker.leave()
    report = installation.check(where=f"seed {seed}")
    assert installation.check_caches() > 0
    seconds = round(time.monotonic() - started)
    note(name, **figures, records=report.photometry, windows=report.windows, seconds=seconds)


def join_and_leave(installation: Installation, n_events: int, seed: int, name: str) -> None:
    """One worker stays; others come and go in order, one at a time or several."""
    rng = random.Random(seed)
    started = time.monotonic()
    guests: list[Worker] = []
    leaves = 0
    with installation.feed(light_curve_stream(seed, **LOAD), RECORDS_PER_SECOND) as feeder:
        stays = installation.worker("stays")
        stays.wait_for_log("running")
        for number in range(n_events):
            if guests and (len(guests) == 3 or rng.random() < 0.5):
                leaving = guests.pop(rng.randrange(len(guests)))
                leaving.leave()
                leaves += 1
            else:
                free = sorted({"g1", "g2", "g3"} - {guest.name for guest in guests})
                guests.append(installation.worker(rng.choice(free)))
            time.sleep(rng.uniform(0.0, 3.0))
            assert stays.alive, f"event {number}: {stays.output[-4000:]}"
        installation.wait_until_fed(feeder, 70 * LOAD["n_objects"])
        feeder.halt()
    judge(installation, name, started, seed, joins=n_events - leaves, leaves=leaves)


def test_a_few_joins_and_leaves(installation: Installation) -> None:
    """Six events."""
    join_and_leave(installation, 6, SEED, "joins and leaves, short")


@pytest.mark.long
def test_fifty_joins_and_leaves(installation: Installation) -> None:
    """Fifty events."""
    join_and_leave(installation, 50, SEED + 1, "joins and leaves")


def test_a_leave_during_a_restore(installation: Installation) -> None:
    """SIGTERM meets a worker in the middle of a restore: it leaves at once, in order, and nothing is lost."""
    started = time.monotonic()
    with installation.feed(light_curve_stream(SEED, **LOAD), RECORDS_PER_SECOND) as feeder:
        first = installation.worker("a")
        installation.wait_for_progress(100)
        assert first.terminate() == 0, first.output
        restoring = installation.worker("b", crash_point="during_restore:1:stop")
        restoring.wait_until_stopped()
        restoring.process.terminate()
        restoring.resume()
        assert restoring.wait() == 0, restoring.output
        again = installation.worker("b")
        installation.wait_until_fed(feeder, 70 * LOAD["n_objects"])
        feeder.halt()
    assert again.alive, again.output
    judge(installation, "leave during restore", started, SEED)


def exits_or_works(installation: Installation, worker: Worker) -> bool:
    """Wait until a worker that is alone has ended, or has committed on its own; return whether it works."""
    with ThreadPoolExecutor(1) as pool:
        works = pool.submit(installation.wait_for_progress, 100)
        while not works.done() and worker.alive:
            time.sleep(0.2)
        if not worker.alive:
            installation.worker("d").wait_for_log("running")  # somebody has to, or the waiting never ends
            works.result()
            return False
        works.result()
        return True


def sleep_through(installation: Installation, point: str, *, seconds: float, hang: bool, seed: int) -> None:
    """Let a worker sleep at a point until another has taken over, wake it, and see that it does no harm.

    It either exits as fenced, or recovers and goes on.

    Parameters
    ----------
    installation : Installation
    point : str
    seconds : float
        How long it sleeps.
    hang : bool
        Whether only its thread sleeps, while the client's own threads go on heartbeating.
    seed : int
    """
    started = time.monotonic()
    nth = 1 if point in OTHER_SLEEPS else random.Random(f"{seed}{point}{hang}").randint(2, 4)
    with installation.feed(light_curve_stream(seed, **LOAD), RECORDS_PER_SECOND) as feeder:
        if point == "during_restore":
            before = installation.worker("before")
            installation.wait_for_progress(100)
            assert before.terminate() == 0, before.output
        action = f"hang={seconds:g}" if hang else "stop"
        zombie = installation.worker("a", crash_point=f"{point}:{nth}:{action}", **SOON_HUNG)
        if not hang:
            zombie.wait_until_stopped()
        asleep = time.monotonic()
        other = installation.worker("b")
        # More than the zombie could have had in hand, so the other has taken over.
        installation.wait_for_progress(300, seconds=seconds + PATIENCE_SECONDS)
        if hang:
            time.sleep(seconds)  # whenever it began, it is over by then
        else:
            time.sleep(max(0.0, seconds - (time.monotonic() - asleep)))
            zombie.resume()
            time.sleep(3.0)  # both are awake
        other.leave()
        recovered = exits_or_works(installation, zombie)
        if not recovered:
            assert zombie.wait() == FENCED, zombie.output[-4000:]
        installation.wait_until_fed(feeder, 70 * LOAD["n_objects"])
        feeder.halt()
    kind = "hang" if hang else "SIGSTOP"
    name = f"{kind} for {seconds:g} s at {point}"
    judge(installation, name, started, seed, recovered=recovered, exited_fenced=not recovered)


def sleeps(
    bootstrap: str, prefix: str, folder: Path, cases: list[tuple[str, float, bool]], seed: int
) -> None:
    """Carry out several cases side by side."""

    def run(number: int) -> None:
        point, seconds, hang = cases[number]
        own = folder / f"{number}-{point}"
        with Installation(bootstrap, f"{prefix}-{number}", own) as installation:
            installation.create_topics()
            try:
                sleep_through(installation, point, seconds=seconds, hang=hang, seed=seed)
            except AssertionError as error:
                error.add_note(f"seed {seed}, {cases[number]}, logs in {own / 'logs'}")
                raise

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(len(cases))))


def test_a_zombie_wakes_up(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """Stopped past the session timeout without and with an open transaction; stuck; asleep in a restore."""
    cases = [
        ("after_step", SESSION_SECONDS + 2, False),
        ("after_changelog", SESSION_SECONDS + 2, False),
        ("after_step", MAX_POLL_SECONDS + 3, True),
        ("during_restore", SESSION_SECONDS + 2, False),
    ]
    sleeps(kafka_bootstrap, prefix, tmp_path, cases, SEED)


@pytest.mark.long
def test_zombies_wake_up_everywhere(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """Every point, past the session timeout and past max.poll.interval."""
    cases = [
        (point, seconds, hang)
        for point in (*SLEEPS, *OTHER_SLEEPS)
        for seconds, hang in (
            (SESSION_SECONDS + 2, False),
            (MAX_POLL_SECONDS + TRANSACTION_SECONDS + 5, False),
            (MAX_POLL_SECONDS + 3, True),
        )
    ]
    sleeps(kafka_bootstrap, prefix, tmp_path, cases, SEED + 2)


def test_two_workers_under_one_name(installation: Installation) -> None:
    """A second worker started by mistake under a living one's name: one of them works, the other exits."""
    started = time.monotonic()
    with installation.feed(light_curve_stream(SEED, **LOAD), RECORDS_PER_SECOND) as feeder:
        first = installation.worker("a")
        installation.wait_for_progress(100)
        second = installation.worker("a", state=installation.folder / "state" / "second")
        assert first.wait() == FENCED, first.output[-4000:]
        installation.wait_until_fed(feeder, 70 * LOAD["n_objects"])
        feeder.halt()
    assert second.alive, second.output
    assert KILLED not in {worker.process.returncode for worker in installation.workers}
    judge(installation, "two workers under one name", started, SEED)
