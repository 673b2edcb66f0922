"""For readers that decide themselves where each partition is read from; a stage has its committed offsets."""

from __future__ import annotations

from collections.abc import Sequence

from broker_plugin.runner.protocols import Partition


class Placement:
    """Knows which partitions are new here, and which were put where they are to be read from.

    A :class:`broker_plugin.runner.bus.RebalanceListener`. What a new partition delivers before it is placed
    is to be dropped: placing seeks.
    """

    def __init__(self) -> None:
        self.new: set[Partition] = set()
        self.placed: set[Partition] = set()

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """Note what came."""
        self.new.update(partitions)

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Note what went, in order or lost."""
        self.new.difference_update(partitions)
        self.placed.difference_update(partitions)

    on_lost = on_revoked
