"""The HTTP endpoints behind TLS and a token: right, wrong, renewed."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry

from broker_plugin.app.http_security import server_context, token_check
from broker_plugin.config import load_config
from broker_plugin.config.sections import MetricsConfig
from broker_plugin.errors import ConfigurationError
from broker_plugin.metrics import Metrics, MetricsServer

TOKEN = "c2VjcmV0LXNlY3JldC1zZWNyZXQ="


@contextmanager
def served(section: MetricsConfig) -> Iterator[str]:
    """Serve under the section's settings; yield host and port."""
    server = MetricsServer(
        Metrics(CollectorRegistry()),
        "127.0.0.1",
        0,
        ssl_context=server_context(section),
        admits=token_check(section),
    )
    try:
        yield f"localhost:{server.port}"
    finally:
        server.close()


def status(url: str, *, context: ssl.SSLContext | None = None, token: str | None = None) -> int:
    """Ask once."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def issue(authority: trustme.CA, folder: Path, *names: str) -> tuple[Path, Path]:
    """Write certificate and key; return where."""
    issued = authority.issue_cert(*names)
    issued.cert_chain_pems[0].write_to_path(str(folder / "tls.crt"))
    issued.private_key_pem.write_to_path(str(folder / "tls.key"))
    return folder / "tls.crt", folder / "tls.key"


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    """Return a client that trusts one authority."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_who_trusts_the_authority_reads(tmp_path: Path) -> None:
    """Https answers a client that trusts the issuer and asks for the right host, and no other."""
    authority = trustme.CA()
    certificate, key = issue(authority, tmp_path, "localhost")
    with served(MetricsConfig(tls_certificate=certificate, tls_key=key)) as place:
        assert status(f"https://{place}/metrics", context=trusting(authority)) == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            status(f"https://{place}/metrics", context=trusting(trustme.CA()))
        with pytest.raises(urllib.error.URLError, match="mismatch"):
            status(f"https://{place.replace('localhost', '127.0.0.1')}/metrics", context=trusting(authority))
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            status(f"http://{place}/metrics")


def test_old_tls_is_refused(tmp_path: Path) -> None:
    """TLS 1.1 is not spoken."""
    authority = trustme.CA()
    certificate, key = issue(authority, tmp_path, "localhost")
    old = trusting(authority)
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        served(MetricsConfig(tls_certificate=certificate, tls_key=key)) as place,
        pytest.raises((urllib.error.URLError, ConnectionError)),
    ):
        status(f"https://{place}/livez", context=old)


def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path) -> None:
    """Another authority takes over while the server runs; a half-written file in between changes nothing."""
    before, after = trustme.CA(), trustme.CA()
    certificate, key = issue(before, tmp_path, "localhost")
    with served(MetricsConfig(tls_certificate=certificate, tls_key=key)) as place:
        assert status(f"https://{place}/livez", context=trusting(before)) == 200
        certificate.write_text("-----BEGIN CERTIFICATE-----\n")
        assert status(f"https://{place}/livez", context=trusting(before)) == 200
        issue(after, tmp_path, "localhost")
        assert status(f"https://{place}/livez", context=trusting(after)) == 200


def test_metrics_need_the_token_and_probes_do_not() -> None:
    """401 without the token or with another one; an orchestrator's probes have none to show."""
    with served(MetricsConfig(token=TOKEN)) as place:
        assert status(f"http://{place}/metrics") == 401
        assert status(f"http://{place}/metrics", token="another-token-of-that-length") == 401
        assert status(f"http://{place}/metrics", token=TOKEN[:-1]) == 401
        assert status(f"http://{place}/metrics", token=TOKEN) == 200
        assert status(f"http://{place}/nothing") == 401
        assert status(f"http://{place}/livez") == 200
        assert status(f"http://{place}/readyz") == 200


def test_a_header_that_is_no_text() -> None:
    """Bytes beyond ASCII in the header are a wrong token, no crash."""
    admits = token_check(MetricsConfig(token=TOKEN))
    assert admits is not None
    assert not admits("/metrics", "Bearer \xff\u20ac")
    assert not admits("/metrics", None)
    assert admits("/metrics", f"Bearer {TOKEN}")


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda certificate, key: key.unlink(), "tls.key cannot be read"),
        (lambda certificate, key: certificate.write_text("no certificate"), "not a PEM certificate"),
        (
            lambda certificate, key: trustme.CA().issue_cert("x").private_key_pem.write_to_path(str(key)),
            "the key does not belong to the certificate",
        ),
    ],
)
def test_files_that_cannot_be_used_are_named(tmp_path: Path, break_it, told: str) -> None:
    """At the start, with the keys of the configuration."""
    certificate, key = issue(trustme.CA(), tmp_path, "localhost")
    break_it(certificate, key)
    with pytest.raises(ConfigurationError, match=r"metrics\.tls_certificate = .*tls_key = ") as error:
        server_context(MetricsConfig(tls_certificate=certificate, tls_key=key))
    assert told in str(error.value)


def test_settings_from_the_environment(tmp_path: Path) -> None:
    """The token from a mounted file; a certificate without its key, and a short token, are refused."""
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n")
    config = load_config(None, {"BROKER_PLUGIN_METRICS__TOKEN_FILE": str(secret)})
    assert config.metrics.token == TOKEN
    wrong = {"BROKER_PLUGIN_METRICS__TLS_CERTIFICATE": "a.pem", "BROKER_PLUGIN_METRICS__TOKEN": "short"}
    with pytest.raises(ConfigurationError) as error:
        load_config(None, wrong)
    assert "short" not in str(error.value)
    with pytest.raises(ConfigurationError, match="tls_certificate is set and tls_key is not"):
        load_config(None, {"BROKER_PLUGIN_METRICS__TLS_CERTIFICATE": "a.pem"})
