"""One thread that fills the store, whatever it reads from, and what it last had to say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from broker_plugin.errors import BrokerPluginError

logger = logging.getLogger(__name__)

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0


class Feed(Protocol):
    """Something to read from.

    Attributes
    ----------
    source : str
        Its name, for people.
    """

    source: str

    def follow(self, stopping: threading.Event, on_caught_up: Callable[[bool], None]) -> None:
        """Read into the store until ``stopping`` is set; raise what hinders.

        May be called again after it raised. ``on_caught_up`` is told when everything was read, and when there
        is more to read again.
        """


@dataclass(frozen=True, slots=True)
class FeedState:
    """What the page says of the feed.

    Attributes
    ----------
    source : str
    caught_up : bool
        Everything that was there has been read.
    problem : str
        Why nothing comes at the moment; empty when all is well.
    """

    source: str
    caught_up: bool
    problem: str


class FeedThread:
    """Runs a feed, and again after a pause when it fails: a page that shows what it has is better than none.

    Parameters
    ----------
    feed : Feed
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._stopping = threading.Event()
        self._state = FeedState(feed.source, caught_up=False, problem="")
        self._thread = threading.Thread(target=self._run, name="board-feed", daemon=True)

    @property
    def state(self) -> FeedState:
        """Return how it stands."""
        return self._state

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout_seconds: float = 15.0) -> None:
        """Finish the batch at hand and end; may be called twice, and before the start."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                self._feed.follow(self._stopping, self._caught_up)
            except BrokerPluginError as error:
                self._failed(str(error))
            except Exception as error:  # the page must go on and say so, whatever it was
                logger.exception("the feed failed")
                self._failed(f"{type(error).__name__}: {error}")
            else:
                return
            self._stopping.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _failed(self, problem: str) -> None:
        if problem != self._state.problem:
            logger.warning("%s: %s", self._feed.source, problem)
        self._state = FeedState(self._feed.source, caught_up=False, problem=problem)

    def _caught_up(self, caught_up: bool) -> None:
        self._state = FeedState(self._feed.source, caught_up=caught_up, problem="")
