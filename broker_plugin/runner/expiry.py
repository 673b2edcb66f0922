"""Records that were deleted before anybody read them: nothing brings them back, but everybody is told."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from broker_plugin.runner.protocols import Observation, Partition
from broker_plugin.runner.sensor import Sensor

logger = logging.getLogger(__name__)

_LARGEST_GAP = 1  # offsets without a record: every transaction leaves one, an aborted one more, but is rare


@dataclass(frozen=True, slots=True)
class Expiry:
    """Looks whether the input still has what its stage has not read.

    Refusing to go on would lose more of it, and there is no offset that one could go back to; so it is told
    as an error, and counted.

    Attributes
    ----------
    stage : str
    first_offset : callable
        Returns the first offset that a partition of the input still has.
    sensor : Sensor
    """

    stage: str
    first_offset: Callable[[Partition], int]
    sensor: Sensor

    def look_after_gap(self, partition: Partition, stands: int, came: int) -> None:
        """Look, if more is missing before the next record than the end of a transaction."""
        if came - stands > _LARGEST_GAP:
            self.look(partition, stands)

    def look(self, partition: Partition, stands: int) -> int:
        """Return the first offset that there still is, and tell if unread ones before it are gone."""
        first = self.first_offset(partition)
        lost = first - stands
        if lost > 0:
            logger.error(
                "LOST: up to %d records of %s/%d (offsets %d to %d) expired before stage %s read them; it "
                "goes on at %d. Replay the nights that are missing (broker-plugin replay), and set the "
                "topic's retention.ms above the longest time that a worker may be down",
                *(lost, partition.topic, partition.partition, stands, first - 1, self.stage, first),
            )
            labels = {"stage": self.stage, "topic": partition.topic}
            self.sensor.on_observations(
                self.stage, [Observation("records_expired_total", float(lost), labels)]
            )
        return first
