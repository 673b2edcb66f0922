"""Why a broker that is there does not let us in, in words that say what to mend.

librdkafka tells only "broker transport failure" from the call that fails; the reason is in the error events
before it, and for every certificate that it does not trust that reason is the same. A second look, by a TLS
handshake of our own, tells an expired certificate from one of another host or another authority.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError

from broker_plugin.errors import AccessError

_LOOK_SECONDS = 3.0
_ADDRESS = re.compile(r"://([^\s/]+):(\d+)[/:]")
_PROTOCOLS_WITH_TLS = frozenset({"SSL", "SASL_SSL"})
# X509_V_ERR_... of OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED, _OTHER_HOST, _OTHER_ADDRESS = 9, 10, 62, 64
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})


def refusal(bootstrap: str, options: Mapping[str, Any], events: Sequence[KafkaError]) -> AccessError | None:
    """Return what is wrong between this client and a broker, None if there is just nobody.

    Parameters
    ----------
    bootstrap : str
        ``host:port``, several with commas.
    options : mapping
        The client's, by librdkafka's names.
    events : sequence of KafkaError
        What the client told meanwhile, the oldest first.
    """
    protocol = str(options.get("security.protocol", "plaintext")).upper()
    for event in events:
        cure = _cure_of_event(event, protocol, options)
        if cure is not None:
            return AccessError(f"{_place(event) or bootstrap} does not let this client in: {cure}")
    if not any(event.code() == KafkaError._ALL_BROKERS_DOWN for event in events):  # noqa: SLF001
        return None  # slow, not refusing: a connection stands
    cure = _cure_of_silence(bootstrap, protocol)
    return None if cure is None else AccessError(f"{bootstrap} hangs up on this client: {cure}")


def _cure_of_event(event: KafkaError, protocol: str, options: Mapping[str, Any]) -> str | None:
    text = event.str()
    if event.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001
        what = text.split(": ", 1)[-1].split(" (after ")[0]
        if "mechanism" in text and "supported" in text:
            return f"{what}; mend 'sasl.mechanism' (found {options.get('sasl.mechanism')!r})"
        return f"{what}; mend 'sasl.username' (found {options.get('sasl.username')!r}) or 'sasl.password'"
    if "PLAINTEXT broker listener" in text:
        return f"it speaks no TLS at this port; mend the port, or 'security.protocol' (found {protocol!r})"
    if "SSL alert" in text or "tlsv1" in text:
        return (
            "it does not accept our certificate, or wants one; mend 'ssl.certificate.location' (found "
            f"{options.get('ssl.certificate.location')!r}) and 'ssl.key.location'"
        )
    if "certificate verify failed" in text:
        place = _ADDRESS.search(text)
        return _certificate_cure(place.group(1), int(place.group(2)), options) if place else text
    return None


def _certificate_cure(host: str, port: int, options: Mapping[str, Any]) -> str:
    """Return why the broker's certificate is not trusted; looks at it once more."""
    authority = options.get("ssl.ca.location")
    where = f"'ssl.ca.location' (found {authority!r})"
    code, reason = _verify(host, port, authority, options.get("ssl.ca.pem"))
    if code == _EXPIRED:
        return "its certificate has expired; have it renewed there (or mend this machine's clock)"
    if code == _NOT_YET_VALID:
        return "its certificate is not valid yet; mend this machine's clock"
    if code in (_OTHER_HOST, _OTHER_ADDRESS):
        return (
            f"its certificate is another host's ({reason.rstrip('.')}); use a name that the certificate "
            "has, in 'bootstrap' or the broker's advertised.listeners, or have it made for this name"
        )
    if code in _UNKNOWN_ISSUER:
        return (
            f"its certificate is not of an authority that we trust ({reason}); put the authority's "
            f"certificate (PEM) into {where}"
        )
    return f"its certificate is not trusted ({reason}); look at it with 'openssl s_client', and at {where}"


def _verify(host: str, port: int, authority: str | None, pem: str | None) -> tuple[int, str]:
    """Return OpenSSL's code and words for what is wrong with a certificate."""
    try:
        folder = authority is not None and Path(authority).is_dir()
        context = ssl.create_default_context(
            cafile=None if folder else authority, capath=authority if folder else None, cadata=pem
        )
        with (
            socket.create_connection((host, port), timeout=_LOOK_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host),
        ):
            return 0, "a second look found nothing wrong"
    except ssl.SSLCertVerificationError as error:
        return error.verify_code, error.verify_message
    except (OSError, ValueError) as error:
        return 0, str(error)


def _cure_of_silence(bootstrap: str, protocol: str) -> str | None:
    """Return the cure if the broker speaks TLS where we do not, or hangs up after TLS, which means SASL."""
    if protocol == "SASL_SSL" or not _speaks_tls(bootstrap.partition(",")[0]):
        return None
    if protocol in _PROTOCOLS_WITH_TLS:
        return "it may ask for a user; set 'security.protocol' to 'SASL_SSL' (found 'SSL')"
    return f"it speaks TLS at this port; set 'security.protocol' to 'SSL' or 'SASL_SSL' (found {protocol!r})"


def _speaks_tls(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    # Only whether there is TLS at all; nothing is sent, so nobody needs to be trusted.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=_LOOK_SECONDS) as plain,
            context.wrap_socket(plain),
        ):
            return True
    except (OSError, ValueError):
        return False


def _place(event: KafkaError) -> str | None:
    found = _ADDRESS.search(event.str())
    return f"{found.group(1)}:{found.group(2)}" if found else None
