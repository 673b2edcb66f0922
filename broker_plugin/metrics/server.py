"""The HTTP server: ``/metrics`` for Prometheus, ``/livez`` and ``/readyz`` for an orchestrator."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from broker_plugin.errors import ConfigurationError
from broker_plugin.metrics.registry import Metrics

_SILENCE_SECONDS = 10.0

Check = Callable[[], str | None]
"""Returns None when all is well, else what is wrong, in one line."""

Admits = Callable[[str, str | None], bool]
"""Told the path and the Authorization header of a request; returns whether it may be answered."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True  # a hanging scrape must not hold up the shutdown
    ssl_context: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer in the request's own thread; the handshake belongs there, too: silence blocks nobody."""
        request.settimeout(_SILENCE_SECONDS)
        with contextlib.suppress(OSError):  # no TLS, a wrong version; or the client left, or fell silent
            if self.ssl_context is None:
                super().finish_request(request, client_address)
                return
            with self.ssl_context.wrap_socket(request, server_side=True) as wrapped:
                super().finish_request(wrapped, client_address)


class _SixServer(_Server):
    address_family = socket.AF_INET6


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        """Keep scrapes out of the log."""

    def address_string(self) -> str:
        """Return the number: a name would cost a look-up for each request."""
        return str(self.client_address[0])


class MetricsServer:
    """Serves ``/metrics`` (Prometheus), ``/livez`` and ``/readyz`` (200, or 503 and the reason).

    Parameters
    ----------
    metrics : Metrics
    address, port
        Where to listen; port 0 lets the system choose, see :attr:`port`. An address with a colon is IPv6.
    live, ready : callable
        Asked on each request, from the server's threads.
    ssl_context : SSLContext, optional
        Makes it HTTPS.
    admits : callable, optional
        Asked first; what it does not admit is answered with 401.

    Raises
    ------
    ConfigurationError
        If the address cannot be bound.
    """

    def __init__(
        self,
        metrics: Metrics,
        address: str,
        port: int,
        *,
        live: Check | None = None,
        ready: Check | None = None,
        ssl_context: ssl.SSLContext | None = None,
        admits: Admits | None = None,
    ) -> None:
        self._checks = {"/livez": live, "/readyz": ready}
        self._admits = admits
        self._scrape = metrics.scrape()
        kind = _SixServer if ":" in address else _Server
        try:
            self._server = make_server(
                address, port, self._answer, server_class=kind, handler_class=_SilentHandler
            )
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            msg = (
                f"the metrics server cannot listen on {address}:{port} ({reason}); "
                "set metrics.port to a free one, or metrics.enabled = false"
            )
            raise ConfigurationError(msg) from error
        self._server.ssl_context = ssl_context
        self.address = str(self._server.server_address[0])
        self.port: int = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        plain = [("Content-Type", "text/plain; charset=utf-8")]
        if self._admits is not None and not self._admits(path, environ.get("HTTP_AUTHORIZATION")):
            start_response("401 Unauthorized", [*plain, ("WWW-Authenticate", "Bearer")])
            return [b"a token is needed: Authorization: Bearer TOKEN\n"]
        if path == "/metrics":
            page: Iterable[bytes] = self._scrape(environ, start_response)
            return page
        if path not in self._checks:
            start_response("404 Not Found", plain)
            return [b"/metrics, /livez, /readyz\n"]
        check = self._checks[path]
        problem = check() if check is not None else None
        start_response("200 OK" if problem is None else "503 Service Unavailable", plain)
        return [f"{problem or 'ok'}\n".encode()]
