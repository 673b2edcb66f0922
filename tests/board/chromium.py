"""A real headless Chromium, if the machine has one, and a board that serves to it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvicorn

from broker_plugin.board.feed import FeedState
from broker_plugin.board.model import PageModel
from broker_plugin.board.store import Store
from broker_plugin.board.web import Surroundings, create_app
from broker_plugin.model import default_bundle_path
from broker_plugin.period import PeriodSettings

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium_path() -> str:
    """Return where Chromium is, or skip and say how to provide it."""
    chosen = os.environ.get("BROKER_PLUGIN_TEST_CHROMIUM")
    found = chosen or next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium: apt-get install chromium, or set BROKER_PLUGIN_TEST_CHROMIUM to its path")
    return found


@dataclass
class Served:
    """A board in this process; ``state`` is what it says of its feed."""

    address: str
    store: Store
    state: FeedState


@contextmanager
def served(store: Store) -> Iterator[Served]:
    """Serve a store on a free port, as the command does, without a feed."""
    stopping = threading.Event()
    board = Served("", store, FeedState("test", caught_up=True, problem=""))
    around = Surroundings(
        store=store,
        model=PageModel(default_bundle_path()),
        period_settings=PeriodSettings(),
        feed_state=lambda: board.state,
        author="tester",
        hosts=("127.0.0.1",),
        publishes=False,
        stopping=stopping,
    )
    config = uvicorn.Config(
        create_app(around), port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=2
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 120
    while not server.started:
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.01)
    board.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield board
    finally:
        stopping.set()
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive(), "the server does not end"
