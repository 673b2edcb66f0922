"""The state as a step sees it: the committed cache with the batch's own writes laid over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broker_plugin.runner.protocols import State
from broker_plugin.runner.sorted_keys import SortedKeys
from broker_plugin.runner.store import LocalStore

RESERVED = b"\x00\x00"
"""Keys that start with this belong to the runner."""


class CommittedState:
    """What is committed, read-only: the bottom layer."""

    def __init__(self, stores: Mapping[int, LocalStore]) -> None:
        self._stores = stores

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the value, or None where there is none."""
        return self._store(partition).get(key)

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Refuse: only a batch writes."""
        msg = f"state of partition {partition} can only be written inside a step (key {key!r})"
        raise TypeError(msg)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of every key that starts with the prefix, in key order."""
        return self._store(partition).scan(prefix)

    def _store(self, partition: int) -> LocalStore:
        store = self._stores.get(partition)
        if store is None:
            owned = sorted(self._stores)
            msg = f"no state for partition {partition}: this worker holds that of {owned or 'none'}"
            raise KeyError(msg)
        return store


class BatchState:
    """Writes of one batch over a layer below; nothing below changes until somebody takes :attr:`changes`.

    Layers stack: a record that is tried on its own gets a layer of its own, which is absorbed when it worked.
    """

    def __init__(self, below: State) -> None:
        self._below = below
        self._changes: dict[int, dict[bytes, bytes | None]] = {}
        self._keys: dict[int, SortedKeys] = {}
        self._unsorted: dict[int, list[bytes]] = {}  # keys since the last scan; most batches scan little

    @property
    def changes(self) -> Mapping[int, Mapping[bytes, bytes | None]]:
        """Return what was put: by partition, by key in the order of first writing, None for a deletion."""
        return self._changes

    def get(self, partition: int, key: bytes) -> bytes | None:
        """Return the value, or None where there is none."""
        changed = self._changes.get(partition)
        if changed is not None and key in changed:
            return changed[key]
        return self._below.get(partition, key)

    def put(self, partition: int, key: bytes, value: bytes | None) -> None:
        """Set the value; None deletes it.

        Raises
        ------
        ValueError
            The key is empty or reserved.
        KeyError
            The partition is not this worker's, or the stage has no state.
        """
        if not key or key.startswith(RESERVED):
            msg = f"state key {key!r} is empty or starts with the reserved {RESERVED!r}"
            raise ValueError(msg)
        changed = self._changes.get(partition)
        if changed is None:
            self._below.get(partition, key)  # raises KeyError for a partition that is not ours
            changed = self._changes.setdefault(partition, {})
            self._keys[partition] = SortedKeys()
            self._unsorted[partition] = []
        if key not in changed:
            self._unsorted[partition].append(key)
        changed[key] = value

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of every key that starts with the prefix, in key order.

        The keys are those at the time of the call; a value put while the scan runs may or may not be seen.
        """
        if partition not in self._keys:
            return self._below.scan(partition, prefix)
        keys = self._keys[partition]
        for key in self._unsorted[partition]:
            keys.add(key)
        self._unsorted[partition].clear()
        mine = keys.with_prefix(prefix)
        return self._merge(self._changes[partition], mine, self._below.scan(partition, prefix))

    @staticmethod
    def _merge(
        changed: Mapping[bytes, bytes | None], mine: list[bytes], below: Iterator[tuple[bytes, bytes]]
    ) -> Iterator[tuple[bytes, bytes]]:
        i = 0
        for key, value in below:
            while i < len(mine) and mine[i] < key:
                own = changed[mine[i]]
                if own is not None:
                    yield mine[i], own
                i += 1
            if i < len(mine) and mine[i] == key:
                continue  # ours hides it; yielded before the next larger key
            yield key, value
        for key in mine[i:]:
            own = changed[key]
            if own is not None:
                yield key, own

    def absorb(self, above: BatchState) -> None:
        """Take over the writes of a layer that was laid over this one."""
        for partition, changed in above.changes.items():
            for key, value in changed.items():
                self.put(partition, key, value)
