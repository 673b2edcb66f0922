"""Our schemas in a schema registry, under the subjects that Confluent's tools look for."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping

from broker_plugin.errors import ConfigurationError
from broker_plugin.records import schemas

Request = Callable[[str, bytes, Mapping[str, str], float], bytes]
"""``request(url, body, headers, timeout_seconds)`` posts and returns the answer; raises OSError."""

_TIMEOUT_SECONDS = 15.0
_MAX_ANSWER_BYTES = 1 << 20


def register_schema(address: str, topic: str, kind: str, request: Request | None = None) -> int:
    """Register the newest schema of a record kind for a topic's values; return the registry's id.

    Registering what is there already changes nothing and gives the same id.

    Parameters
    ----------
    address : str
        The registry's, with ``user:password@`` if it asks for them.
    topic : str
        The subject is ``<topic>-value``, as Confluent's serialisers name it by default.
    kind : str
        ``"classification"`` or ``"novelty"``.

    Raises
    ------
    ConfigurationError
        The registry does not answer, or refuses the schema.
    """
    parts = urllib.parse.urlsplit(address)
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    if parts.username is not None:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    host = parts.netloc.rpartition("@")[2]
    subject = urllib.parse.quote(f"{topic}-value", safe="")
    url = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/subjects/{subject}/versions"
    body = json.dumps({"schema": json.dumps(schemas.schema_source(kind))}).encode()
    try:
        answer = json.loads((request or _post)(url, body, headers, _TIMEOUT_SECONDS))
        number = answer["id"]
    except urllib.error.HTTPError as error:
        text = error.read(300).decode(errors="replace")
        msg = f"schema registry {url} answered {error.code}: {text}; mend registry_url or its compatibility"
        raise ConfigurationError(msg) from error
    except OSError as error:
        msg = f"schema registry {url} does not answer ({error}); start it or mend registry_url"
        raise ConfigurationError(msg) from error
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{url} answers, but not as a schema registry does; mend registry_url"
        raise ConfigurationError(msg) from error
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 2**32:
        msg = f"{url} gave the id {number!r}, expected a number of 32 bits"
        raise ConfigurationError(msg)
    return number


def _post(url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float) -> bytes:
    # The address was checked for http and https when the configuration was read.
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=timeout_seconds) as answer:  # noqa: S310
        found: bytes = answer.read(_MAX_ANSWER_BYTES)
    return found
