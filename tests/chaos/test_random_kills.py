"""SIGKILL at seeded random moments, with one to three workers, while the load goes on."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from broker_plugin.app.audit import AuditReport
from broker_plugin.lightcurve.windows import WindowSettings
from tests.chaos.harness import KILLED, Installation, Worker, note
from tests.chaos.load import light_curve_stream

pytestmark = pytest.mark.kafka

SEED = 20190611


@dataclass(frozen=True)
class Plan:
    """One installation under attack.

    Attributes
    ----------
    n_workers, n_kills : int
    stages : str
        What each worker hosts.
    longest_seconds : float
        Between two kills. The group needs 6 s to notice a death, so short waits kill during joins and
        restores, long ones in the middle of work.
    n_objects : int
        The load is 50 records/s of so many objects, for as long as the attack goes on.
    """

    n_workers: int
    n_kills: int
    stages: str = "accumulate"
    longest_seconds: float = 9.0
    n_objects: int = 40


def attack(installation: Installation, plan: Plan, seed: int) -> AuditReport:
    """Kill and restart at random moments, then let it finish and judge."""
    rng = random.Random(seed)
    workers: list[Worker] = []

    def start(name: str) -> Worker:
        state = installation.folder / "state" / name
        if rng.random() < 0.5:
            state = installation.folder / "state" / f"{name}-{len(installation.workers)}"
        return installation.worker(name, stages=plan.stages, state=state)

    with installation.feed(
        light_curve_stream(seed, plan.n_objects, 60_000 // plan.n_objects), 50.0
    ) as feeder:
        workers = [start(name) for name in "abc"[: plan.n_workers]]
        for _ in range(plan.n_kills):
            time.sleep(rng.choice([2.0, plan.longest_seconds]) * rng.random())
            chosen = rng.randrange(plan.n_workers)
            assert workers[chosen].kill() == KILLED, workers[chosen].output[-4000:]
            if plan.n_workers > 1 and rng.random() < 0.3:
                time.sleep(rng.uniform(0.0, plan.longest_seconds))  # the others carry on alone
            workers[chosen] = start(workers[chosen].name)
        installation.wait_until_fed(feeder, 70 * plan.n_objects)  # 40 alerts make the first window
        feeder.halt()
    installation.wait_until_idle(*plan.stages.split(","))
    for worker in workers:
        assert worker.terminate() == 0, worker.output[-4000:]
    report = installation.check(scored="score" in plan.stages, combined="combine" in plan.stages)
    assert installation.check_caches() > 0
    return report


def attack_all(
    bootstrap: str, prefix: str, folder: Path, plans: list[Plan], seeds: list[int], name: str
) -> None:
    """Carry out some plans side by side."""
    started = time.monotonic()

    def run(number: int) -> AuditReport:
        own = folder / f"plan-{number}"
        # Scoring costs 30 ms a window, so where it takes part there are fewer.
        window = WindowSettings(rescore_after=100 if "score" in plans[number].stages else 25)
        with Installation(bootstrap, f"{prefix}-{number}", own, window=window) as installation:
            installation.create_topics()
            try:
                return attack(installation, plans[number], seeds[number])
            except AssertionError as error:
                error.add_note(f"seed {seeds[number]}, {plans[number]}, logs in {own / 'logs'}")
                raise

    with ThreadPoolExecutor(len(plans)) as pool:
        reports = list(pool.map(run, range(len(plans))))
    note(
        name,
        kills=sum(plan.n_kills for plan in plans),
        records=sum(report.photometry for report in reports),
        windows=sum(report.windows for report in reports),
        annotations=sum(
            report.annotations for plan, report in zip(plans, reports, strict=True) if "score" in plan.stages
        ),
        seconds=round(time.monotonic() - started),
    )


def test_a_few_random_kills(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """One worker, two side by side, one with every stage that has state; on the same or an empty folder."""
    plans = [
        Plan(1, 3, longest_seconds=5.0, n_objects=6),
        Plan(2, 4, longest_seconds=5.0, n_objects=6),
        Plan(1, 3, "accumulate,score,combine", longest_seconds=5.0, n_objects=6),
    ]
    seeds = [SEED + number for number in range(len(plans))]
    attack_all(kafka_bootstrap, prefix, tmp_path, plans, seeds, "random kills, short")


@pytest.mark.long
def test_two_hundred_random_kills(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """The same with one to three workers, every stage that has state in one installation."""
    plans = [Plan(1, 50), Plan(2, 50), Plan(3, 50), Plan(2, 50, "accumulate,score,combine")]
    seeds = [SEED + 10 + number for number in range(len(plans))]
    attack_all(kafka_bootstrap, prefix, tmp_path, plans, seeds, "random kills")
