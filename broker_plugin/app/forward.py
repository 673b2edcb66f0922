"""An output on its way out of our cluster: at least once, one output never in another's way.

The records lie filtered and translated in a topic of ours, written exactly once. From there they go to
somebody's Kafka or HTTP interface, which cannot be part of our transaction: a death between delivery and
commit delivers a batch again. Records carry ids and keys that make a repetition harmless (Lasair replaces,
readers of hop and DESC's tell by the id).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from broker_plugin.errors import (
    AbortableTransactionError,
    BrokerUnreachableError,
    FatalBusError,
    FencedError,
    TopicError,
)
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.bus import Bus, Consumer
from broker_plugin.runner.dead_letters import dead_letter
from broker_plugin.runner.protocols import Message, Observation, Output, Partition
from broker_plugin.runner.sensor import NullSensor, Sensor
from broker_plugin.runner.settings import Clock

logger = logging.getLogger(__name__)

_WAIT_SLICE_SECONDS = 0.5  # how soon a stop is noticed while there is something to wait for
_LONGEST_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt to deliver.

    Attributes
    ----------
    done : int
        So many records from the beginning are dealt with, those that were refused among them.
    refused : tuple of (int, str)
        Index of a record that the consumer will never take, and why.
    retry_after_seconds : float or None
        Not before that is another attempt welcome; None if nothing stands against it.
    trouble : str
        Why the rest is not done: ``"unreachable"``, ``"throttled"``, ``"server_error"``, ``"blocked"``, or
        empty when there is nothing wrong.
    detail : str
        The same for a person.
    """

    done: int
    refused: tuple[tuple[int, str], ...] = ()
    retry_after_seconds: float | None = None
    trouble: str = ""
    detail: str = ""


class Courier(Protocol):
    """Takes records to one consumer."""

    def deliver(self, messages: Sequence[Message]) -> Attempt:
        """Try once to deliver records, in their order; takes seconds, not minutes.

        May be told the same records again, after any of its own failures and after a restart.
        """

    def close(self) -> None:
        """Let go of connections."""


class Forwarder:
    """Carries one output's records to where they go; like a runner, it runs until it is told to stop.

    Order of events: take records, deliver, put the refused ones aside, commit the positions.

    Parameters
    ----------
    output : str
        Its name in the configuration.
    topics : sequence of str
        In our cluster.
    bus : Bus
        Our cluster.
    courier : Courier
    group : str
        Consumer group.
    dead_letter_output : callable
        What becomes of a dead letter.
    batch_records : int
        Records in one attempt, at most.
    sensor : Sensor, optional
    clock : Clock, optional
    max_rejoins : int
        Failures of our own cluster in a row before the error is raised.
    """

    def __init__(
        self,
        output: str,
        topics: Sequence[str],
        bus: Bus,
        courier: Courier,
        *,
        group: str,
        dead_letter_output: Callable[[DeadLetter], Output],
        batch_records: int = 100,
        sensor: Sensor | None = None,
        clock: Clock | None = None,
        max_rejoins: int = 5,
    ) -> None:
        self.name = forward_name(output)
        self._output = output
        self._topics = tuple(topics)
        self._bus = bus
        self._courier = courier
        self._group = group
        self._dead_letter_output = dead_letter_output
        self._batch = batch_records
        self._sensor = sensor or NullSensor()
        self._clock = clock or Clock()
        self._max_rejoins = max_rejoins
        self._rejoins = 0
        self._stopping = False
        self._consumer: Consumer | None = None
        self._owned: set[Partition] = set()
        self._waiting: deque[Message] = deque()
        self._not_before = 0.0
        self._failures = 0  # attempts in a row
        self._told = ""

    def run(self) -> None:
        """Deliver until :meth:`stop`.

        Raises
        ------
        BrokerPluginError
            Our own cluster cannot be used. What the consumer does never ends the process.
        """
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._leave()
            self._courier.close()

    def run_until_idle(self, timeout_seconds: float = 60.0) -> None:
        """Deliver until everything there is has been dealt with; raises TimeoutError at the deadline."""
        deadline = self._clock.monotonic() + timeout_seconds
        while True:
            self._turn()
            if not self._waiting and self._consumer is not None and self._consumer.at_end():
                return
            if self._clock.monotonic() > deadline:
                msg = f"{self.name} not idle after {timeout_seconds:g} s: {self._told or 'records are left'}"
                raise TimeoutError(msg)

    def stop(self) -> None:
        """Ask :meth:`run` to end after the attempt in hand; any thread or signal handler may call it."""
        self._stopping = True

    # The consumer's rebalances; the names are those of the bus.

    def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """Take partitions over; the client begins at the group's committed position."""
        self._owned.update(partitions)
        self._sensor.on_assigned(self.name, partitions)
        for partition in partitions:
            self._sensor.on_opened(self.name, partition)

    def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Drop what waits of partitions that go: their next owner reads it again."""
        gone = set(partitions)
        self._owned -= gone
        self._waiting = deque(m for m in self._waiting if Partition(m.topic, m.partition) not in gone)
        self._sensor.on_revoked(self.name, partitions)

    def on_lost(self, partitions: Sequence[Partition]) -> None:
        """Drop what waits of partitions that are somebody else's."""
        self.on_revoked(partitions)

    # Turns.

    def _turn(self) -> None:
        self._sensor.on_turn(self.name)
        try:
            if self._consumer is None:
                self._consumer = self._join()
            self._take(self._consumer)
            if self._waiting and self._clock.monotonic() >= self._not_before:
                self._deliver(self._consumer)
            self._rejoins = 0
        except (FencedError, FatalBusError, BrokerUnreachableError) as error:
            self._leave()
            self._rejoins += 1
            if self._rejoins > self._max_rejoins or self._stopping:
                raise
            logger.warning("%s joins anew (%d): %s", self.name, self._rejoins, error)
            self._sensor.on_rejoin(self.name, type(error).__name__)
            self._clock.sleep(min(2.0**self._rejoins * 0.1, 5.0))

    def _join(self) -> Consumer:
        counts = self._bus.partition_counts(list(self._topics))
        missing = [topic for topic, count in counts.items() if count is None]
        if missing:
            msg = f"topic {missing[0]} ({self._output}) does not exist: run 'broker-plugin topics create'"
            raise TopicError(msg)
        return self._bus.consumer(self._group, list(self._topics), self, self._on_lag)

    def _take(self, consumer: Consumer) -> None:
        """Poll, which keeps the membership alive; for no more records than the next attempt can use."""
        wait = _LONGEST_POLL_SECONDS
        if self._waiting:
            left = self._not_before - self._clock.monotonic()
            wait = 0.0 if left <= 0 else min(left, _WAIT_SLICE_SECONDS)
        full = len(self._waiting) >= self._batch
        owned = sorted(self._owned, key=lambda partition: (partition.topic, partition.partition))
        (consumer.pause if full else consumer.resume)(owned)
        polled = consumer.poll(self._batch, wait)
        self._waiting += [m for m in polled if Partition(m.topic, m.partition) in self._owned]

    def _deliver(self, consumer: Consumer) -> None:
        batch = [self._waiting[i] for i in range(min(self._batch, len(self._waiting)))]
        attempt = self._courier.deliver(batch)
        if attempt.refused:
            self._put_aside([(batch[i], reason) for i, reason in attempt.refused])
        if attempt.done:
            self._commit(consumer, batch[: attempt.done])
            for _ in range(attempt.done):
                self._waiting.popleft()
        self._tell(attempt)
        failed = bool(attempt.trouble) and attempt.done == 0
        self._failures = self._failures + 1 if failed else 0
        wait = attempt.retry_after_seconds
        if wait is None and attempt.trouble:
            wait = min(2.0 ** min(self._failures, 10), 300.0)
        self._not_before = self._clock.monotonic() + (wait or 0.0)

    def _commit(self, consumer: Consumer, done: Sequence[Message]) -> None:
        offsets = {Partition(m.topic, m.partition): m.offset + 1 for m in done}
        try:
            consumer.commit(offsets)
        except AbortableTransactionError as error:
            logger.warning(
                "%s: delivered, but the positions are not committed, so again: %s", self.name, error
            )

    def _put_aside(self, refused: Sequence[tuple[Message, str]]) -> None:
        producer = self._bus.producer()
        try:
            for message, reason in refused:
                letter = dead_letter(self.name, "refused_by_consumer", reason, message)
                producer.send(self._dead_letter_output(letter))
            producer.flush()
        finally:
            producer.close()

    def _tell(self, attempt: Attempt) -> None:
        """Tell the metrics, and the log where something changed."""
        refused = len(attempt.refused)
        for outcome, n in (("sent", attempt.done - refused), ("refused", refused)):
            if n:
                labels = {"output": self._output, "outcome": outcome}
                self._sensor.on_observations(self.name, [Observation("forwarded_total", n, labels)])
        if refused:
            labels = {"stage": self.name, "reason": "refused_by_consumer"}
            self._sensor.on_observations(self.name, [Observation("dead_letters_total", refused, labels)])
        if attempt.trouble:
            labels = {"output": self._output, "reason": attempt.trouble}
            self._sensor.on_observations(self.name, [Observation("forward_failures_total", 1, labels)])
        text = f"{attempt.trouble}: {attempt.detail}" if attempt.trouble else ""
        if text and text != self._told:
            level = logging.ERROR if attempt.trouble == "blocked" else logging.WARNING
            logger.log(level, "%s waits, its records are kept: %s", self.name, text)
        elif self._told and not text:
            logger.info("%s delivers again", self.name)
        self._told = text

    def _on_lag(self, topic: str, partition: int, lag: int) -> None:
        self._sensor.on_lag(self.name, topic, partition, lag)

    def _leave(self) -> None:
        consumer, self._consumer = self._consumer, None
        self._waiting.clear()
        if consumer is not None:
            consumer.close()
        self._owned.clear()


def forward_name(output: str) -> str:
    """Return the name of an output's forwarder, in metrics, probes, groups and dead letters."""
    return f"forward-{output}"
