"""A rolling window of input topics: the names wanted now, and which of them exist."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from broker_plugin.errors import BrokerPluginError
from broker_plugin.runner.bus import Bus
from broker_plugin.runner.settings import Clock

logger = logging.getLogger(__name__)

CHECK_SECONDS = 30.0

WantedTopics = Callable[[float], Sequence[str]]
"""Told the seconds since 1970, returns the explicit names of the topics to read then."""


class TopicWindow:
    """Explicit names only, and only those that exist.

    A pattern would subscribe to every topic that fits it, also to those that the survey has deleted and the
    metadata still names: their errors hold up the live ones (https://github.com/boom-astro/boom/pull/567).
    A subscription to a name that does not exist yet depends on the cluster's rights and settings; asking for
    all topics now and then does not.

    Parameters
    ----------
    wanted : callable
    bus : Bus
        The survey's cluster.
    clock : Clock
    """

    def __init__(self, wanted: WantedTopics, bus: Bus, clock: Clock) -> None:
        self._wanted = wanted
        self._bus = bus
        self._clock = clock
        self._asked_at: float | None = None
        self._asked_for: tuple[str, ...] = ()
        self._existing: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the names wanted now, whether they exist or not."""
        return tuple(self._wanted(self._clock.wall()))

    def existing(self) -> tuple[str, ...]:
        """Return the wanted topics that exist; asks at most every 30 s, and when other names are wanted.

        What was known stays true while the cluster does not answer.
        """
        names, now = self.wanted, self._clock.monotonic()
        if names == self._asked_for and self._asked_at is not None and now - self._asked_at < CHECK_SECONDS:
            return self._existing
        try:
            counts = self._bus.partition_counts(list(names))
        except BrokerPluginError as error:
            if self._asked_at is None:
                raise  # an address that never answered is a mistake to be told at once
            logger.warning("looking for new topics: %s", error)
        else:
            self._existing = tuple(name for name in names if counts[name] is not None)
            self._asked_for = names
        self._asked_at = now
        return self._existing
