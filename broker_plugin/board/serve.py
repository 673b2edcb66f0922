"""The board as a process: a feed, a web server, one store; it ends with the first interrupt."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from broker_plugin.board.feed import Feed, FeedThread
from broker_plugin.board.model import PageModel
from broker_plugin.board.security import LOOPBACK
from broker_plugin.board.store import Store
from broker_plugin.board.web import Surroundings, create_app
from broker_plugin.errors import ConfigurationError
from broker_plugin.period import PeriodSettings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LEAVE_SECONDS = 2  # open event streams end by themselves within this


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """How the page is served.

    Attributes
    ----------
    host : str
        Address to listen at.
    port : int
        0 lets the system choose.
    also_known_as : sequence of str
        Further names that a browser may ask under.
    author : str
        Who labels here.
    bundle : Path
        The model of the page.
    period_settings : PeriodSettings
    publishes : bool
        Whether the feed sends labels to a topic.
    """

    host: str
    port: int
    also_known_as: Sequence[str]
    author: str
    bundle: Path
    period_settings: PeriodSettings
    publishes: bool


def serve(settings: BoardSettings, store: Store, feed: Feed, *, on_ready: Callable[[str], None]) -> None:
    """Serve until interrupted.

    In this order: 1. the address is bound, 2. the feed begins to read, 3. ``on_ready`` is told the address,
    4. after an interrupt open streams end, the feed finishes its batch, the server ends.

    Raises
    ------
    ConfigurationError
        The address cannot be bound.
    """
    stopping = threading.Event()
    listening = _bind(settings.host, settings.port)
    with listening:
        thread = FeedThread(feed)
        around = Surroundings(
            store=store,
            model=PageModel(settings.bundle),
            period_settings=settings.period_settings,
            feed_state=lambda: thread.state,
            author=settings.author,
            hosts=(*LOOPBACK, settings.host, *settings.also_known_as),
            publishes=settings.publishes,
            stopping=stopping,
        )
        server = _Server(
            uvicorn.Config(
                create_app(around),
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                timeout_graceful_shutdown=_LEAVE_SECONDS,
            ),
            stopping,
        )
        thread.start()
        on_ready(_address(settings.host, listening.getsockname()[1]))
        try:
            server.run(sockets=[listening])
        finally:
            stopping.set()
            thread.stop()


class _Server(uvicorn.Server):
    """Ends the event streams with the first signal; else each open page would hold the server up.

    A signal is how a board ends: uvicorn would raise it again afterwards, before the feed has finished.
    """

    def __init__(self, config: uvicorn.Config, stopping: threading.Event) -> None:
        super().__init__(config)
        self._stopping_streams = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM while the server runs; see :class:`uvicorn.Server`."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stopping_streams.set()
        self.handle_exit(number, frame)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        msg = f"{host} is no address of this machine ({error}); mend --host"
        raise ConfigurationError(msg) from error
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        msg = f"{host}:{port} cannot be listened at ({error.strerror}); choose another --port or --host"
        raise ConfigurationError(msg) from error
    return listening


def _address(host: str, port: int) -> str:
    name = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104 (compared, not bound)
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"
