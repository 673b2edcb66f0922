"""The layers of state against a plain dictionary."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.errors import ConfigurationError
from broker_plugin.runner.rocks import RocksStore
from broker_plugin.runner.sorted_keys import SortedKeys
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import CacheStamp, LocalStateError, LocalStore, MemoryStore

KEYS = st.binary(min_size=1, max_size=3).filter(lambda key: not key.startswith(b"\x00\x00"))
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=4), max_size=20)
STAMP = CacheStamp("cluster/topic/0", 7, {"in": 3}, 12.5)


def merged(*layers: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    held: dict[bytes, bytes | None] = {}
    for layer in layers:
        held.update(layer)
    return {key: value for key, value in held.items() if value is not None}


@given(committed=CHANGES, batch=CHANGES, record=CHANGES, prefix=st.binary(max_size=2))
def test_layers_read_like_one_dictionary(
    committed: dict[bytes, bytes | None],
    batch: dict[bytes, bytes | None],
    record: dict[bytes, bytes | None],
    prefix: bytes,
) -> None:
    """Cache, batch and record: get and scan see the newest, deletions included, in key order."""
    store = MemoryStore()
    store.apply(committed, STAMP)
    whole = BatchState(CommittedState({0: store}))
    for key, value in batch.items():
        whole.put(0, key, value)
    own = BatchState(whole)
    for key, value in record.items():
        own.put(0, key, value)

    for state, layers in ((whole, (committed, batch)), (own, (committed, batch, record))):
        expected = merged(*layers)
        assert all(state.get(0, key) == expected.get(key) for key in [*committed, *batch, *record])
        found = list(state.scan(0, prefix))
        assert found == sorted((k, v) for k, v in expected.items() if k.startswith(prefix))
    whole.absorb(own)
    assert dict(whole.scan(0, b"")) == merged(committed, batch, record)
    assert dict(store.scan(b"")) == merged(committed)  # nothing reached the cache


@settings(max_examples=20, deadline=None)
@given(first=CHANGES, second=CHANGES, prefixes=st.lists(st.binary(max_size=2), max_size=4))
def test_both_stores_agree(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[bytes, bytes | None],
    second: dict[bytes, bytes | None],
    prefixes: list[bytes],
) -> None:
    """RocksDB after a reopening holds and scans what the store in memory does."""
    folder = tmp_path_factory.mktemp("rocks")
    memory: LocalStore = MemoryStore()
    disk: LocalStore = RocksStore(folder, 0)
    assert memory.stamp() is disk.stamp() is None
    for changes in (first, second):
        memory.apply(changes, STAMP)
        disk.apply(changes, STAMP)
        disk.close()
        disk = RocksStore(folder, 0)

    try:
        assert memory.stamp() == disk.stamp() == STAMP
        for prefix in [b"", b"\xff", b"\xff\xff", *prefixes]:
            assert list(memory.scan(prefix)) == list(disk.scan(prefix))
        assert all(memory.get(key) == disk.get(key) for key in [*first, *second])
        for store in (memory, disk):
            store.wipe()
            assert list(store.scan(b"")) == []
            assert store.stamp() is None
    finally:
        disk.close()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5000)), max_size=200), st.binary(max_size=1))
def test_sorted_keys_are_a_sorted_set(steps: list[tuple[bool, int]], prefix: bytes) -> None:
    """Adding and removing in any order."""
    keys, oracle = SortedKeys(), set()
    for adding, number in steps:
        key = number.to_bytes(2, "big")
        if adding and key not in oracle:
            keys.add(key)
            oracle.add(key)
        elif not adding and key in oracle:
            keys.remove(key)
            oracle.remove(key)

    assert keys.with_prefix(prefix) == sorted(key for key in oracle if key.startswith(prefix))


def test_sorted_keys_split_and_vanish() -> None:
    """More keys than one block holds, added from both ends, then all removed."""
    keys = SortedKeys()
    numbers = [n if n % 2 else 9999 - n for n in range(5000)]
    for number in numbers:
        keys.add(b"%04d" % number)
    assert keys.with_prefix(b"") == sorted(b"%04d" % number for number in numbers)
    assert keys.with_prefix(b"00") == sorted(b"%04d" % number for number in numbers if number < 100)
    for number in numbers:
        keys.remove(b"%04d" % number)
    assert keys.with_prefix(b"") == []


@pytest.mark.parametrize("key", [b"", b"\x00\x00position"])
def test_reserved_keys_are_refused(key: bytes) -> None:
    """A stage cannot overwrite the runner's marker."""
    state = BatchState(CommittedState({0: MemoryStore()}))
    with pytest.raises(ValueError, match="is empty or starts with the reserved"):
        state.put(0, key, b"v")


def test_a_partition_that_is_not_ours_has_no_state() -> None:
    """Neither to read nor to write."""
    state = BatchState(CommittedState({0: MemoryStore()}))
    for access in (lambda: state.get(1, b"k"), lambda: state.put(1, b"k", b"v")):
        with pytest.raises(KeyError, match=r"no state for partition 1: this worker holds that of \[0\]"):
            access()


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file stands where the directory should be: nothing is wiped, the setting is named."""
    (tmp_path / "count").write_text("not a directory")
    with pytest.raises(ConfigurationError, match=r"mend 'accumulate\.state_directory'"):
        RocksStore(tmp_path / "count", 0)
    assert (tmp_path / "count").read_text() == "not a directory"


def test_unreadable_table_is_damage_and_not_the_end(tmp_path: Path) -> None:
    """A garbled block must not look like a short history, nor its database like one that is empty."""
    store = RocksStore(tmp_path, 0)
    store.apply({b"%04d" % n: bytes(100) for n in range(2000)}, STAMP)
    assert len(list(store.scan(b"00"))) == 100
    store.close()
    for table in store.path.glob("*.sst"):
        data = bytearray(table.read_bytes())
        data[50] ^= 255
        table.write_bytes(data)

    store = RocksStore(tmp_path, 0)
    with pytest.raises(LocalStateError, match="checksum"):
        list(store.scan(b"00"))
    store.wipe()
    assert list(store.scan(b"")) == []
    store.apply({b"k": b"v"}, STAMP)
    assert list(store.scan(b"")) == [(b"k", b"v")]
    store.close()
