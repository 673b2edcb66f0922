"""Lasair's HTTP interface for annotations, as far as an annotator sees it.

The rules are those of ``webserver/lasairapi/serializers.py`` and ``views.py`` of lsst-uk/lasair-lsst: token,
fields, lengths, owner; every failure is a 400 whose body tells why. A test lets their own client speak to it.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs

from tests.app.local_server import LocalServer

TOKEN = "0123456789abcdef"
ANNOTATOR = "variables_r"

# CharField(max_length=..., required=True, allow_blank=...)
_TEXTS = {
    "topic": (255, False),
    "classification": (80, False),
    "version": (80, False),
    "explanation": (1024, True),
    "classdict": (4096, False),
    "url": (1024, True),
}


class LasairServer(LocalServer):
    """A server on a free port of this machine.

    Attributes
    ----------
    stored : dict
        The annotations by object id: one of an object and annotator, the last one.
    calls : list of (str, int)
        Path and status of each request.
    answers : list of (int, dict, dict)
        Status, headers and body to give instead of an own answer, the first of them first.
    """

    def __init__(self) -> None:
        self.stored: dict[int, dict[str, Any]] = {}
        self.calls: list[tuple[str, int]] = []
        self.answers: list[tuple[int, dict[str, str], Any]] = []
        self.active = True
        super().__init__(_Handler)

    @property
    def endpoint(self) -> str:
        """Return what a client is told."""
        return f"http://{self.host}/api"

    def annotate(self, data: dict[str, Any]) -> tuple[int, Any]:
        """Validate and store one annotation; return status and body."""
        wrong: dict[str, list[str]] = {}
        for name, (limit, blank) in _TEXTS.items():
            value = data.get(name)
            if value is None:
                wrong[name] = ["This field is required."]
            elif not isinstance(value, str):
                wrong[name] = ["Not a valid string."]
            elif not value and not blank:
                wrong[name] = ["This field may not be blank."]
            elif len(value) > limit:
                wrong[name] = [f"Ensure this field has no more than {limit} characters."]
        try:
            number = int(data.get("objectId", ""))
        except ValueError:
            wrong["objectId"] = ["A valid integer is required."]
        if wrong:
            return 400, wrong
        if data["topic"] != ANNOTATOR:
            return 400, {"error": f"Annotator error: topic {data['topic']} does not exist"}
        if not self.active:
            return 400, {"error": f"Annotator error: topic {ANNOTATOR} is not active -- ask Lasair team"}
        self.stored[number] = data
        return 200, {"status": "success", "annotation_topic": "lsst_annotations", "message": "{}"}


class _Handler(BaseHTTPRequestHandler):
    service: LasairServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.service.answers:
            self._answer(*self.service.answers.pop(0))
        elif self.headers["Authorization"] != f"Token {TOKEN}":
            self._answer(401, {}, {"detail": "Invalid token."})
        elif self.path == "/api/annotate/":
            fields = parse_qs(body.decode(), keep_blank_values=True)
            status, said = self.service.annotate({name: values[0] for name, values in fields.items()})
            self._answer(status, {}, said)
        elif self.path == "/api/annotatelist/":
            annotations = json.loads(body)["annotations"]
            for annotation in annotations:
                status, said = self.service.annotate(annotation)
                if status != 200:
                    self._answer(status, {}, said)
                    return
            self._answer(200, {}, {"status": "success", "n": len(annotations)})
        else:
            self._answer(404, {}, {"detail": "Not found."})

    def _answer(self, status: int, headers: dict[str, str], body: Any) -> None:
        self.service.calls.append((self.path, status))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Write nothing."""
