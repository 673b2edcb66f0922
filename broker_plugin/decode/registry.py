"""A Confluent-style schema registry as a source of schemas.

This is the one place in the domain code that does I/O and reads a clock: a schema
id that no file answers can only be looked up while the packet that names it waits.
It happens once per id and process, under a timeout; an id that the registry does
not know, or a registry that does not answer, is remembered for a while, so that a
stream of such packets does not wait for each of them.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from broker_plugin.decode.schema_sources import SchemaMissing
from broker_plugin.errors import ConfigurationError

Fetch = Callable[[str, float], bytes]
"""``fetch(url, timeout_seconds)`` returns the body; raises OSError (``urllib.error.HTTPError`` is one)."""

_MAX_ANSWER_BYTES = 4 * 2**20  # the largest alert schema is 60 KB
_MAX_REMEMBERED = 1024  # ids come from outside: a hostile stream must not fill the memory


def fetch_url(url: str, timeout_seconds: float) -> bytes:
    """Fetch over HTTP(S)."""
    request = urllib.request.Request(  # noqa: S310 - RegistrySchemas admits http and https only
        url, headers={"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
    )
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310 - as above
        body: bytes = answer.read(_MAX_ANSWER_BYTES + 1)
    return body


class RegistrySchemas:
    """Schemas from ``GET {url}/schemas/ids/{id}``.

    Parameters
    ----------
    url : str
        The registry's address, ``http://`` or ``https://``.
    timeout_seconds : float
    retry_seconds : float
        For how long a failure is remembered.
    fetch, clock : callable
        What does the I/O and tells the time (seconds, monotonic).
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 5.0,
        retry_seconds: float = 60.0,
        fetch: Fetch = fetch_url,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            msg = f"schema registry address {url!r}: expected http://... or https://..."
            raise ConfigurationError(msg)
        self._url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._retry_seconds = retry_seconds
        self._fetch = fetch
        self._clock = clock
        self._found: dict[int, Any] = {}
        self._missing: dict[int, tuple[float, SchemaMissing]] = {}

    def schema(self, schema_id: int) -> Any | SchemaMissing:
        """Return the remembered answer, or ask."""
        if schema_id in self._found:
            return self._found[schema_id]
        until, missing = self._missing.get(schema_id, (-1.0, SchemaMissing("")))
        if self._clock() < until:
            return missing
        answer = self._ask(schema_id)
        if isinstance(answer, SchemaMissing):
            _make_room(self._missing)
            self._missing[schema_id] = (self._clock() + self._retry_seconds, answer)
        else:
            _make_room(self._found)
            self._missing.pop(schema_id, None)
            self._found[schema_id] = answer
        return answer

    def _ask(self, schema_id: int) -> Any | SchemaMissing:
        url = f"{self._url}/schemas/ids/{schema_id}"
        try:
            body = self._fetch(url, self._timeout_seconds)
            if len(body) > _MAX_ANSWER_BYTES:
                return SchemaMissing(f"{url} answered more than {_MAX_ANSWER_BYTES} bytes")
            answer = json.loads(body)
            if answer.get("references"):
                return SchemaMissing(f"{url} refers to other subjects; expected a self-contained schema")
            return json.loads(answer["schema"])
        except urllib.error.HTTPError as error:
            return SchemaMissing(f"{url} answered {error.code}")
        except OSError as error:
            return SchemaMissing(f"{url} did not answer: {error}")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            return SchemaMissing(f"{url} answered no schema: {type(error).__name__}")


def _make_room(memory: dict[int, Any]) -> None:
    if len(memory) >= _MAX_REMEMBERED:
        del memory[next(iter(memory))]
