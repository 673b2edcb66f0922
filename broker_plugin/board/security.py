"""What stands between the page and a browser's other tabs.

A page on 127.0.0.1 can be reached by every site that the same browser shows. Three rules keep those out: the
``Host`` must be one of ours (a foreign name that resolves to 127.0.0.1 is refused: DNS rebinding), what
writes must prove that it comes from this page (``Sec-Fetch-Site`` or ``Origin``), and the pages load from and
send to nobody but themselves (Content-Security-Policy).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Other servers are told neither where the page runs nor which filter led to them.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuse what does not come from the page itself, and say so to the browser.

    Parameters
    ----------
    app : ASGI application
    hosts : collection of str
        Names that the page may be asked for under, without ports.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; see the module."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = refusal(scope["method"], headers, self._hosts)
        if reason:
            await PlainTextResponse(f"{reason}\n", 403, _HEADERS)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    own.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


def refusal(method: str, headers: Mapping[str, str], hosts: Collection[str]) -> str:
    """Return why a request is not served; empty if it is.

    Parameters
    ----------
    method : str
    headers : mapping
        With names in lower case.
    hosts : collection of str
    """
    host = _name(headers.get("host", ""))
    if host not in hosts:
        return f"this board does not answer to the name {host!r}; start it with --allow-host {host or 'NAME'}"
    if method in _SAFE_METHODS:
        return ""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return "labels are taken from this page only, and the browser says that another site sent this one"
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        return f"labels are taken from this page only, not from {origin}"
    if site is None and origin is None:
        return "labels are taken from this page only; the request has neither Origin nor Sec-Fetch-Site"
    return ""


def _name(host: str) -> str:
    """Return a Host header's name, without port and brackets, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
