"""SIGTERM: what was begun is committed and the process ends well. A second one: at once, and well, too."""

from __future__ import annotations

import contextlib
import random
import signal
import time

import pytest

from broker_plugin.runner.bus import NotYetError
from broker_plugin.runner.protocols import Partition
from tests.chaos.harness import Installation, Worker, note, wait_until
from tests.chaos.load import light_curves
from tests.chaos.slow_scorer import STEP_BEGINS, slow_worker

pytestmark = pytest.mark.kafka

SEED = 20231012
STEP_SECONDS = 4.0
LONG_STEP_SECONDS = 30.0  # no pause of a busy machine is as long: the second signal comes before its end
PATIENT_SECONDS = "600"  # who waits for the end of a session or of a hung step waits for longer than a test
OPEN_SECONDS = "300"  # and so does who waits for a transaction that was left open
STOPPED = "every batch that was begun is committed"


def test_drains_commits_and_ends_with_zero(installation: Installation) -> None:
    """In the middle of a slow batch: it is committed, no transaction stays open, the next worker goes on."""
    patient = {
        "RUNNER__SESSION_TIMEOUT_SECONDS": PATIENT_SECONDS,
        "RUNNER__MAX_POLL_INTERVAL_SECONDS": PATIENT_SECONDS,
        "RUNNER__TRANSACTION_TIMEOUT_SECONDS": OPEN_SECONDS,
    }
    with installation.feed(light_curves(SEED, 12)):
        pass
    worker = slow_worker(
        installation, "a", "accumulate,score", STEP_SECONDS, RUNNER__BATCH_RECORDS="5", **patient
    )
    installation.wait_until_idle("accumulate")
    steps = worker.output.count(STEP_BEGINS)
    wait_until(lambda: worker.output.count(STEP_BEGINS) > steps, lambda: worker.output[-3000:])
    time.sleep(STEP_SECONDS / 2)
    started = time.monotonic()
    assert worker.terminate() == 0, worker.output[-3000:]
    drained = time.monotonic() - started
    assert STOPPED in worker.output
    assert "Traceback" not in worker.output

    # This raises if a transaction is open: whoever comes next would have to wait for its timeout.
    scored = sum(positions(installation, "score"))
    assert scored > 0, "the batch in work was not committed"
    assert installation.backlog("score", seconds=30.0), "nothing was left to do: too late a signal"

    second = installation.worker("b", stages="accumulate,score", **patient)
    second.wait_for_log("running accumulate, score")
    # If the first had not left the group, this would take until the end of its session.
    wait_until(lambda: advanced(installation, scored), lambda: second.output[-3000:])
    installation.wait_until_idle("accumulate", "score")
    installation.check(scored=True, where=f"seed {SEED}, drained in {drained:.1f} s")


@pytest.mark.parametrize(
    "n_rounds", [pytest.param(2, id="short"), pytest.param(25, id="long", marks=pytest.mark.long)]
)
@pytest.mark.timeout(1800)
def test_a_second_one_ends_it_at_once(installation: Installation, n_rounds: int) -> None:
    """At random moments of a slow scorer and of a busy accumulator; restarted on the same files each time."""
    rng = random.Random(SEED)
    slowest = 0.0  # told, not judged: a busy machine may take any time to end a process
    codes: list[int] = []
    with installation.feed(light_curves(SEED, 12 * n_rounds)):
        pass
    for number in range(n_rounds):
        in_a_step = number % 2 == 0
        slow = LONG_STEP_SECONDS if in_a_step else STEP_SECONDS
        worker = slow_worker(installation, "a", "accumulate,score", slow, RUNNER__BATCH_RECORDS="20")
        worker.wait_for_log("running accumulate, score")
        if in_a_step:  # else it may have to wait for its killed predecessor's session to end
            installation.wait_until_idle("accumulate")
            worker.wait_for_log(STEP_BEGINS)
        time.sleep(rng.uniform(0.0, STEP_SECONDS))
        code, seconds = signal_twice(worker, rng.uniform(0.0, 0.6))
        slowest = max(slowest, seconds)
        codes.append(code)
        where = f"seed {SEED}, round {number}: exit status {code} after {seconds:.1f} s"
        # The interpreter's own end, when all is done, is without a handler again.
        ended = code == -signal.SIGTERM and STOPPED in worker.output
        assert ended or code in {0, 128 + signal.SIGTERM}, f"{where}\n{worker.output[-3000:]}"
        assert "Traceback" not in worker.output, worker.output[-3000:]
    assert 128 + signal.SIGTERM in codes, f"every one had ended before the second signal: seed {SEED}"
    installation.worker("a", stages="accumulate,score")
    installation.wait_until_idle("accumulate", "score")
    installation.check(scored=True, where=f"seed {SEED}, exit statuses {codes}")
    note(
        "two SIGTERMs", rounds=n_rounds, at_once=codes.count(128 + signal.SIGTERM), slowest=round(slowest, 1)
    )


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_drains_at_any_moment(installation: Installation) -> None:
    """Thirty times, from the first second on: joining, restoring, in a batch, idle; each time with zero."""
    rng = random.Random(SEED + 1)
    with installation.feed(light_curves(SEED + 1, 200), per_second=100.0):
        for number in range(30):
            worker = installation.worker("ab"[number % 2], stages="accumulate,score")
            worker.wait_for_log("running accumulate, score")
            time.sleep(rng.uniform(0.0, 3.0))
            code = worker.terminate()
            assert code == 0, f"seed {SEED + 1}, round {number}: {code}\n{worker.output[-3000:]}"
    installation.worker("a", stages="accumulate,score")
    installation.wait_until_idle("accumulate", "score")
    installation.check(scored=True, where=f"seed {SEED + 1}")


def signal_twice(worker: Worker, pause: float) -> tuple[int, float]:
    """Send SIGTERM, and again a little later; return the exit status and the seconds since the second."""
    worker.send(signal.SIGTERM)
    time.sleep(pause)
    worker.send(signal.SIGTERM)
    started = time.monotonic()
    return worker.wait(), time.monotonic() - started


def advanced(installation: Installation, beyond: int) -> bool:
    """Return whether the scorers stand further on, all together; no while a transaction is open."""
    with contextlib.suppress(NotYetError):
        return sum(positions(installation, "score")) > beyond
    return False


def positions(installation: Installation, stage: str) -> list[int]:
    """Return where a stage stands in each partition of its windows."""
    topic = f"{installation.prefix}.lightcurves"
    partitions = [Partition(topic, number) for number in range(installation.partitions)]
    return [
        stands or 0
        for stands in installation.bus.committed(f"{installation.prefix}.{stage}", partitions).values()
    ]
