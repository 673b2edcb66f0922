"""A set of byte strings in order, for prefix scans over what is held in memory."""

from __future__ import annotations

from bisect import bisect_left, insort

_BLOCK = 512  # a block is split at twice this: inserting moves at most 8 kB of pointers


class SortedKeys:
    """Keys in blocks, so that adding one costs little whether there are ten or ten million."""

    def __init__(self) -> None:
        self._blocks: list[list[bytes]] = []
        self._lasts: list[bytes] = []  # the last key of each block

    def add(self, key: bytes) -> None:
        """Add a key that is not there."""
        if not self._blocks:
            self._blocks.append([key])
            self._lasts.append(key)
            return
        i = min(bisect_left(self._lasts, key), len(self._lasts) - 1)
        block = self._blocks[i]
        insort(block, key)
        self._lasts[i] = block[-1]
        if len(block) > 2 * _BLOCK:
            self._blocks[i : i + 1] = [block[:_BLOCK], block[_BLOCK:]]
            self._lasts[i : i + 1] = [block[_BLOCK - 1], block[-1]]

    def remove(self, key: bytes) -> None:
        """Remove a key that is there."""
        i = bisect_left(self._lasts, key)
        block = self._blocks[i]
        del block[bisect_left(block, key)]
        if block:
            self._lasts[i] = block[-1]
        else:
            del self._blocks[i], self._lasts[i]

    def with_prefix(self, prefix: bytes) -> list[bytes]:
        """Return the keys that start with a prefix, in order."""
        found: list[bytes] = []
        i = bisect_left(self._lasts, prefix)
        while i < len(self._blocks):
            block = self._blocks[i]
            for j in range(bisect_left(block, prefix), len(block)):
                if not block[j].startswith(prefix):
                    return found
                found.append(block[j])
            i += 1
        return found
