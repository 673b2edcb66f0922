"""What librdkafka thinks of the options that are passed through to it, without any connection."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaException

from broker_plugin.errors import ConfigurationError
from broker_plugin.runner.kafka.mapping import client_logger, error_of
from broker_plugin.runner.kafka.settings import KafkaSettings

_NAMED = re.compile(r'configuration property:? "([^"]+)"', re.IGNORECASE)
_HIDDEN = re.compile(r"password|passphrase|secret|key|pem|token|config|credential", re.IGNORECASE)

# librdkafka cannot list its options to a program; these are the ones that operators set, for "did you mean".
_USUAL = (
    *("security.protocol", "sasl.mechanism", "sasl.username", "sasl.password", "sasl.kerberos.service.name"),
    *("sasl.kerberos.principal", "sasl.kerberos.keytab", "sasl.oauthbearer.method", "sasl.oauthbearer.scope"),
    *("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.token.endpoint.url"),
    *("ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password", "ssl.ca.pem"),
    *("ssl.certificate.pem", "ssl.key.pem", "ssl.endpoint.identification.algorithm", "ssl.cipher.suites"),
    *("enable.ssl.certificate.verification", "client.id", "client.rack", "debug", "log_level"),
    *("fetch.max.bytes", "fetch.min.bytes", "fetch.wait.max.ms", "max.partition.fetch.bytes"),
    *("fetch.error.backoff.ms", "fetch.queue.backoff.ms", "queued.min.messages", "check.crcs"),
    *("queued.max.messages.kbytes", "receive.message.max.bytes", "message.max.bytes", "socket.timeout.ms"),
    *("socket.keepalive.enable", "socket.nagle.disable", "socket.connection.setup.timeout.ms"),
    *("socket.send.buffer.bytes", "socket.receive.buffer.bytes", "broker.address.family"),
    *("broker.address.ttl", "connections.max.idle.ms", "reconnect.backoff.ms", "reconnect.backoff.max.ms"),
    *("retry.backoff.ms", "metadata.max.age.ms", "topic.metadata.refresh.interval.ms"),
    *("heartbeat.interval.ms", "allow.auto.create.topics", "client.dns.lookup", "batch.size", "linger.ms"),
    *("batch.num.messages", "compression.type", "compression.level", "queue.buffering.max.ms"),
    *("queue.buffering.max.kbytes", "queue.buffering.max.messages", "delivery.timeout.ms"),
    *("request.timeout.ms", "max.in.flight", "retries", "message.send.max.retries"),
)


def refused_options(settings: KafkaSettings) -> Iterator[str]:
    """Yield each option that a consumer or producer of these settings would refuse, and why.

    Options that only together are wrong are told as one. Nothing is connected to.
    """
    try:
        consumer, producer = settings.consumer_options("check"), settings.producer_options(None)
    except ConfigurationError as error:
        yield str(error)
        return
    own = {**settings.common, **settings.consumer, **settings.producer}
    told: set[str] = set()
    for make, options in ((confluent_kafka.Consumer, consumer), (confluent_kafka.Producer, producer)):
        for problem in _refusals(make, options, own):
            if problem not in told:
                told.add(problem)
                yield problem


def missing_files(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the options that name a file which is not on this machine, and the file.

    That is a mistake where the plugin runs, and none where its configuration is checked.
    """
    return {
        name: str(value)
        for name, value in options.items()
        if name.startswith("ssl.") and name.endswith(".location") and not Path(str(value)).exists()
    }


def _refusals(make: Callable[..., Any], options: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    left = {**options, "bootstrap.servers": ""}  # no address, no connection
    for name in missing_files(options):
        del left[name]
    while True:
        try:
            client = make(left, logger=client_logger)
        except KafkaException as exception:
            reason = error_of(exception).str().strip()
        except (TypeError, ValueError) as exception:
            reason = str(exception)
        else:
            if hasattr(client, "close"):
                client.close()
            return
        named = _NAMED.search(reason)
        yield _described(reason, named.group(1) if named else None, own)
        if named is None or named.group(1) not in own or named.group(1) not in left:
            return
        del left[named.group(1)]


def _described(reason: str, name: str | None, own: Mapping[str, Any]) -> str:
    if name is None or not reason.startswith("No such"):
        shown = name is not None and name in own and not _HIDDEN.search(name)
        return f"librdkafka refuses the options: {reason}" + (
            f"; found {own[name]!r}" if shown and name else ""
        )
    near = difflib.get_close_matches(name, _USUAL, n=1, cutoff=0.7)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"librdkafka has no option {name}{hint}"
