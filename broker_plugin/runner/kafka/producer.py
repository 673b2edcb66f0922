"""A transactional producer on Kafka."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from broker_plugin.errors import AbortableTransactionError, FatalBusError, FencedError, TopicError
from broker_plugin.runner.kafka.deadline import HungCallError, call_within
from broker_plugin.runner.kafka.mapping import (
    client_logger,
    error_of,
    fatal_of,
    is_unreachable,
    mapped,
    misconfigured,
    unreachable,
)
from broker_plugin.runner.kafka.settings import KafkaSettings
from broker_plugin.runner.protocols import Output, Partition

_PURGED = {KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}  # noqa: SLF001
_STATE = KafkaError._STATE  # noqa: SLF001
_RETRY_PAUSE_SECONDS = 0.1
_ANY_PARTITION = -1  # RD_KAFKA_PARTITION_UA: the key decides
_SERVED_EACH = 64  # records; the rest of the reports is taken by the flush before the commit


class KafkaProducer:
    """See :class:`broker_plugin.runner.bus.Producer`."""

    def __init__(self, settings: KafkaSettings, transactional_id: str | None) -> None:
        self._settings = settings
        self._id = transactional_id
        self._patience = settings.operation_timeout_seconds
        self._ends: dict[tuple[str, int], int] = {}  # by topic and number of the partition
        self._untold: set[tuple[str, int]] = set()  # where nobody knows the offset of the last record
        self._unserved = 0  # records sent since delivery reports were last taken
        self._lost: KafkaError | None = None  # the first record that could not be delivered
        try:
            self._producer = confluent_kafka.Producer(
                settings.producer_options(transactional_id), logger=client_logger
            )
        except KafkaException as error:
            raise misconfigured(error) from error
        self._closed = False
        self._hung = False

    def init_transactions(self) -> None:
        """Fence every older producer of this transactional id and abort what it left open."""
        timeout = self._patience
        try:
            self._until(time.monotonic() + timeout, self._producer.init_transactions)
        except KafkaException as exception:
            error = error_of(exception)
            if is_unreachable(error):
                raise unreachable(self._settings.bootstrap_servers, timeout, error.str()) from exception
            raise mapped(error, f"taking over transactional id {self._id}") from exception

    def begin(self) -> None:
        """Begin a transaction."""
        self._ends.clear()
        self._untold.clear()
        self._lost = None
        try:
            self._producer.begin_transaction()
        except KafkaException as exception:
            raise mapped(error_of(exception), f"beginning a transaction of {self._id}") from exception

    def send(self, output: Output) -> None:
        """Queue a record, making room for it if need be."""
        deadline = 0.0
        while True:
            try:
                self._produce(output)
                break
            except BufferError as full:
                deadline = deadline or time.monotonic() + self._settings.transaction_timeout_seconds
                self._serve(lambda: self._producer.poll(_RETRY_PAUSE_SECONDS))
                if time.monotonic() > deadline:
                    msg = f"records for {output.topic} do not leave: the broker does not take them in time"
                    raise AbortableTransactionError(msg) from full
            except KafkaException as exception:
                raise self._send_error(error_of(exception), output) from exception
        self._unserved += 1
        if self._unserved >= _SERVED_EACH:
            self._unserved = 0
            self._serve(lambda: self._producer.poll(0))

    def send_offsets(self, offsets: Mapping[Partition, int], group_metadata: object, note: str = "") -> None:
        """Flush, then add consumed positions to the transaction, fenced by the group's generation."""
        self._flush_transaction()
        positions = [TopicPartition(p.topic, p.partition, offset, note) for p, offset in offsets.items()]

        def operation(timeout: float) -> None:
            self._producer.send_offsets_to_transaction(positions, group_metadata, timeout)

        # Later than this the broker has aborted the transaction anyway.
        seconds = self._settings.transaction_timeout_seconds
        self._transactional("sending offsets to the transaction", operation, seconds)

    def commit(self) -> dict[Partition, int]:
        """Commit, and return the offset after the last record of each partition written."""
        self._flush_transaction()
        if self._untold:
            topic, number = min(self._untold)
            msg = f"the broker did not tell where in {topic}/{number} the last record of {self._id} lies"
            raise AbortableTransactionError(msg)
        self._transactional("committing the transaction", self._producer.commit_transaction, self._patience)
        return {Partition(*place): end for place, end in self._ends.items()}

    def abort(self) -> None:
        """Abort the transaction; what was queued is dropped."""
        self._transactional("aborting the transaction", self._producer.abort_transaction, self._patience)
        self._lost = None

    def flush(self) -> None:
        """Wait until every record sent outside of transactions is written."""
        seconds = self._patience
        left = self._serve(lambda: self._producer.flush(seconds))
        if self._lost is not None:
            lost, self._lost = self._lost, None
            if is_unreachable(lost) or lost.code() == KafkaError._MSG_TIMED_OUT:  # noqa: SLF001
                raise unreachable(self._settings.bootstrap_servers, seconds, lost.str())
            raise mapped(lost, "writing records")
        if left:
            detail = f"{left} records still wait"
            raise unreachable(self._settings.bootstrap_servers, seconds, detail)

    def close(self, timeout_seconds: float = 10.0) -> None:
        """Drop what is queued and let go; an open transaction is left to its timeout or its next owner."""
        if self._closed:
            return
        self._closed = True
        if self._hung:
            return
        self._producer.purge()
        with suppress(FencedError, FatalBusError):
            self._serve(
                lambda: self._producer.flush(min(timeout_seconds, 1.0))
            )  # callbacks of what was purged

    def _produce(self, output: Output) -> None:
        partition = _ANY_PARTITION if output.partition is None else output.partition
        headers = list(output.headers) or None
        self._producer.produce(
            output.topic, output.value, output.key, partition, self._on_delivery, headers=headers
        )

    def _on_delivery(self, error: KafkaError | None, message: Any) -> None:
        if error is None:
            place, offset = (message.topic(), message.partition()), message.offset()
            # Of a record that it was sent twice, its first answer being late, a broker may say no more than
            # that it has it. An offset of a later record makes up for that.
            if offset is None:
                self._untold.add(place)
                return
            self._untold.discard(place)
            if offset >= self._ends.get(place, 0):
                self._ends[place] = offset + 1
        elif self._lost is None and error.code() not in _PURGED:
            self._lost = error

    def _send_error(self, error: KafkaError, output: Output) -> Exception:
        if error.code() == _STATE and self._id is not None:
            # The transaction has failed behind our back; abort() will tell if the producer has, too.
            cause = self._lost.str() if self._lost is not None else error.str()
            return AbortableTransactionError(f"transaction of {self._id} has failed: {cause}")
        own = mapped(error, f"writing to {output.topic}")
        if isinstance(own, FatalBusError) and not error.fatal():
            return AbortableTransactionError(str(own))
        return own

    def _serve(self, action: Callable[[], int]) -> int:
        """Do what serves delivery reports and error events."""
        try:
            return action()
        except (KafkaException, SystemError) as exception:
            raise self._failed(exception) from exception

    def _failed(self, exception: KafkaException | SystemError) -> Exception:
        ask = self._producer.begin_transaction if self._id is not None else None
        return mapped(fatal_of(exception, ask), f"producer {self._id or 'without transactions'}")

    def _flush_transaction(self) -> None:
        """Wait for every delivery report of the transaction; raise for a record that was not delivered."""
        left = self._serve(lambda: self._producer.flush(self._settings.transaction_timeout_seconds))
        if self._lost is not None:
            own = mapped(self._lost, f"delivering a record in the transaction of {self._id}")
            if isinstance(own, FatalBusError) and not self._lost.fatal():
                raise AbortableTransactionError(str(own))
            raise own
        if left:
            seconds = self._settings.transaction_timeout_seconds
            msg = f"{left} records of the transaction of {self._id} not delivered within {seconds:g} s"
            raise AbortableTransactionError(msg)

    def _transactional(self, doing: str, operation: Callable[[float], None], seconds: float) -> None:
        try:
            self._until(time.monotonic() + seconds, operation)
        except KafkaException as exception:
            error = error_of(exception)
            if error.retriable() and not error.txn_requires_abort() and not error.fatal():
                msg = f"{doing} of {self._id}: outcome unknown after {seconds:g} s ({error.str()})"
                raise FatalBusError(msg) from exception
            own = mapped(error, f"{doing} of {self._id}")
            if isinstance(own, TopicError):  # a rights problem of the group: no cure by retrying
                raise FatalBusError(str(own)) from exception
            raise own from exception

    def _until(self, deadline: float, operation: Callable[[float], None]) -> None:
        """Repeat an operation while its error says that this may help, until the deadline."""
        while True:
            left = deadline - time.monotonic()
            try:
                call_within(max(left, 0.001), operation)
                return
            except HungCallError as hung:
                self._hung = True
                msg = f"producer {self._id}: {hung}; it is abandoned for a new one"
                raise FatalBusError(msg) from hung
            except SystemError as exception:
                raise self._failed(exception) from exception
            except KafkaException as exception:
                error = error_of(exception)
                may_help = error.retriable() and not error.txn_requires_abort() and not error.fatal()
                if not may_help or time.monotonic() + _RETRY_PAUSE_SECONDS > deadline:
                    raise
            self._serve(lambda: self._producer.poll(_RETRY_PAUSE_SECONDS))
