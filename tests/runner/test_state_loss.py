"""State that was lost where it counts, or a disk that takes no more: refused in words, never worked on."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker_plugin.errors import ConfigurationError, StateMismatchError
from broker_plugin.runner.protocols import Partition
from broker_plugin.runner.rocks import RocksStore
from broker_plugin.runner.store import LocalStateError
from tests.runner.counting import CountingStage, topic_specs
from tests.runner.test_restore import HERE, Setup


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


@pytest.mark.parametrize("everything", [False, True])
def test_a_truncated_changelog_is_refused_although_the_cache_is_whole(setup: Setup, everything: bool) -> None:
    """Records were deleted from the changelog's front.

    The marker at its end still fits the group's offset, and this worker's cache has what is gone; the next
    owner without one would go on with half of the state and never know.
    """
    setup.work(30)
    changelog = Partition("t.changelog", 0)
    _, end = setup.bus.offsets(changelog)
    setup.bus.delete_records(changelog, end if everything else end // 2)

    with pytest.raises(StateMismatchError) as caught:
        setup.work(0)

    assert f"begins at offset {end if everything else end // 2}" in str(caught.value)
    assert "kafka-consumer-groups.sh --bootstrap-server in-process --delete --group t.count" in str(
        caught.value
    )


def test_state_is_rebuilt_as_the_message_says(setup: Setup) -> None:
    """The changelog is gone: created anew, and the group's offsets deleted, everything is read again."""
    setup.work(30)
    setup.bus.delete_topic("t.changelog")
    setup.bus.create_topics(topic_specs("t", partitions=1))
    with pytest.raises(StateMismatchError, match=r"--delete --group t\.count"):
        setup.work(0)

    setup.bus.group("t.count").committed.clear()
    tally = setup.work(20)

    assert tally.restored == {0: (0, 0)}
    assert setup.bus.committed("t.count", [HERE]) == {HERE: 50}


def test_a_group_at_the_start_is_no_proof_of_an_empty_state(setup: Setup) -> None:
    """All input has expired, so its start is where the group stands: an empty changelog is still a loss."""
    setup.work(30)
    setup.bus.delete_records(HERE, 30)
    setup.bus.delete_topic("t.changelog")
    setup.bus.create_topics(topic_specs("t", partitions=1))

    with pytest.raises(StateMismatchError):
        setup.work(0)


@pytest.mark.parametrize("method", ["stamp", "apply"])
@pytest.mark.parametrize("cached", [False, True])
def test_damage_met_while_restoring_is_wiped_once(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, method: str, cached: bool
) -> None:
    """The damage shows only when the cache is read or written; the changelog has it all."""
    setup.work(30)
    if not cached:
        import shutil

        shutil.rmtree(setup.cache)
    whole = getattr(RocksStore, method)
    struck: list[int] = []

    def failing(store, *arguments):
        if not struck:
            struck.append(1)
            raise LocalStateError(0, "Corruption: block checksum mismatch")
        return whole(store, *arguments)

    monkeypatch.setattr(RocksStore, method, failing)
    setup.work(30)
    assert struck
    setup.check()


def test_damage_met_by_the_first_look_at_the_state_is_wiped(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage counts its objects when a partition opens; a block that nobody has read yet is bad."""
    setup.work(30)
    whole = RocksStore.scan
    struck: list[int] = []

    class Scanning(CountingStage):
        def partition_opened(self, partition, state):
            list(state.scan(partition, b""))
            return super().partition_opened(partition, state)

    def failing(store, prefix):
        if not struck:
            struck.append(1)
            raise LocalStateError(0, "Corruption: block checksum mismatch")
        return whole(store, prefix)

    monkeypatch.setattr(RocksStore, "scan", failing)
    setup.work(30, Scanning("t"))
    assert struck
    setup.check()


def test_a_disk_that_stays_full_is_refused(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wiping made no room for the state: the directory is named, and nothing goes round and round."""
    setup.work(30)
    whole = RocksStore.apply

    def full(store, changes, stamp):
        if changes:
            raise LocalStateError(0, "IO error: No space left on device")
        whole(store, changes, stamp)

    with monkeypatch.context() as patch:
        patch.setattr(RocksStore, "apply", full)
        with pytest.raises(ConfigurationError) as caught:
            setup.work(30)
    assert "No space left on device" in str(caught.value)
    assert "accumulate.state_directory" in str(caught.value)
    setup.work(0)
    setup.check()
