"""Local caches wiped, stale, exchanged, damaged, on a full disk: recovered from the changelog, or refused."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker_plugin.errors import ConfigurationError
from broker_plugin.runner.protocols import Output
from tests.chaos.damages import DAMAGES, Caches, Damage
from tests.chaos.harness import KILLED, Installation, Worker, note
from tests.chaos.load import light_curves

pytestmark = pytest.mark.kafka

SEED = 20201106
SMALL_KB = 400


class Attack:
    """One installation whose worker is stopped, robbed of its caches in some way, fed and started again.

    Parameters
    ----------
    installation, other : Installation
        The victim, and a second one on the same cluster with state of its own.
    seed : int
    rounds : int
        Into how many portions the load is cut, two more than there are attacks.
    """

    def __init__(
        self, installation: Installation, other: Installation, seed: int, rounds: int, **load: int
    ) -> None:
        self.installation = installation
        self.other = other
        self.rng = random.Random(seed)
        self.seed = seed
        records = light_curves(seed, **load)
        size = -(-len(records) // rounds)
        self.portions = [records[start : start + size] for start in range(0, len(records), size)]
        self.caches = installation.folder / "state" / "a" / "accumulate"
        self.earlier = installation.folder / "earlier"
        self.struck = 0
        other.create_topics()
        self._work(other, records[: size // 2])
        self.foreign = other.folder / "state" / "a" / "accumulate"

    def prepare(self) -> None:
        """Make state, copy the caches, and make some more."""
        self.work()
        self.work()
        shutil.copytree(self.caches, self.earlier)
        self.work(killed=True)

    def work(self, *, killed: bool = False) -> None:
        """Let a worker process the next portion and stop in order, or be killed when it has done so.

        A cache that was closed is all tables; the newest writes of one that was not are in its log.
        """
        self._work(self.installation, self.portions.pop(0), killed=killed)

    def strike(self, damages: Sequence[Damage]) -> None:
        """Damage the cache of one partition after the other, each in its own way; then work, and look."""
        before = self.installation.folder / "before"
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(self.caches, before)
        for partition, damage in enumerate(damages):
            numbers = [n for n in range(self.installation.partitions) if n != partition]
            neighbour = before / str(self.rng.choice(numbers))
            name = str(partition)
            caches = Caches(self.caches / name, self.earlier / name, neighbour, self.foreign / name)
            damage(caches, self.rng)
            self.struck += 1
        self.work(killed=True)
        where = f"seed {self.seed}, {[damage.__name__ for damage in damages]}"
        self.installation.check(where=where)
        assert self.installation.check_caches() == self.installation.partitions, where

    def _work(self, installation: Installation, records: list[Output], *, killed: bool = False) -> None:
        with installation.feed(records):
            worker = installation.worker("a")
        installation.wait_until_idle()
        if killed:
            assert worker.kill() == KILLED, worker.output
        else:
            assert worker.terminate() == 0, worker.output


@contextmanager
def attack_on(
    bootstrap: str, prefix: str, folder: Path, seed: int, rounds: int, **load: int
) -> Iterator[Attack]:
    with (
        Installation(bootstrap, prefix, folder / "victim") as installation,
        Installation(bootstrap, f"{prefix}-other", folder / "other") as other,
    ):
        installation.create_topics()
        attack = Attack(installation, other, seed, rounds, **load)
        attack.prepare()
        yield attack


def test_damaged_caches_are_mended(kafka_bootstrap: str, prefix: str, tmp_path: Path) -> None:
    """Four partitions, four damages at a time, twice: all is as if nothing had happened."""
    started = time.monotonic()
    rng = random.Random(SEED)
    with attack_on(kafka_bootstrap, prefix, tmp_path, SEED, 5, n_objects=24, n_epochs=250) as attack:
        chosen = rng.sample(DAMAGES, 8)
        attack.strike(chosen[:4])
        attack.strike(chosen[4:])
        note("state directory, short", damages=attack.struck, seconds=round(time.monotonic() - started))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + 5))
def test_every_damage_on_every_partition(
    kafka_bootstrap: str, prefix: str, tmp_path: Path, seed: int
) -> None:
    """Each damage once on some partition, in an order by the seed, while the state grows."""
    started = time.monotonic()
    rng = random.Random(seed)
    order = rng.sample(DAMAGES, len(DAMAGES))
    rounds = [order[start : start + 4] for start in range(0, len(order), 4)]
    load = {"n_objects": 120, "n_epochs": 400}
    with attack_on(kafka_bootstrap, prefix, tmp_path, seed, len(rounds) + 3, **load) as attack:
        for damages in rounds:
            attack.strike(damages)
        report = attack.installation.check()
        note(
            f"state directory, seed {seed}",
            damages=attack.struck,
            records=report.photometry,
            windows=report.windows,
            seconds=round(time.monotonic() - started),
        )


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Mount a tmpfs that holds so much; where that is not allowed, say why and skip, or fail in CI."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        reason = f"a full disk needs a tmpfs, and mounting one failed: {mounted.stderr.strip()}"
        if os.environ.get("BROKER_PLUGIN_REQUIRE_TMPFS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_is_refused(installation: Installation, tmp_path: Path) -> None:
    """The disk has no room: exit code 2 and the directory's name; with room again, nothing is lost.

    First it is full before the start, then it is too small for the state, which shows while the worker works.
    """
    records = light_curves(SEED, n_objects=30, n_epochs=250)
    state = tmp_path / "disk" / "state"
    with small_disk(tmp_path / "disk", SMALL_KB) as disk:
        (disk / "other-data").write_bytes(bytes((SMALL_KB - 4) << 10))
        with installation.feed(records[:100]):
            refused(installation.worker("a", state=state))
        assert installation.wait_for_progress(0) == 0
        (disk / "other-data").unlink()
        with installation.feed(records[100:]):
            refused(installation.worker("a", state=state))
        done = installation.wait_for_progress(0)
        assert 0 < done < len(records)
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        again = installation.worker("a", state=state)
        installation.wait_until_idle()
        assert again.terminate() == 0, again.output
        report = installation.check()
    note("full disk", records=report.photometry, windows=report.windows, committed_before=done)


def refused(worker: Worker) -> None:
    """Wait for the worker to end as a full disk makes it end."""
    assert worker.wait() == ConfigurationError.exit_code, worker.output
    assert "No space left on device" in worker.output
    assert "accumulate.state_directory" in worker.output
    assert "Traceback" not in worker.output
