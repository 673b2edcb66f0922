"""A real Kafka that asks who is there: TLS with certificates made here, SASL, access rights.

One server, one listener for each way in, so that all that can go wrong is met on one start::

    with SecuredKafka(kafka_jars(), folder) as kafka:
        KafkaSettings(kafka.bootstrap("SASL"), common=kafka.options(password="wrong"))
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives import serialization

from tests.kafka_server import KafkaServer, _free_ports

USER, PASSWORD = "variables", "correct horse battery staple"
STRANGER = "stranger"  # the password is right, but nothing is allowed
LISTENERS = ("PLAIN", "SASL", "EXPIRED", "ELSEWHERE", "MUTUAL")


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the authority of this test run has issued, as files.

    Attributes
    ----------
    authority, other_authority : Path
        PEM, what clients trust; the other one has issued nothing here.
    client : Path
        PEM, certificate and key of a client.
    stores : dict of str to Path
        By listener, PEM as Kafka wants it: PKCS #8 key, certificate, chain.
    """

    authority: Path
    other_authority: Path
    client: Path
    stores: dict[str, Path]


def make_certificates(folder: Path) -> Certificates:
    """Issue a good certificate, an expired one and one of another host."""
    folder.mkdir(parents=True, exist_ok=True)
    ours, other = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(folder / "ca.pem"))
    other.cert_pem.write_to_path(str(folder / "other-ca.pem"))
    good = ours.issue_cert("localhost", "127.0.0.1")
    stores = {
        "SASL": good,
        "MUTUAL": good,
        "EXPIRED": ours.issue_cert(
            "localhost", "127.0.0.1", not_after=dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
        ),
        "ELSEWHERE": ours.issue_cert("kafka.example.org"),
    }
    paths = {}
    for name, issued in stores.items():
        paths[name] = folder / f"{name.lower()}.pem"
        paths[name].write_bytes(_for_kafka(issued))
    client = folder / "client.pem"
    ours.issue_cert("worker@example.org").private_key_and_cert_chain_pem.write_to_path(str(client))
    return Certificates(folder / "ca.pem", folder / "other-ca.pem", client, paths)


def _for_kafka(issued: trustme.LeafCert) -> bytes:
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem + b"".join(blob.bytes() for blob in issued.cert_chain_pems)


class SecuredKafka:
    """A broker with five ways in.

    ``PLAIN``: everything is allowed, for the test's own preparations. ``SASL``: TLS and a password (SCRAM or
    PLAIN). ``EXPIRED``, ``ELSEWHERE``: the same behind a certificate that is out of date, or another host's.
    ``MUTUAL``: TLS with a certificate of the client.

    Parameters
    ----------
    libs : Path
        Kafka's jars.
    folder : Path
        Data, certificates, log.
    """

    def __init__(self, libs: Path, folder: Path) -> None:
        self.certificates = make_certificates(folder / "certificates")
        controller, *ports = _free_ports(1 + len(LISTENERS))
        self._ports = dict(zip(LISTENERS, ports, strict=True))
        self._server = KafkaServer(
            libs, folder / "kafka", self._properties(controller), ports=(ports[0], controller)
        )

    def __enter__(self) -> Self:
        self._server.start()
        # The logger keeps "broker is gone", told when the server ends, out of the test's output.
        self._admin = AdminClient(
            {"bootstrap.servers": self.bootstrap("PLAIN")}, logger=logging.getLogger("tests.secured_kafka")
        )
        users = [
            UserScramCredentialUpsertion(
                user, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), PASSWORD.encode()
            )
            for user in (USER, STRANGER)
        ]
        for done in self._admin.alter_user_scram_credentials(users).values():
            done.result(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def bootstrap(self, listener: str) -> str:
        """Return the address of a way in."""
        return f"localhost:{self._ports[listener]}"

    def options(
        self,
        *,
        user: str = USER,
        password: str = PASSWORD,
        mechanism: str = "SCRAM-SHA-512",
        authority: Path | None = None,
    ) -> dict[str, str]:
        """Return librdkafka's options of a client of ``SASL``; all is right by default."""
        return {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": str(authority or self.certificates.authority),
            "sasl.mechanism": mechanism,
            "sasl.username": user,
            "sasl.password": password,
        }

    def allow(self, user: str, rights: Iterable[tuple[str, str, tuple[str, ...]]], *, prefix: str) -> None:
        """Give rights to a user.

        Parameters
        ----------
        user : str
        rights : iterable of (kind, name, operations)
            ``("topic", "photometry", ("read", "write"))``: what begins with the prefix and that. The
            kind ``cluster`` has no name.
        prefix : str
            Of the installation.
        """
        kinds = {
            "topic": ResourceType.TOPIC,
            "group": ResourceType.GROUP,
            "transactional_id": ResourceType.TRANSACTIONAL_ID,
            "cluster": ResourceType.BROKER,
        }
        bindings = [
            AclBinding(
                kinds[kind],
                "kafka-cluster" if kind == "cluster" else f"{prefix}.{name}",
                ResourcePatternType.LITERAL if kind == "cluster" else ResourcePatternType.PREFIXED,
                f"User:{user}",
                "*",
                AclOperation[operation.upper()],
                AclPermissionType.ALLOW,
            )
            for kind, name, operations in rights
            for operation in operations
        ]
        for done in self._admin.create_acls(bindings).values():
            done.result(120)

    def _properties(self, controller: int) -> Mapping[str, str]:
        sasl = ("SASL", "EXPIRED", "ELSEWHERE")
        protocols = {"PLAIN": "PLAINTEXT", "MUTUAL": "SSL", "CONTROLLER": "PLAINTEXT"}
        protocols |= dict.fromkeys(sasl, "SASL_SSL")
        advertised = ",".join(f"{name}://{self.bootstrap(name)}" for name in LISTENERS)
        plain = "org.apache.kafka.common.security.plain.PlainLoginModule"
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule"
        found = {
            "listeners": f"{advertised},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": advertised,
            "listener.security.protocol.map": ",".join(f"{a}:{b}" for a, b in protocols.items()),
            "inter.broker.listener.name": "PLAIN",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",  # who comes in by PLAIN, the broker itself among them
        }
        for name, store in self.certificates.stores.items():
            start = f"listener.name.{name.lower()}"
            found |= {f"{start}.ssl.keystore.type": "PEM", f"{start}.ssl.keystore.location": str(store)}
        for name in sasl:
            start = f"listener.name.{name.lower()}"
            found |= {
                f"{start}.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
                f"{start}.scram-sha-512.sasl.jaas.config": f"{scram} required;",
                f"{start}.plain.sasl.jaas.config": f'{plain} required user_{USER}="{PASSWORD}";',
            }
        return found | {
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.mutual.ssl.truststore.type": "PEM",
            "listener.name.mutual.ssl.truststore.location": str(self.certificates.authority),
        }
