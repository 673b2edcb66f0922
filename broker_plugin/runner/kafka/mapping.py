"""Turn the client's errors into ours, which are named after their cure."""

from __future__ import annotations

import logging
from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException

from broker_plugin.errors import (
    AbortableTransactionError,
    AccessError,
    BrokerPluginError,
    BrokerUnreachableError,
    ConfigurationError,
    FatalBusError,
    FencedError,
    TopicError,
)

client_logger = logging.getLogger("broker_plugin.runner.kafka.librdkafka")
"""Where librdkafka's own log lines go, in place of standard error."""


def log_client_error(error: KafkaError) -> None:
    """Note an error event; what it means for us shows in the call that it makes fail."""
    client_logger.debug("%s (%s)", error.str(), error.name())


def fatal_of(exception: KafkaException | SystemError, ask: Callable[[], object] | None = None) -> KafkaError:
    """Return the error that a call which serves callbacks has raised.

    The binding raises a fatal error event from whichever call serves it. If a callback of ours is served
    after it by the same call, the interpreter wraps it into a SystemError, or loses it and leaves a
    SystemError about nothing.

    Parameters
    ----------
    exception : KafkaException or SystemError
    ask : callable, optional
        Called if the error was lost: something that a client refuses with its fatal error once it has one.
    """
    cause: BaseException | None = exception
    while cause is not None and not isinstance(cause, KafkaException):
        cause = cause.__cause__
    if cause is not None:
        return error_of(cause)
    if ask is not None:
        try:
            ask()
        except KafkaException as refusal:
            if error_of(refusal).fatal():
                return error_of(refusal)
    detail = f"the client has failed and lost the reason: {exception}"
    return KafkaError(_FATAL, detail, fatal=True)


_FATAL = KafkaError._FATAL  # noqa: SLF001
_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.FENCED_INSTANCE_ID}  # noqa: SLF001
_UNREACHABLE = {
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._SSL,  # noqa: SLF001
}
_TRANSIENT = {
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.REPLICA_NOT_AVAILABLE,
    KafkaError.OFFSET_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.NOT_COORDINATOR,
    KafkaError.NOT_CONTROLLER,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.KAFKA_STORAGE_ERROR,
}
_NO_TOPIC = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
}
_NO_RIGHT = {
    KafkaError.GROUP_AUTHORIZATION_FAILED: "Read on the consumer group",
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: "Write and Describe on the transactional id",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "IdempotentWrite or Create on the cluster",
}


def error_of(exception: KafkaException) -> KafkaError:
    """Return the error inside an exception."""
    return exception.args[0]


def is_unreachable(error: KafkaError) -> bool:
    """Return whether an error means that no broker answered."""
    return error.code() in _UNREACHABLE


def is_transient(error: KafkaError) -> bool:
    """Return whether brokers are changing places, so that asking again will help."""
    return error.code() in _TRANSIENT


def mapped(error: KafkaError, doing: str) -> BrokerPluginError:
    """Return our error for one of the client's that is not to be retried as it is."""
    text = f"{doing}: {error.str()} ({error.name()})"
    code = error.code()
    if code in _FENCED or (error.fatal() and "fenced" in error.str().lower()):
        return FencedError(
            f"{text}: another instance has taken over this one's name, or the cluster has ended its "
            "transaction because it was silent for too long; if it is alone under its name, start it again"
        )
    if code in _NO_RIGHT:
        return AccessError(f"{text}: this user lacks a right, grant it {_NO_RIGHT[code]}")
    if error.fatal():
        return FatalBusError(text)
    if error.txn_requires_abort():
        return AbortableTransactionError(text)
    if code in _NO_TOPIC:
        return TopicError(f"{text}: check its access rights or run 'broker-plugin topics create'")
    return FatalBusError(text)


def unreachable(address: str, seconds: float, detail: str) -> BrokerUnreachableError:
    """Return the error of a broker that is not there."""
    return BrokerUnreachableError(
        f"no Kafka broker answers at {address} within {seconds:g} s ({detail}): start it or mend "
        "'kafka.bootstrap' or 'source.bootstrap' (and the security options, if the address is right)"
    )


def misconfigured(exception: KafkaException) -> ConfigurationError:
    """Return the error of an option that librdkafka does not take."""
    return ConfigurationError(f"librdkafka refuses an option: {error_of(exception).str()}")
