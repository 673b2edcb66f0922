"""How to reach a cluster, and which of librdkafka's options are not the operator's to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from broker_plugin.errors import ConfigurationError
from broker_plugin.runner.kafka.mapping import log_client_error

Options = Mapping[str, Any]
"""Options by librdkafka's names."""


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Settings of one cluster.

    Attributes
    ----------
    bootstrap_servers : str
        ``host:port``, several with commas.
    common, consumer, producer : mapping
        librdkafka options for every client, for consumers, for producers; they go before our defaults.
    connect_timeout_seconds : float
        A broker that has not answered for so long at the start is not there.
    operation_timeout_seconds : float
        Deadline of everything else that waits for the broker.
    transaction_timeout_seconds : float
        After so long the broker aborts a transaction whose owner is silent. Well below the session timeout
        (45 s by default), so that a partition's new owner never waits for the old one's transaction.
    statistics_seconds : float
        How often the lag is told.
    """

    bootstrap_servers: str
    common: Options = field(default_factory=dict)
    consumer: Options = field(default_factory=dict)
    producer: Options = field(default_factory=dict)
    connect_timeout_seconds: float = 5.0
    operation_timeout_seconds: float = 30.0
    transaction_timeout_seconds: float = 12.0
    statistics_seconds: float = 5.0

    def admin_options(self) -> dict[str, Any]:
        """Return the options of an admin client."""
        return {**self._base(), **_free(self.common, "common")}

    def consumer_options(self, group: str) -> dict[str, Any]:
        """Return the options of a group's member."""
        return {
            **self._base(),
            "auto.offset.reset": "earliest",
            "statistics.interval.ms": int(self.statistics_seconds * 1000),
            **_free(self.common, "common"),
            **_free(self.consumer, "consumer"),
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            # From the first release on: eager and cooperative members of one group cannot follow each other.
            "partition.assignment.strategy": "cooperative-sticky",
        }

    def reader_options(self) -> dict[str, Any]:
        """Return the options of a reader outside of any group."""
        return {
            **self.consumer_options("broker-plugin-reader"),  # a name is demanded; nothing is ever committed
            "statistics.interval.ms": 0,
            "auto.offset.reset": "error",
        }

    def producer_options(self, transactional_id: str | None) -> dict[str, Any]:
        """Return the options of a producer."""
        options = {
            **self._base(),
            "compression.type": "lz4",
            "linger.ms": 5,
            "topic.metadata.propagation.max.ms": 5000,  # a topic that does not exist is told within this
            **_free(self.common, "common"),
            **_free(self.producer, "producer"),
            "enable.idempotence": True,
            "acks": "all",
            # The Java client's choice, so that every writer agrees with it and with the in-process bus.
            "partitioner": "murmur2_random",
        }
        if transactional_id is not None:
            options["transactional.id"] = transactional_id
            options["transaction.timeout.ms"] = int(self.transaction_timeout_seconds * 1000)
        return options

    def _base(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": "broker-plugin",
            "error_cb": log_client_error,
        }


_OURS = frozenset(
    {
        "bootstrap.servers",
        "group.id",
        "isolation.level",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "partition.assignment.strategy",
        "enable.idempotence",
        "acks",
        "request.required.acks",
        "partitioner",
        "transactional.id",
        "transaction.timeout.ms",
        "group.protocol",
    }
)


_KEYS = {
    "common": "kafka.options",
    "consumer": "kafka.consumer_options",
    "producer": "kafka.producer_options",
}
"""What the configuration calls each group of options."""


def _free(options: Options, section: str) -> Options:
    taken = sorted(_OURS & options.keys())
    if taken:
        msg = (
            f"librdkafka option {taken[0]} in '{_KEYS[section]}' is not free to choose: exactly-once "
            "processing depends on it; remove it"
        )
        raise ConfigurationError(msg)
    return options
