"""A schema registry, as far as one producer and one consumer see it: register, look up."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


class RegistryServer:
    """Confluent's ``POST /subjects/{subject}/versions`` and ``GET /schemas/ids/{id}`` on a free port.

    Attributes
    ----------
    schemas : list of (str, str)
        Subject and schema text; the id of each is its place, counted from 1.
    authorisations : list of str
        What came in that header.
    """

    def __init__(self) -> None:
        self.schemas: list[tuple[str, str]] = []
        self.authorisations: list[str] = []
        self.answer: tuple[int, Any] | None = None
        handler = type("Handler", (_Handler,), {"registry": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def host(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def register(self, subject: str, schema: str) -> int:
        """Return the id of a schema, the same for the same one."""
        texts = [text for _, text in self.schemas]
        if schema not in texts:
            self.schemas.append((subject, schema))
            return len(self.schemas)
        return texts.index(schema) + 1


class _Handler(BaseHTTPRequestHandler):
    registry: RegistryServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.registry.authorisations.append(self.headers["Authorization"] or "")
        if self.registry.answer is not None:
            self._answer(*self.registry.answer)
            return
        _, subjects, subject, versions = self.path.split("/")
        assert (subjects, versions) == ("subjects", "versions")
        self._answer(200, {"id": self.registry.register(subject, body["schema"])})

    def do_GET(self) -> None:
        path, number = self.path.partition("?")[0].rpartition("/")[::2]
        if path != "/schemas/ids":
            self._answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})  # as older registries say
            return
        self._answer(200, {"schema": self.registry.schemas[int(number) - 1][1]})

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Write nothing."""
