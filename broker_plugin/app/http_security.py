"""Who may read the HTTP endpoints, and over what: TLS with the operator's certificate, a bearer token.

The probes (``/livez``, ``/readyz``) stay open: an orchestrator's kubelet has no token to show, and what they
tell is one line about this process.
"""

from __future__ import annotations

import hmac
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broker_plugin.config.sections import MetricsConfig
from broker_plugin.errors import ConfigurationError

logger = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/livez", "/readyz"})

Admits = Callable[[str, str | None], bool]
"""Of a path and the ``Authorization`` header: whether to answer."""


def server_context(section: MetricsConfig) -> ssl.SSLContext | None:
    """Return how the endpoints are encrypted, None for plain HTTP.

    A certificate that is renewed on disk is taken for the next connection, without a restart.

    Raises
    ------
    ConfigurationError
        The files cannot be read, hold no certificate or no key, or do not belong together.
    """
    if section.tls_certificate is None or section.tls_key is None:
        return None
    return _Renewing(section.tls_certificate, section.tls_key).context


def token_check(section: MetricsConfig) -> Admits | None:
    """Return who is answered, None for everybody."""
    if section.token is None:
        return None
    expected = f"Bearer {section.token}".encode()

    def admits(path: str, authorization: str | None) -> bool:
        # latin-1: how WSGI hands over the bytes of a header; compare_digest takes no other text.
        given = (authorization or "").encode("latin-1", "replace")
        return path in OPEN_PATHS or hmac.compare_digest(given, expected)

    return admits


class _Renewing:
    """A context whose handshakes use the newest readable certificate."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._modified()
        self._newest = _load(certificate, key)
        self.context = self._newest
        self.context.sni_callback = self._on_handshake

    def _on_handshake(self, connection: ssl.SSLObject, _name: str | None, _context: Any) -> None:
        """Choose a connection's context; OpenSSL asks in each handshake, with or without a name in it."""
        modified = self._modified()
        if modified != self._seen:
            self._seen = modified
            try:
                self._newest = _load(self._certificate, self._key)
            except ConfigurationError as error:
                logger.error("%s; the certificate from before stays in use", error)
        connection.context = self._newest

    def _modified(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in (self._certificate, self._key))
        except OSError:
            return ()


def _load(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # An empty password: without one, OpenSSL would ask for it on the terminal and wait.
        context.load_cert_chain(certificate, key, password="")
    except OSError as error:  # ssl.SSLError is one
        unreadable = next((path for path in (certificate, key) if not _is_readable(path)), None)
        if unreadable is not None:
            what = f"{unreadable} cannot be read"
        elif "KEY_VALUES_MISMATCH" in str(error):
            what = "the key does not belong to the certificate"
        else:
            what = f"they are not a PEM certificate (with its chain) and its unencrypted PEM key ({error})"
        msg = f"metrics.tls_certificate = {certificate}, metrics.tls_key = {key}: {what}"
        raise ConfigurationError(msg) from error
    return context


def _is_readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False
