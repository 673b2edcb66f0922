"""SIGKILL at every step of the commit, of the restore and of a rebalance; then a new start."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from broker_plugin.app.audit import AuditReport
from broker_plugin.errors import FencedError
from tests.chaos.harness import KILLED, Installation, note
from tests.chaos.load import light_curve_stream

pytestmark = pytest.mark.kafka

SEED = 20190611
LOAD = {"n_objects": 8, "n_epochs": 45_000}
RECORDS_PER_SECOND = 80.0  # the load outlasts the attack, 17 min: there is always a batch to die in
COMMIT = {
    "after_poll": "after_poll:{n}",
    "after_step": "after_step:{n}",
    "after_begin": "after_begin:{n}",
    "after_outputs": "after_outputs:{n}",  # queued, perhaps sent
    "after_outputs_sent": "after_outputs:{n}:kill=0.3",
    "after_changelog": "after_changelog:{n}",
    "after_changelog_sent": "after_changelog:{n}:kill=0.3",
    "after_offsets": "after_offsets:{n}",
    "after_commit": "after_commit:{n}",  # committed, not in the cache
    "after_cache": "after_cache:{n}",
}
RESTORE = {"during_restore": "during_restore", "after_restore": "after_restore:{n}"}
REBALANCE = {"in_assign": "in_assign", "in_revoke": "in_revoke"}
ABORT = {
    "before_abort": "after_step:{n}:stop,before_abort",
    "after_abort": "after_step:{n}:stop,after_abort",
}
POINTS = COMMIT | RESTORE | REBALANCE | ABORT


class Victim:
    """One worker that is killed again and again and comes back under its name.

    Parameters
    ----------
    installation : Installation
    rng : random.Random
    stage : str
        Whose steps are the last ones; "accumulate", or "score" with both in the process.
    """

    def __init__(self, installation: Installation, rng: random.Random, stage: str) -> None:
        self._installation = installation
        self._rng = rng
        self._stage = stage
        self._stages = "accumulate" if stage == "accumulate" else "accumulate,score"
        self._state = installation.folder / "state" / "a"
        self.kills = 0

    def die_at(self, point: str, *, empty: bool) -> None:
        """Start on the same or on an empty state directory, and die at a point."""
        self._choose_state(empty=empty)
        text = POINTS[point].format(n=self._rng.randint(1, 3))
        text = ",".join(f"{self._stage}/{part}" for part in text.split(","))
        worker = self._installation.worker("a", stages=self._stages, state=self._state, crash_point=text)
        if point in ABORT:
            worker.wait_until_stopped()
            self._installation.wait_until_forgotten(self._stage)  # so its next commit is refused
            worker.resume()
            if worker.wait() == FencedError.exit_code:  # the cluster was first: it ended the transaction
                self.die_at(point, empty=empty)
                return
        if point in REBALANCE and point != "in_assign":
            self._installation.wait_for_progress(1)
            other = self._installation.worker("b", stages=self._stages)
            assert worker.wait() == KILLED, f"{text}: {worker.output}"
            other.kill()
            self.kills += 1
        assert worker.wait() == KILLED, f"{text}: {worker.output}"
        self.kills += 1

    def finish(self, *, empty: bool) -> AuditReport:
        """Start once more, undisturbed; then judge what all of it has led to."""
        installation = self._installation
        self._choose_state(empty=empty)
        worker = installation.worker("a", stages=self._stages, state=self._state)
        installation.wait_until_idle(*self._stages.split(","))
        assert worker.terminate() == 0, worker.output
        report = installation.check(scored=self._stage == "score")
        assert installation.check_caches() > 0
        return report

    def _choose_state(self, *, empty: bool) -> None:
        if empty:
            self._state = self._installation.folder / "state" / f"a-{len(self._installation.workers)}"


def chain(
    installation: Installation, seed: int, points: Sequence[str], stage: str
) -> tuple[int, AuditReport]:
    """Die at one point after the other, then finish; return the number of kills and the verdict."""
    rng = random.Random(seed)
    victim = Victim(installation, rng, stage)
    installation.create_topics()
    with installation.feed(light_curve_stream(seed, **LOAD), RECORDS_PER_SECOND) as feeder:
        if points[0] in RESTORE:  # there must be something to restore
            victim.die_at("after_commit", empty=False)
        for point in points:
            victim.die_at(point, empty=rng.random() < 0.5)
        installation.wait_until_fed(feeder, 70 * LOAD["n_objects"])  # 40 alerts make the first window
        feeder.halt()
    return victim.kills, victim.finish(empty=rng.random() < 0.5)


def test_every_point_is_the_last_one_of_some_worker(
    kafka_bootstrap: str, prefix: str, tmp_path: Path
) -> None:
    """All points in chains of some, side by side; what every chain leaves is as if nothing had happened."""
    rng = random.Random(SEED)
    points = rng.sample(sorted(POINTS), len(POINTS))
    plans = [(points[start::4], "accumulate") for start in range(4)]
    plans.append((rng.sample(sorted(COMMIT), 3), "score"))
    started = time.monotonic()

    def run(number: int) -> tuple[int, AuditReport]:
        plan, stage = plans[number]
        folder = tmp_path / f"chain-{number}"
        with Installation(kafka_bootstrap, f"{prefix}-{number}", folder) as installation:
            try:
                return chain(installation, SEED + number, plan, stage)
            except AssertionError as error:
                error.add_note(f"seed {SEED + number}, points {plan} of {stage}, logs in {folder / 'logs'}")
                error.add_note(installation.standing())
                raise

    with ThreadPoolExecutor(len(plans)) as pool:
        done = list(pool.map(run, range(len(plans))))
    note(
        "crash points, short",
        kills=sum(kills for kills, _ in done),
        records=sum(report.photometry for _, report in done),
        windows=sum(report.windows for _, report in done),
        seconds=round(time.monotonic() - started),
    )


@pytest.mark.long
@pytest.mark.parametrize("empty", [False, True], ids=["same-state", "empty-state"])
@pytest.mark.parametrize(
    ("stage", "point"),
    [("accumulate", point) for point in POINTS] + [("score", point) for point in (*COMMIT, *ABORT)],
)
def test_killed_twice_at_one_point(installation: Installation, stage: str, point: str, empty: bool) -> None:
    """Each point by itself, twice in a row, then an undisturbed start."""
    started = time.monotonic()
    victim = Victim(installation, random.Random(f"{SEED}{stage}{point}{empty}"), stage)
    with installation.feed(light_curve_stream(SEED, **LOAD), RECORDS_PER_SECOND) as feeder:
        if point in RESTORE:  # there must be something to restore
            victim.die_at("after_commit", empty=False)
        victim.die_at(point, empty=False)
        victim.die_at(point, empty=empty)
        installation.wait_until_fed(feeder, 70 * LOAD["n_objects"])  # 40 alerts make the first window
        feeder.halt()
    report = victim.finish(empty=empty)
    note(
        f"crash point {stage}/{point}, {'empty' if empty else 'same'} state",
        kills=victim.kills,
        records=report.photometry,
        windows=report.windows,
        seconds=round(time.monotonic() - started),
    )
