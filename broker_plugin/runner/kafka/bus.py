"""A Kafka cluster as a bus: clients, topics, offsets."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec

from broker_plugin.errors import (
    AccessError,
    BrokerPluginError,
    BrokerUnreachableError,
    FatalBusError,
    TopicError,
)
from broker_plugin.runner.bus import LagListener, NotYetError, RebalanceListener, TopicSpec
from broker_plugin.runner.kafka.consumer import Bounds, KafkaConsumer, read_committed_offsets, read_notes
from broker_plugin.runner.kafka.mapping import (
    client_logger,
    error_of,
    is_transient,
    is_unreachable,
    log_client_error,
    mapped,
    misconfigured,
    unreachable,
)
from broker_plugin.runner.kafka.producer import KafkaProducer
from broker_plugin.runner.kafka.reader import KafkaReader
from broker_plugin.runner.kafka.refusals import refusal
from broker_plugin.runner.kafka.settings import KafkaSettings
from broker_plugin.runner.protocols import Partition

_VISIBLE_PAUSE_SECONDS = 0.1
_ASK_PAUSE_SECONDS = 0.2
_REFUSAL_SECONDS = 1.5  # a TLS handshake, a password, an answer, with a busy broker
_ERRORS_KEPT = 100  # of the client; the first reasons of a refusal repeat
_TRY_SECONDS = 5.0  # of one request: its answer may be lost with a broker whose successor is there already


class KafkaBus:
    """See :class:`broker_plugin.runner.bus.Bus`. Connects on first use."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin_client: Any = None
        self._abandoned: list[Any] = []
        self._cluster: str | None = None
        self._client_errors: deque[KafkaError] = deque(maxlen=_ERRORS_KEPT)

    def consumer(
        self,
        group: str,
        topics: Sequence[str],
        listener: RebalanceListener,
        on_lag: LagListener | None = None,
    ) -> KafkaConsumer:
        """Join a group on some topics."""
        self.cluster_id()
        return KafkaConsumer(
            self._settings,
            group,
            topics,
            listener=listener,
            on_lag=on_lag,
            true_ends=self._true_ends,
            ask_bounds=self._ask_bounds,
        )

    def producer(self, transactional_id: str | None = None) -> KafkaProducer:
        """Make a producer; without a transactional id it writes at once and has no transactions."""
        self.cluster_id()
        return KafkaProducer(self._settings, transactional_id)

    @property
    def address(self) -> str:
        """Return the bootstrap servers."""
        return self._settings.bootstrap_servers

    def cluster_id(self) -> str:
        """Return the id that the cluster was formatted with."""
        if self._cluster is None:
            self._cluster = str(self._metadata(self._settings.connect_timeout_seconds).cluster_id)
        return self._cluster

    def topic_id(self, topic: str) -> str:
        """Return the id that Kafka gave the topic when it was created."""
        topics = TopicCollection([topic])
        described = self._ask(
            lambda seconds: self._admin().describe_topics(topics, request_timeout=seconds)[topic],
            f"describing topic {topic}",
        )
        return str(described.topic_id)

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int | None]:
        """Return how many partitions each topic has, None for one that does not exist."""
        # All topics are asked for: asking for one by name may create it.
        known = self._metadata(self._settings.connect_timeout_seconds).topics
        return {
            topic: len(known[topic].partitions) if topic in known and known[topic].error is None else None
            for topic in topics
        }

    def topic_config(self, topic: str) -> dict[str, str]:
        """Return a topic's settings by Kafka's names."""
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
        entries = self._ask(
            lambda seconds: self._admin().describe_configs([resource], request_timeout=seconds)[resource],
            f"reading the settings of topic {topic}",
        )
        return {name: entry.value for name, entry in entries.items() if entry.value is not None}

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Create topics and wait until they can be used; those that exist are left as they are."""
        if not specs:
            return
        default = -1  # the cluster's
        new = [
            NewTopic(spec.name, spec.partitions, spec.replication or default, config=dict(spec.config))
            for spec in specs
        ]
        seconds = self._settings.operation_timeout_seconds
        for name, future in self._admin().create_topics(new, operation_timeout=seconds).items():
            try:
                future.result(seconds)
            except FutureTimeoutError as silence:
                doing = f"creating topic {name}"
                raise self._unanswered(doing) from silence
            except KafkaException as exception:
                if error_of(exception).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    msg = f"creating topic {name}: {error_of(exception).str()}"
                    raise TopicError(msg) from exception
        self._wait_until_visible([spec.name for spec in specs])

    def offsets(self, partition: Partition) -> tuple[int, int]:
        """Return the first offset and the true (READ_UNCOMMITTED) end offset of a partition."""
        first = self._list_offsets([partition], OffsetSpec.earliest())[partition]
        return first, self._true_ends([partition])[partition]

    def reader(self, partition: Partition, start_offset: int | None = None) -> KafkaReader:
        """Open a reader, at the first offset by default."""
        first, end = self.offsets(partition)
        return KafkaReader(self._settings, partition, first if start_offset is None else start_offset, end)

    def committed(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, int | None]:
        """Return a group's committed offsets without joining it; waits a little for open transactions."""
        # Not by the admin client: librdkafka's falls over (SIGSEGV) when the group's coordinator is moving,
        # https://github.com/confluentinc/librdkafka/issues/5040. A consumer that subscribes to nothing joins
        # no group.
        return read_committed_offsets(self._settings, group, partitions)

    def notes(self, group: str, partitions: Sequence[Partition]) -> dict[Partition, str]:
        """Return the notes that were last committed with a group's offsets: what Kafka calls metadata."""
        deadline = time.monotonic() + self._settings.operation_timeout_seconds
        while True:
            try:
                return read_notes(self._settings, group, partitions)
            except NotYetError as error:  # a coordinator that moves, or that has never been asked before
                if time.monotonic() > deadline:
                    raise self._unanswered(str(error)) from error
            time.sleep(_ASK_PAUSE_SECONDS)

    def delete_records(self, partition: Partition, before: int) -> None:
        """Delete the records of a partition below an offset, for everybody and for good."""
        asked = TopicPartition(partition.topic, partition.partition, before)
        where = f"{partition.topic}/{partition.partition}"
        try:
            self._ask(
                lambda seconds: self._admin().delete_records([asked], request_timeout=seconds)[asked],
                f"deleting the records of {where} before {before}",
            )
        except FatalBusError as error:
            raise TopicError(str(error)) from error

    def _ask_bounds(self, partitions: Sequence[Partition]) -> dict[Partition, Bounds]:
        """Ask for the first offsets and the ends that readers of committed records see, and do not wait."""
        asked = [TopicPartition(p.topic, p.partition) for p in partitions]
        firsts, ends = (
            self._admin().list_offsets(
                dict.fromkeys(asked, which),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=self._settings.operation_timeout_seconds,
            )
            for which in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
        return {Partition(p.topic, p.partition): (firsts[p], ends[p]) for p in asked}

    def _true_ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return self._list_offsets(partitions, OffsetSpec.latest())

    def _list_offsets(self, partitions: Sequence[Partition], which: Any) -> dict[Partition, int]:
        return {partition: self._list_offset(partition, which) for partition in partitions}

    def _list_offset(self, partition: Partition, which: Any) -> int:
        asked = TopicPartition(partition.topic, partition.partition)
        # KAFKA-10167: READ_COMMITTED would give the last stable offset, which an open transaction holds back.
        found = self._ask(
            lambda seconds: self._admin().list_offsets(
                {asked: which}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=seconds
            )[asked],
            f"offsets of {partition.topic}/{partition.partition}",
            # Of a partition whose leader has just died the client tells no error, but OFFSET_INVALID (-1001):
            # taken for the end of a changelog, it would make an empty restore of a full one.
            is_answer=lambda answer: answer.offset >= 0,
        )
        return int(found.offset)

    def _wait_until_visible(self, names: Sequence[str]) -> None:
        deadline = time.monotonic() + self._settings.operation_timeout_seconds
        while True:
            known: Mapping[str, Any] = self._metadata(self._settings.connect_timeout_seconds).topics
            missing = [name for name in names if name not in known or not _led(known[name])]
            if not missing:
                return
            if time.monotonic() > deadline:
                seconds = self._settings.operation_timeout_seconds
                msg = f"topic {missing[0]} has no leader after {seconds:g} s: look at its brokers"
                raise TopicError(msg)
            time.sleep(_VISIBLE_PAUSE_SECONDS)

    def _admin(self) -> Any:
        if self._admin_client is None:
            try:
                options = {**self._settings.admin_options(), "error_cb": self._on_client_error}
                self._admin_client = AdminClient(options, logger=client_logger)
            except KafkaException as error:
                raise misconfigured(error) from error
        return self._admin_client

    def _metadata(self, seconds: float) -> Any:
        # Twice: who is refused shall hear of it before the whole time is over.
        for part in (min(_REFUSAL_SECONDS, seconds), max(seconds - _REFUSAL_SECONDS, 0.0)):
            try:
                found = self._admin().list_topics(timeout=part)
            except KafkaException as exception:
                error = error_of(exception)
                if not is_unreachable(error):
                    where = self._settings.bootstrap_servers
                    raise mapped(error, f"asking {where} for its topics") from exception
                refused = self._refusal()
                if refused is not None:
                    raise refused from exception
                silence = exception
            else:
                self._serve_events()  # what was told before an answer explains no later silence
                return found
        raise unreachable(self._settings.bootstrap_servers, seconds, error_of(silence).str()) from silence

    def _on_client_error(self, error: KafkaError) -> None:
        log_client_error(error)
        self._client_errors.append(error)

    def _serve_events(self) -> None:
        """Take the events that have waited in the client since the last call."""
        self._client_errors.clear()
        self._admin().poll(0)

    def _refusal(self) -> AccessError | None:
        """Return why the cluster does not let us in, if that is what keeps it from answering."""
        self._serve_events()
        options = self._settings.admin_options()
        return refusal(self._settings.bootstrap_servers, options, list(self._client_errors))

    def _ask(
        self,
        request: Callable[[float], Future[Any]],
        doing: str,
        is_answer: Callable[[Any], bool] = lambda _: True,
    ) -> Any:
        """Ask until there is an answer that is not about brokers changing places, or until the deadline.

        Parameters
        ----------
        request : callable
            Begins to ask, with a timeout in seconds.
        doing : str
            What for, in an error.
        is_answer : callable
            Says whether a success holds what was asked for.

        Raises
        ------
        BrokerUnreachableError
            Nobody could say before the operation's deadline.
        """
        deadline = time.monotonic() + self._settings.operation_timeout_seconds
        while True:
            seconds = min(_TRY_SECONDS, max(deadline - time.monotonic(), _ASK_PAUSE_SECONDS))
            try:
                answer = request(seconds).result(seconds + 1)
                if is_answer(answer):
                    return answer
                problem = self._unanswered(f"{doing}: its leader is gone, and nobody has taken over")
            except FutureTimeoutError as silence:
                # A request that the client has lost (see deadline.py): closing it could hang, too.
                self._abandoned.append(self._admin_client)
                self._admin_client = None
                raise self._unanswered(doing) from silence
            except KafkaException as exception:
                error = error_of(exception)
                timed_out = error.code() == KafkaError._TIMED_OUT  # noqa: SLF001
                detail = f"{doing}: {error.str()}"
                problem = self._unanswered(detail) if is_unreachable(error) else mapped(error, doing)
                if not is_transient(error) and not timed_out:
                    raise problem from exception
            if time.monotonic() > deadline:
                raise problem
            time.sleep(_ASK_PAUSE_SECONDS)
            try:
                self._metadata(seconds)  # else the client goes on with the leaders that it knows
            except BrokerUnreachableError as error:
                raise problem from error

    def _unanswered(self, detail: str) -> BrokerPluginError:
        return unreachable(self._settings.bootstrap_servers, self._settings.operation_timeout_seconds, detail)


def _led(topic: Any) -> bool:
    return topic.error is None and all(p.leader >= 0 for p in topic.partitions.values())
