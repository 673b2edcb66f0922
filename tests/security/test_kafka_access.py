"""SASL_SSL against a real Kafka: what is right works, what is wrong is named with its cure, exit code 10."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from broker_plugin.cli import main
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from tests.secured_kafka import PASSWORD, STRANGER, USER, SecuredKafka

pytestmark = pytest.mark.kafka

_NO_USER = {"security.protocol": "SSL"} | dict.fromkeys(("sasl.mechanism", "sasl.username", "sasl.password"))


def _verify_topics(monkeypatch: pytest.MonkeyPatch, bootstrap: str, options: dict[str, str]) -> Result:
    """Run ``topics verify`` as an operator does: settings from the environment."""
    monkeypatch.setenv("BROKER_PLUGIN_PREFIX", "nothing-yet")
    monkeypatch.setenv("BROKER_PLUGIN_KAFKA__BOOTSTRAP", bootstrap)
    for name, value in options.items():
        monkeypatch.setenv(f"BROKER_PLUGIN_KAFKA__OPTIONS__{name.upper().replace('.', '_')}", value)
    return CliRunner().invoke(main, ["topics", "verify"])


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_the_right_certificate_and_password(
    secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch, mechanism: str
) -> None:
    """The user is let in, and sees that there is nothing yet."""
    result = _verify_topics(monkeypatch, secured.bootstrap("SASL"), secured.options(mechanism=mechanism))
    assert result.exit_code == 5, result.stderr
    assert "topic nothing-yet.photometry does not exist" in result.stderr


def test_a_password_from_a_mounted_file(
    secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """``..._SASL_PASSWORD_FILE``, the way of Kubernetes; the line's end does not belong to the password."""
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    options = secured.options()
    del options["sasl.password"]
    monkeypatch.setenv("BROKER_PLUGIN_KAFKA__OPTIONS__SASL_PASSWORD_FILE", str(secret))
    result = _verify_topics(monkeypatch, secured.bootstrap("SASL"), options)
    assert result.exit_code == 5, result.stderr


@pytest.mark.parametrize(
    ("listener", "changes", "cure"),
    [
        ("SASL", {"sasl.password": "wrong"}, f"mend 'sasl.username' (found '{USER}') or 'sasl.password'"),
        ("SASL", {"sasl.mechanism": "PLAIN", "sasl.password": "wrong"}, "Invalid username or password; mend"),
        ("SASL", {"sasl.mechanism": "SCRAM-SHA-256"}, "mend 'sasl.mechanism' (found 'SCRAM-SHA-256')"),
        ("SASL", {"ssl.ca.location": "other-ca"}, "certificate (PEM) into 'ssl.ca.location' (found"),
        ("EXPIRED", {}, "its certificate has expired; have it renewed"),
        ("ELSEWHERE", {}, "its certificate is another host's (Hostname mismatch"),
        (
            "SASL",
            {"security.protocol": "SASL_PLAINTEXT", "ssl.ca.location": None},
            "it speaks TLS at this port; set 'security.protocol'",
        ),
        ("SASL", _NO_USER, "set 'security.protocol' to 'SASL_SSL'"),
        ("PLAIN", {}, "it speaks no TLS at this port"),
        ("MUTUAL", _NO_USER, "it does not accept our certificate, or wants one"),
    ],
)
def test_what_is_wrong_is_named(
    secured: SecuredKafka,
    monkeypatch: pytest.MonkeyPatch,
    listener: str,
    changes: dict[str, str | None],
    cure: str,
) -> None:
    """One line on stderr: the address, what was found, what to mend; never the password."""
    options = {name: value for name, value in (secured.options() | changes).items() if value is not None}
    if changes.get("ssl.ca.location"):
        options["ssl.ca.location"] = str(secured.certificates.other_authority)
    result = _verify_topics(monkeypatch, secured.bootstrap(listener), options)
    assert result.exit_code == 10, result.stderr
    assert cure in result.stderr
    assert secured.bootstrap(listener) in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert PASSWORD not in result.stderr
    assert "wrong" not in result.stderr


def test_a_client_certificate(secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutual TLS: the broker knows us by our certificate."""
    client = str(secured.certificates.client)
    options = {
        "security.protocol": "SSL",
        "ssl.ca.location": str(secured.certificates.authority),
        "ssl.certificate.location": client,
        "ssl.key.location": client,
    }
    result = _verify_topics(monkeypatch, secured.bootstrap("MUTUAL"), options)
    assert result.exit_code == 5, result.stderr


def test_a_file_of_certificates_that_is_not_there(
    secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A configuration error, before any connection."""
    options = secured.options(authority=Path("/nowhere/ca.pem"))
    result = _verify_topics(monkeypatch, secured.bootstrap("SASL"), options)
    assert result.exit_code == 2, result.stderr
    assert "ssl.ca.location" in result.stderr


def test_nobody_at_the_address_is_still_nobody(
    secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security options do not turn an absent broker into a refusing one."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"localhost:{nobody.getsockname()[1]}"
        result = _verify_topics(monkeypatch, address, secured.options())
    assert result.exit_code == 4, result.stderr
    assert "no Kafka broker answers at" in result.stderr


def test_a_user_without_rights(secured: SecuredKafka, prefix: str) -> None:
    """Let in, but allowed nothing: creating topics is refused by name."""
    from broker_plugin.errors import TopicError
    from broker_plugin.runner.topics import create_missing, plan_topics

    bus = KafkaBus(KafkaSettings(secured.bootstrap("SASL"), common=secured.options(user=STRANGER)))
    with pytest.raises(TopicError, match=rf"creating topic {prefix}\.\S+: .*[Aa]uthorization failed"):
        create_missing(bus, plan_topics(prefix, 1))
