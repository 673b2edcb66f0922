"""The local cache may be gone, old, somebody else's or damaged; the state is right or the worker refuses."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from broker_plugin.errors import FatalBusError, StateMismatchError
from broker_plugin.runner.loop import Runner
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output, Partition
from broker_plugin.runner.rocks import RocksStore
from broker_plugin.runner.settings import Clock
from broker_plugin.runner.store import CacheStamp, LocalStateError
from tests.runner.counting import (
    CountingStage,
    dead_letter_to,
    expected_outputs,
    fill,
    outputs,
    state_of,
    topic_specs,
)
from tests.runner.test_exactly_once import Tally, runner_settings, undisturbed_state

HERE = Partition("t.in", 0)


class Setup:
    """One partition, one worker after the other."""

    def __init__(self, state_dir: Path | None) -> None:
        self.state_dir = state_dir
        self.bus = MemoryBus()
        self.bus.create_topics(topic_specs("t", partitions=1))
        self.written = 0
        self.clock = Clock()

    def work(self, n_records: int, stage: CountingStage | None = None, **more: object) -> Tally:
        """Write records, then let a new worker process them."""
        fill(self.bus, "t", n_records, first=self.written)
        self.written += n_records
        tally = Tally()
        runner = Runner(
            stage or CountingStage("t"),
            self.bus,
            dead_letter_to("t"),
            runner_settings("t", self.state_dir, **more),
            sensor=tally,
            clock=self.clock,
        )
        with runner:
            runner.run_until_idle(30)
        return tally

    def check(self) -> None:
        assert outputs(self.bus, "t") == expected_outputs(self.written)
        assert state_of(self.bus, "t") == undisturbed_state(self.written)

    @property
    def cache(self) -> Path:
        assert self.state_dir is not None
        return self.state_dir / "count" / "0"

    def restamp(self, **fields: object) -> None:
        """Change what the closed cache says of itself."""
        store = RocksStore(self.cache.parent, 0)
        stamp = store.stamp()
        assert stamp is not None
        store.apply({}, replace(stamp, **fields))  # type: ignore[arg-type]
        store.close()

    def restored_from(self, tally: Tally) -> int:
        """Return the changelog offset that a worker's restore began at."""
        assert 0 in tally.restored, "nothing was restored"
        done, total = tally.restored[0]
        assert done == total
        return self.end_before - total

    def note_end(self) -> None:
        self.end_before = self.bus.offsets(Partition("t.changelog", 0))[1]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_a_fresh_cache_is_read_from_where_it_stands(setup: Setup) -> None:
    """A clean restart reads nothing of the changelog again."""
    setup.work(30)
    setup.note_end()
    tally = setup.work(30)

    assert setup.restored_from(tally) >= setup.end_before - 1  # the last commit's own control record at most
    setup.check()


def test_a_wiped_cache_is_restored_in_full(setup: Setup) -> None:
    """The state directory is on a disk that did not survive."""
    setup.work(30)
    shutil.rmtree(setup.cache)
    setup.note_end()
    tally = setup.work(30, restore_step_records=3)

    assert setup.restored_from(tally) == 0
    setup.check()


def test_no_directory_at_all() -> None:
    """Caches in memory restore in full at every start."""
    setup = Setup(None)
    for _ in range(3):
        setup.work(20)
    setup.check()


def test_a_stale_cache_catches_up(setup: Setup, tmp_path: Path) -> None:
    """The directory was copied back from an hour ago, several batches and deletions behind."""
    setup.work(20)
    shutil.copytree(setup.cache, tmp_path / "copy")
    setup.work(40)
    shutil.rmtree(setup.cache)
    shutil.copytree(tmp_path / "copy", setup.cache)
    setup.note_end()
    tally = setup.work(20)

    assert 0 < setup.restored_from(tally) < setup.end_before - 10
    setup.check()


def test_a_cache_older_than_the_tombstones_is_not_trusted(
    setup: Setup, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A deletion that the old cache missed was compacted away: only a full restore leaves the key out."""
    setup.work(10)  # every key was counted twice and has a last value
    shutil.copytree(setup.cache, tmp_path / "copy")
    setup.work(5)  # the third count deletes each last value
    shutil.rmtree(setup.cache)
    shutil.copytree(tmp_path / "copy", setup.cache)
    setup.bus.compact("t.changelog")
    setup.bus.compact("t.changelog")  # the tombstones survive one compaction, not two
    later = setup.clock.wall() + 2 * 86400
    setup.clock = Clock(wall=lambda: later)
    seen: dict[bytes, bytes] = {}

    class Looking(CountingStage):
        def partition_opened(self, partition, state):
            seen.update(state.scan(partition, b"last/"))
            return super().partition_opened(partition, state)

    setup.work(0, Looking("t"))

    assert seen == {}
    assert "deletions are kept for 86400 s" in caplog.text


def test_an_idle_worker_keeps_its_cache_young(setup: Setup) -> None:
    """Nothing came for days, then a clean restart: the cache was current all the time."""
    setup.work(20)
    days_later = setup.clock.wall() + 5 * 86400
    runner = Runner(
        CountingStage("t"),
        setup.bus,
        dead_letter_to("t"),
        runner_settings("t", setup.state_dir),
        clock=(clock := Clock()),
    )
    runner.run_until_idle(30)
    object.__setattr__(clock, "wall", lambda: days_later)
    runner.close()
    store = RocksStore(setup.cache.parent, 0)
    stamp = store.stamp()
    store.close()

    assert stamp is not None
    assert stamp.written_at == days_later


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"offset": 10_000}, "it stands at changelog offset 10000"),
        ({"identity": "another-cluster/t.changelog/id/0"}, "it belongs to another-cluster"),
    ],
)
def test_a_foreign_or_impossible_cache_is_discarded(
    setup: Setup, caplog: pytest.LogCaptureFixture, fields: dict[str, object], reason: str
) -> None:
    """A cache ahead of its changelog, or of another cluster, is wiped with a warning."""
    setup.work(30)
    setup.restamp(**fields)
    setup.note_end()
    tally = setup.work(10)

    assert setup.restored_from(tally) == 0
    assert reason in caplog.text
    setup.check()


def test_a_cache_of_another_partition_is_discarded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody moved directories around: partition 0's files lie under 1 and the other way round."""
    bus = MemoryBus()
    bus.create_topics(topic_specs("t", partitions=2))

    def work() -> None:
        with Runner(CountingStage("t"), bus, dead_letter_to("t"), runner_settings("t", tmp_path)) as runner:
            runner.run_until_idle(30)

    fill(bus, "t", 30)
    work()
    stage_dir = tmp_path / "count"
    (stage_dir / "0").rename(stage_dir / "x")
    (stage_dir / "1").rename(stage_dir / "0")
    (stage_dir / "x").rename(stage_dir / "1")
    fill(bus, "t", 30, first=30)
    work()

    assert outputs(bus, "t") == expected_outputs(60)
    assert caplog.text.count("is discarded: it belongs to") == 2


@pytest.mark.parametrize("victim", ["CURRENT", "MANIFEST-*", "*.log", "*.sst", "all"])
def test_a_damaged_cache_is_wiped(setup: Setup, victim: str) -> None:
    """Files of the database hold garbage."""
    setup.work(30)
    store = RocksStore(setup.cache.parent, 0)
    store._db.flush()
    store.apply({}, store.stamp() or CacheStamp("", 0))
    store.close()
    pattern = "*" if victim == "all" else victim
    struck = [path for path in setup.cache.glob(pattern) if path.is_file() and path.name != "LOCK"]
    assert struck
    for path in struck:
        path.write_bytes(b"\x07garbage" * max(1, path.stat().st_size // 8))

    setup.work(30)

    setup.check()


def test_a_cache_that_lies_about_its_position_heals(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    """Right identity, right offset, wrong marker: the committed offset disproves it, a restore mends it."""
    setup.work(30)
    setup.restamp(positions={"t.in": 7})
    setup.work(10)

    assert "does not fit the group's offset; restoring it in full" in caplog.text
    setup.check()


def test_a_cache_held_by_a_hung_worker_is_left_to_it(setup: Setup) -> None:
    """The former owner still has the directory open: the new one takes the next and restores there."""
    setup.work(30)
    held = RocksStore(setup.cache.parent, 0)
    try:
        setup.work(30)
        assert (setup.cache.parent / "0.1").is_dir()
    finally:
        held.close()
    setup.work(30)  # and the first directory, now old, catches up
    setup.check()


@pytest.mark.parametrize("method", ["get", "apply", "scan"])
def test_a_disk_error_in_the_middle_costs_nothing(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Reading or writing the cache fails once while running; it is restored, no record is a dead letter."""
    real = getattr(RocksStore, method)
    calls = {"left": 9}

    def failing(self, *arguments):
        calls["left"] -= 1
        if calls["left"] == 0:
            raise LocalStateError(0, "Corruption: block checksum mismatch")
        return real(self, *arguments)

    class Scanning(CountingStage):
        def step(self, batch, state):
            list(state.scan(0, b"n/"))
            return super().step(batch, state)

    monkeypatch.setattr(RocksStore, method, failing)
    setup.work(90, Scanning("t"))

    assert calls["left"] < 0
    setup.check()
    assert setup.bus.offsets(Partition("t.dead-letters", 0)) == (0, 0)


def test_moved_offsets_are_refused_with_both_numbers(setup: Setup) -> None:
    """Somebody reset the group: running on would count records twice."""
    setup.work(30)
    setup.bus.group("t.count").committed[HERE] = 12

    with pytest.raises(StateMismatchError) as caught:
        setup.work(0)

    text = str(caught.value)
    assert "stands at offset 30 of t.in/0" in text
    assert "group t.count has committed offset 12" in text
    assert "--reset-offsets --to-offset 30" in text
    assert caught.value.exit_code == 6


def test_expired_offsets_are_refused(setup: Setup) -> None:
    """The group's offsets expired while the changelog is there: starting over would repeat everything."""
    setup.work(30)
    setup.bus.group("t.count").committed.clear()

    with pytest.raises(StateMismatchError, match=r"stands at offset 30 .* committed no offset"):
        setup.work(0)


def test_an_emptied_changelog_is_refused(setup: Setup) -> None:
    """The changelog was deleted and created anew: the state is gone although the cache still has it."""
    setup.work(30)
    setup.bus.delete_topic("t.changelog")
    setup.bus.create_topics(topic_specs("t", partitions=1))

    with pytest.raises(StateMismatchError, match=r"stands at no offset .* committed offset 30"):
        setup.work(0)


def test_a_changelog_that_others_write_to_is_refused(setup: Setup) -> None:
    """A record without a key cannot be state."""
    setup.work(30)
    setup.bus.producer().send(Output("t.changelog", None, b"hello", partition=0))

    with pytest.raises(StateMismatchError, match="is another program writing to the topic"):
        setup.work(0)


def test_a_restore_that_waits_for_a_dead_transaction_gives_up_in_time(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    """An open transaction hides the changelog's end; the worker rejoins, gives up, and works later."""
    caplog.set_level(logging.WARNING)
    setup.work(30)
    dead = setup.bus.producer("t.count.dead")
    dead.init_transactions()
    dead.begin()
    dead.send(Output("t.changelog", b"n/k0", b"999", partition=0))
    short = {"restore_patience_seconds": 0.2, "restore_step_seconds": 0.05, "max_rejoins": 1}

    with pytest.raises(FatalBusError, match="a transaction is open there"):
        setup.work(10, **short)
    setup.bus.expire_transactions()
    setup.work(0)  # with all the patience that it has: a machine may be slow without a transaction, too

    setup.check()


def test_a_partition_is_opened_once_and_before_its_records(setup: Setup) -> None:
    """``partition_opened`` sees the restored state, and no step comes before it."""
    setup.work(20)
    events: list[str] = []

    class Watching(CountingStage):
        def partition_opened(self, partition, state):
            events.append(f"opened with {len(list(state.scan(partition, b'n/')))} keys")
            return super().partition_opened(partition, state)

        def step(self, batch, state):
            events.append("step")
            return super().step(batch, state)

        def partition_closed(self, partition, state):
            events.append("closed")
            return super().partition_closed(partition, state)

    setup.work(20, Watching("t"))

    assert events == ["opened with 5 keys", "step", "step", "step", "closed"]
