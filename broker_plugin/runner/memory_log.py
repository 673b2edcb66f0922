"""One partition of the in-process bus: offsets, open transactions, compaction and truncation, as in Kafka."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from broker_plugin.runner.protocols import Message

_COMPACT_FROM = 1000  # records below which compaction is not worth its pass


@dataclass(frozen=True, slots=True)
class _Entry:
    message: Message
    transaction: object | None


def _offset(entry: _Entry) -> int:
    return entry.message.offset


class PartitionLog:
    """An append-only log. A transaction's end takes an offset of its own, like Kafka's control records.

    Attributes
    ----------
    start, end : int
        First offset kept, and the offset that the next record gets.
    """

    def __init__(self, *, compacted: bool) -> None:
        self.start = 0
        self.end = 0
        self._compacted = compacted
        self._entries: list[_Entry] = []
        self._open: dict[object, int] = {}  # transaction -> its first offset here
        self._clean_until = 0  # tombstones below have been through one compaction
        self._compact_at = _COMPACT_FROM

    @property
    def stable_end(self) -> int:
        """Return the last stable offset: the first of an open transaction, else the end."""
        return min(self._open.values(), default=self.end)

    def append(self, message: Message, transaction: object | None) -> None:
        """Append a record whose offset is :attr:`end`."""
        assert message.offset == self.end
        if transaction is not None:
            self._open.setdefault(transaction, self.end)
        self._entries.append(_Entry(message, transaction))
        self.end += 1

    def finish(self, transaction: object, *, commit: bool) -> None:
        """End a transaction here; aborted records vanish, their offsets stay empty."""
        first = self._open.pop(transaction)
        self.end += 1
        if not commit:
            at = bisect_left(self._entries, first, key=_offset)
            self._entries[at:] = [e for e in self._entries[at:] if e.transaction is not transaction]
        if self._compacted and len(self._entries) >= self._compact_at:
            self.compact()
            self._compact_at = max(_COMPACT_FROM, 2 * len(self._entries))

    def fetch(self, position: int, max_records: int) -> tuple[list[Message], int]:
        """Return committed records from a position on, and the position after them."""
        position = max(position, self.start)
        stable = self.stable_end
        at = bisect_left(self._entries, position, key=_offset)
        found: list[Message] = []
        while at < len(self._entries) and len(found) < max_records:
            message = self._entries[at].message
            if message.offset >= stable:
                break
            found.append(message)
            at += 1
        if len(found) == max_records and found:
            return found, found[-1].offset + 1
        return found, max(position, stable)

    def truncate(self, before: int) -> None:
        """Forget the records below an offset; never beyond what is stable."""
        before = min(before, self.stable_end)
        if before > self.start:
            self.start = before
            del self._entries[: bisect_left(self._entries, before, key=_offset)]

    def compact(self) -> None:
        """Keep the last stable record of each key; a tombstone survives one compaction, then goes."""
        stable = self.stable_end
        last: dict[bytes | None, int] = {}
        for entry in self._entries:
            if entry.message.offset < stable:
                last[entry.message.key] = entry.message.offset
        self._entries = [e for e in self._entries if self._survives(e.message, stable, last)]
        self._clean_until = stable

    def _survives(self, message: Message, stable: int, last: dict[bytes | None, int]) -> bool:
        if message.offset >= stable:
            return True
        if last[message.key] != message.offset:
            return False
        return message.value is not None or message.offset >= self._clean_until
