"""A schema registry, as far as one producer and one consumer see it: register, look up."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.app.local_server import LocalServer


class RegistryServer(LocalServer):
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
        super().__init__(_Handler)

    def register(self, subject: str, schema: str) -> int:
        """Return the id of a schema, the same for the same one."""
        texts = [text for _, text in self.schemas]
        if schema not in texts:
            self.schemas.append((subject, schema))
            return len(self.schemas)
        return texts.index(schema) + 1


class _Handler(BaseHTTPRequestHandler):
    service: RegistryServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.service.authorisations.append(self.headers["Authorization"] or "")
        if self.service.answer is not None:
            self._answer(*self.service.answer)
            return
        _, subjects, subject, versions = self.path.split("/")
        assert (subjects, versions) == ("subjects", "versions")
        self._answer(200, {"id": self.service.register(subject, body["schema"])})

    def do_GET(self) -> None:
        path, number = self.path.partition("?")[0].rpartition("/")[::2]
        if path != "/schemas/ids":
            self._answer(404, {"error_code": 404, "message": "HTTP 404 Not Found"})  # as older registries say
            return
        self._answer(200, {"schema": self.service.schemas[int(number) - 1][1]})

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Write nothing."""
