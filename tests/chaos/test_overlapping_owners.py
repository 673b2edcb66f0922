"""Three owners of one partition, while the first one's transaction is still open.

The first owner sleeps with a batch in hand, loses its partitions, wakes and writes to the changelog in a
transaction that its lost membership cannot commit, then dies with it open. The second owner has gone on
meanwhile: what it committed lies behind the open transaction, so behind the last stable offset. When it dies,
too, the third must restore all of that. An engine that reads the changelog up to the last stable offset
starts from what was there before the first owner woke.
"""

from __future__ import annotations

import random
import sys
import time

import pytest
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.chaos.harness import KILLED, Installation, Worker, note, wait_until
from tests.chaos.load import light_curve_stream

pytestmark = pytest.mark.kafka

SEED = 20190611
TRANSACTION_SECONDS = 90  # on a busy machine, too, the third has to be there in time
NEVER_SECONDS = 600  # where the transaction is ended by its owner's successor, it must not end by itself
BEHIND = 150  # records of the changelog, more than one batch of a living owner writes


def long_owner(installation: Installation, seconds: int, crash_point: str = "") -> Worker:
    """Start the first owner, whose transactions outlive its membership."""
    command = [sys.executable, "-m", "tests.chaos.long_transactions", str(seconds)]
    return installation.worker("a", command=command, crash_point=crash_point)


def stable_and_true_ends(installation: Installation) -> list[tuple[int, int]]:
    """Return the last stable offset and the end of each partition of the changelog."""
    admin = AdminClient({"bootstrap.servers": installation.bootstrap})
    partitions = [
        TopicPartition(f"{installation.prefix}.changelog", n) for n in range(installation.partitions)
    ]
    levels = (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
    found = [
        admin.list_offsets({p: OffsetSpec.latest() for p in partitions}, isolation_level=level)
        for level in levels
    ]
    return [(found[0][p].result().offset, found[1][p].result().offset) for p in partitions]


def hidden(installation: Installation) -> int:
    """Return how many changelog records lie behind an open transaction."""
    return max(end - stable for stable, end in stable_and_true_ends(installation))


def attack(installation: Installation, seed: int, *, times_out: bool) -> dict[str, float]:
    """Carry the attack out once; return its figures.

    Parameters
    ----------
    installation : Installation
    seed : int
    times_out : bool
        Whether the open transaction ends by its timeout, else because its owner is started again.
    """
    rng = random.Random(seed)
    started = time.monotonic()
    with installation.feed(light_curve_stream(seed, n_objects=8, n_epochs=12000), 60.0) as feeder:
        installation.wait_until_fed(feeder, 100)
        nth = rng.randint(2, 4)
        asleep = f"{rng.choice(['after_step', 'after_begin'])}:{nth}:stop"
        # It stays there until its records have left it and the second has gone on behind them: how long that
        # takes depends on the machine.
        open_seconds = TRANSACTION_SECONDS if times_out else NEVER_SECONDS
        first = long_owner(installation, open_seconds, f"{asleep},after_changelog:{nth}:hang={open_seconds}")
        first.wait_until_stopped()
        second = installation.worker("b")
        installation.wait_for_progress(100)  # the second owns what was the first's
        first.resume()
        opened = time.monotonic()
        wait_until(lambda: hidden(installation) > BEHIND, lambda: f"{stable_and_true_ends(installation)}")
        assert first.kill() == KILLED, first.output
        assert second.kill() == KILLED, second.output
        third = installation.worker("c", crash_point="during_restore:1:stop")
        third.wait_until_stopped()  # it is the owner, and restores
        third.resume()
        time.sleep(4.0)  # long enough for a restore that does not wait
        still_open = hidden(installation)
        assert still_open > BEHIND, "the first transaction timed out too early for this to be an attack"
        if not times_out:
            long_owner(installation, TRANSACTION_SECONDS)
        installation.wait_until_fed(feeder, 70 * 8)
        feeder.halt()
    installation.wait_until_idle(seconds=3 * TRANSACTION_SECONDS)
    recovered = time.monotonic() - opened
    for worker in installation.workers:
        if worker.alive:
            worker.leave()
    assert third.process.returncode == 0
    report = installation.check(where=f"seed {seed}")
    assert installation.check_caches() > 0
    return {
        "kills": 2,
        "records": report.photometry,
        "windows": report.windows,
        "hidden_records": still_open,
        "recovery_seconds": round(recovered),
        "seconds": round(time.monotonic() - started),
    }


def test_third_owner_restores_what_an_open_transaction_hides(installation: Installation) -> None:
    """Once; a worker that comes back under the first one's name ends its transaction."""
    note("double take-over, short", **attack(installation, SEED, times_out=False))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED + 1, SEED + 7))
def test_third_owner_again_and_again(installation: Installation, seed: int) -> None:
    """With other moments of sleep and death; the transaction times out while the third waits for it."""
    note(f"double take-over, seed {seed}", **attack(installation, seed, times_out=True))
