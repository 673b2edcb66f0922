"""To somebody else's Kafka cluster: no transactions there, one flush an attempt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from broker_plugin.app.forward import Attempt
from broker_plugin.errors import AccessError, BrokerPluginError, BrokerUnreachableError
from broker_plugin.runner.bus import Bus, Producer
from broker_plugin.runner.protocols import Message, Output

logger = logging.getLogger(__name__)


class KafkaCourier:
    """Writes records as they are: key, value and headers.

    Parameters
    ----------
    bus : Bus
        The other cluster.
    topic_there : callable
        Its topic for one of ours.
    blocked_seconds : float
        How long to wait after a refusal that only a person can mend (a password, rights, a missing topic).
    """

    def __init__(self, bus: Bus, topic_there: Callable[[str], str], blocked_seconds: float = 60.0) -> None:
        self._bus = bus
        self._topic_there = topic_there
        self._blocked_seconds = blocked_seconds
        self._producer: Producer | None = None

    def deliver(self, messages: Sequence[Message]) -> Attempt:
        """Write all and wait for all acknowledgements."""
        try:
            if self._producer is None:
                self._producer = self._bus.producer()
            for message in messages:
                topic = self._topic_there(message.topic)
                self._producer.send(Output(topic, message.key, message.value, headers=message.headers))
            self._producer.flush()
        except BrokerPluginError as error:
            self.close()  # what is queued in it must not come after what is sent next time
            if isinstance(error, BrokerUnreachableError) and not isinstance(error, AccessError):
                return Attempt(0, trouble="unreachable", detail=str(error))
            return Attempt(0, trouble="blocked", detail=str(error), retry_after_seconds=self._blocked_seconds)
        return Attempt(len(messages))

    def close(self) -> None:
        """Drop what is queued, and the connections."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close()
