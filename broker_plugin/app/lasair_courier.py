"""To Lasair's HTTP interface, as its own client speaks to it, within its limit of calls an hour.

Several annotations go in one call (``annotatelist``): calls are what is limited, not annotations. If a call
is refused for what it holds, half of it is sent next, so that one bad record is found in a few calls and
costs itself only. An annotation that is sent twice replaces itself.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker_plugin.app.forward import Attempt
from broker_plugin.outputs.lasair import rest_form
from broker_plugin.runner.protocols import Message

_MAX_ANSWER_BYTES = 1 << 20
_QUOTED = 300  # of an answer, in a message
_HOUR_SECONDS = 3600.0
_THROTTLED_SECONDS = 300.0  # the server counts an hour that slides, so trying costs little
_BLOCKED_SECONDS = 300.0  # until a person has mended a token, an address or the annotator


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers, the body; status 0 if nothing came, the reason in the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Post = Callable[[str, bytes, Mapping[str, str], float], Answer]
"""``post(url, body, headers, timeout_seconds)``; never raises for what the network or the server does."""


class LasairCourier:
    """Sends batches of annotations.

    Parameters
    ----------
    endpoint : str
        For instance ``https://api.lasair.lsst.ac.uk/api``.
    token : str
        Of the annotator's owner.
    calls_per_hour : float
    batch : int
        Annotations in one call, at most; 1 uses ``annotate``, which servers without ``annotatelist`` have.
    timeout_seconds : float
    post, monotonic : callable
        What does the I/O, and tells the time in seconds.
    """

    def __init__(
        self,
        endpoint: str,
        token: str,
        *,
        calls_per_hour: float = 100.0,
        batch: int = 100,
        timeout_seconds: float = 60.0,
        post: Post | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = f"{endpoint.rstrip('/')}/{'annotate' if batch == 1 else 'annotatelist'}/"
        kind = "application/x-www-form-urlencoded" if batch == 1 else "application/json"
        self._headers = {"Authorization": f"Token {token}", "Content-Type": kind}
        self._pause_seconds = _HOUR_SECONDS / calls_per_hour
        self._most = batch
        self._suspects = 0  # so many of the next records hold one that was refused
        self._timeout_seconds = timeout_seconds
        self._post = post_url if post is None else post
        self._monotonic = monotonic
        self._next_call = 0.0

    def deliver(self, messages: Sequence[Message]) -> Attempt:
        """Make one call with as many records as may go together."""
        wait = self._next_call - self._monotonic()
        if wait > 0:
            return Attempt(0, retry_after_seconds=wait)
        group = messages[: max(1, self._suspects // 2) if self._suspects else self._most]
        annotations = []
        for i, message in enumerate(group):
            try:
                annotations.append(rest_form(json.loads(message.value or b"")))
            except (ValueError, KeyError, TypeError) as error:
                if i:  # those before it first
                    group = group[:i]
                    break
                return Attempt(1, refused=((0, f"no Lasair annotation: {type(error).__name__}: {error}"),))
        if self._most == 1:
            body = urllib.parse.urlencode(annotations[0]).encode()
        else:
            body = json.dumps({"annotations": annotations}).encode()
        self._next_call = self._monotonic() + self._pause_seconds
        answer = self._post(self._url, body, self._headers, self._timeout_seconds)
        return self._judge(answer, len(group))

    def close(self) -> None:
        """Do nothing: every call has a connection of its own."""

    def _judge(self, answer: Answer, n: int) -> Attempt:
        """Return what an answer to a call with n annotations means."""
        said, text = _parse(answer.body)
        detail = f"{self._url} answered {answer.status}: {text}"
        error = str(said.get("error", ""))
        if answer.status == 200 and said.get("status") == "success":
            self._suspects = max(0, self._suspects - n)
            return Attempt(n, retry_after_seconds=self._pause_seconds)
        if answer.status == 429:
            return self._later("throttled", detail, _retry_after(answer.headers))
        if answer.status in (401, 403, 404) or 300 <= answer.status < 400 or "Annotator error" in error:
            return self._later("blocked", detail, _BLOCKED_SECONDS)
        if answer.status == 0:
            return Attempt(0, trouble="unreachable", detail=f"{self._url}: {text}")
        if answer.status >= 500 or error or answer.status == 200:
            # Their database or their Kafka; or an answer that is none, of something in between.
            return Attempt(0, trouble="server_error", detail=detail)
        return self._refused(n, detail)

    def _refused(self, n: int, detail: str) -> Attempt:
        """Return what to do after 400 or 413: a record is not as they want it, or there are too many."""
        if n > 1:
            self._suspects = n
            return Attempt(0, retry_after_seconds=self._pause_seconds)
        self._suspects = 0
        return Attempt(1, refused=((0, detail),), retry_after_seconds=self._pause_seconds)

    def _later(self, trouble: str, detail: str, seconds: float) -> Attempt:
        seconds = max(seconds, self._pause_seconds)
        self._next_call = self._monotonic() + seconds
        return Attempt(0, trouble=trouble, detail=detail, retry_after_seconds=seconds)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET without its body, and take the token along."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing."""


_OPENER = urllib.request.build_opener(_NoRedirects)


def post_url(url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
    """Post over HTTP(S); the address was checked when the configuration was read."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310
    try:
        with _OPENER.open(request, timeout=timeout_seconds) as answer:
            return Answer(answer.status, dict(answer.headers), answer.read(_MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, dict(error.headers), error.read(_MAX_ANSWER_BYTES))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Answer(0, {}, f"{type(error).__name__}: {error}".encode())


def _parse(body: bytes) -> tuple[dict[str, Any], str]:
    """Return the answer's object, empty if it is none, and its beginning as text."""
    text = " ".join(body[:_QUOTED].decode(errors="replace").split())
    try:
        said = json.loads(body)
    except ValueError:
        return {}, text
    return (said if isinstance(said, dict) else {}), text


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the server's wish in seconds, bounded, or ours where it has none that we understand."""
    wish = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    return min(float(wish), _HOUR_SECONDS) if wish.isdigit() else _THROTTLED_SECONDS
