"""A consumer group of the in-process bus: members, generations, incremental assignment, committed offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from broker_plugin.runner.protocols import Partition


@dataclass(frozen=True, slots=True)
class GroupMetadata:
    """Who a consumer was in its group when it asked."""

    group: str
    member: str
    generation: int


@dataclass(slots=True)
class Member:
    """A consumer as its group sees it."""

    name: str
    topics: frozenset[str]
    generation: int = 0
    owned: set[Partition] = field(default_factory=set)


class Group:
    """The coordinator's side; the bus holds the lock.

    Every change of membership starts a new generation. A member learns of it when it polls: it gives up
    what is no longer its own, which starts another generation, in which somebody else gets it. Offsets
    sent with an older generation are refused.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.committed: dict[Partition, int] = {}
        self.notes: dict[Partition, str] = {}
        self.pending: dict[Partition, set[object]] = {}  # offsets in transactions that are still open
        self._joined = 0

    def join(self, topics: Sequence[str]) -> Member:
        """Add a member under a name that was never used before."""
        self._joined += 1
        member = Member(f"{self.name}-{self._joined}", frozenset(topics))
        self.members[member.name] = member
        self.generation += 1
        return member

    def leave(self, member: Member) -> None:
        """Remove a member; what it owned is free."""
        if self.members.pop(member.name, None) is not None:
            member.owned.clear()
            self.generation += 1

    def is_current(self, metadata: GroupMetadata) -> bool:
        """Return whether offsets sent with this metadata may be taken."""
        return metadata.member in self.members and metadata.generation == self.generation

    def release(self, member: Member, partitions: set[Partition]) -> None:
        """Give up partitions so that others can have them."""
        member.owned -= partitions
        self.generation += 1

    def free(self, partitions: set[Partition]) -> set[Partition]:
        """Return those of some partitions that nobody owns."""
        return partitions.difference(*(member.owned for member in self.members.values()))

    def target(self, counts: Mapping[str, int]) -> dict[str, set[Partition]]:
        """Return which member should own what: balanced, and moving as little as possible."""
        targets: dict[str, set[Partition]] = {name: set() for name in self.members}
        for topic in sorted(counts):
            takers = [m for m in self.members.values() if topic in m.topics]
            if not takers:
                continue
            partitions = [Partition(topic, number) for number in range(counts[topic])]
            quota, extra = divmod(len(partitions), len(takers))
            # Who owns most of the topic now is first in line for the larger shares.
            takers.sort(key=lambda m: -sum(p.topic == topic for p in m.owned))
            shares = {m.name: quota + (i < extra) for i, m in enumerate(takers)}
            unassigned = set(partitions)
            for member in takers:
                kept = sorted((p for p in member.owned if p in unassigned), key=lambda p: p.partition)
                targets[member.name].update(kept[: shares[member.name]])
                unassigned.difference_update(kept[: shares[member.name]])
            rest = sorted(unassigned, key=lambda p: p.partition, reverse=True)
            for member in takers:
                missing = shares[member.name] - sum(p.topic == topic for p in targets[member.name])
                for _ in range(missing):
                    targets[member.name].add(rest.pop())
        return targets
