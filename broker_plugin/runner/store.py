"""The local cache of one changelog partition: what every backend does, and the one that lives in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol

from broker_plugin.errors import BrokerPluginError
from broker_plugin.runner.sorted_keys import SortedKeys


class LocalStateError(BrokerPluginError):
    """A local cache cannot be read or written: wipe it and restore it from the changelog."""

    def __init__(self, partition: int, detail: str) -> None:
        super().__init__(f"local state of partition {partition}: {detail}; restoring it from the changelog")
        self.partition = partition
        self.detail = detail


@dataclass(frozen=True, slots=True)
class CacheStamp:
    """What a local cache holds; written in the same atomic step as the data that it speaks of.

    Attributes
    ----------
    identity : str
        Cluster, topic (with the id that it got at creation) and partition of the changelog.
    offset : int
        Every changelog record below is applied.
    positions : mapping of str to int
        By source topic, the next offset that the state stands for; empty before the first batch.
    written_at : float
        Seconds since 1970 at which the cache was known to be up to ``offset``.
    """

    identity: str
    offset: int
    positions: Mapping[str, int] = field(default_factory=dict)
    written_at: float = 0.0

    def to_bytes(self) -> bytes:
        """Encode."""
        return json.dumps(asdict(self), sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> CacheStamp:
        """Decode; raises ValueError, KeyError or TypeError on anything that is no stamp."""
        fields = json.loads(data)
        positions = {str(topic): int(offset) for topic, offset in fields["positions"].items()}
        return cls(str(fields["identity"]), int(fields["offset"]), positions, float(fields["written_at"]))


class LocalStore(Protocol):
    """Keys and values of one partition with a stamp. All methods raise LocalStateError on damage."""

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None where there is none."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of every key that starts with the prefix, in key order."""

    def stamp(self) -> CacheStamp | None:
        """Return the stamp of the last :meth:`apply`, None for a fresh or unreadable cache."""

    def apply(self, changes: Mapping[bytes, bytes | None], stamp: CacheStamp) -> None:
        """Set and delete (None) keys and replace the stamp: all of it or nothing."""

    def size_bytes(self) -> int | None:
        """Return the room taken on disk, roughly; None if there is nothing to tell. Quick, never raises."""

    def wipe(self) -> None:
        """Forget everything, the stamp included."""

    def close(self) -> None:
        """Let go of files. Never raises; may be called twice."""


OpenStore = Callable[[int], LocalStore]
"""Opens the cache of a partition."""


class MemoryStore:
    """A cache that dies with its owner: for the offline mode and for tests."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys = SortedKeys()
        self._stamp: CacheStamp | None = None

    def get(self, key: bytes) -> bytes | None:
        """Return the value, or None where there is none."""
        return self._values.get(key)

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of every key that starts with the prefix, in key order."""
        for key in self._keys.with_prefix(prefix):
            yield key, self._values[key]

    def stamp(self) -> CacheStamp | None:
        """Return the stamp of the last :meth:`apply`."""
        return self._stamp

    def apply(self, changes: Mapping[bytes, bytes | None], stamp: CacheStamp) -> None:
        """Set and delete keys and replace the stamp."""
        for key, value in changes.items():
            known = key in self._values
            if value is None:
                if known:
                    del self._values[key]
                    self._keys.remove(key)
            else:
                if not known:
                    self._keys.add(key)
                self._values[key] = value
        self._stamp = stamp

    def size_bytes(self) -> int | None:
        """Return nothing: it takes no room on disk."""
        return None

    def wipe(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._keys = SortedKeys()
        self._stamp = None

    def close(self) -> None:
        """Do nothing."""
