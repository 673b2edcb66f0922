"""What the client answers about a partition whose leader has died: a success with no offset in it."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import OFFSET_INVALID

from broker_plugin.errors import BrokerUnreachableError
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.kafka import KafkaBus, KafkaSettings
from broker_plugin.runner.protocols import Partition


class Admin:
    """Answers requests for offsets with the next of some offsets, the last one for ever."""

    def __init__(self, *offsets: int) -> None:
        self._offsets = list(offsets)
        self.patience: list[float] = []

    def list_offsets(
        self, asked: dict[Any, Any], *, isolation_level: Any, request_timeout: float
    ) -> dict[Any, Future[Any]]:
        self.patience.append(request_timeout)
        offset = self._offsets.pop(0) if len(self._offsets) > 1 else self._offsets[0]
        answer: Future[Any] = Future()
        answer.set_result(SimpleNamespace(offset=offset))
        return dict.fromkeys(asked, answer)

    def list_topics(self, timeout: float) -> object:
        return object()

    def create_topics(self, new: list[Any], *, operation_timeout: float) -> dict[str, Future[Any]]:
        return {topic.topic: Future() for topic in new}

    def poll(self, timeout: float) -> int:
        return 0


def test_answer_without_an_offset_is_asked_for_again() -> None:
    """As an end of the changelog it would make an empty restore of a partition that is full."""
    bus = KafkaBus(KafkaSettings("127.0.0.1:1"))
    bus._admin_client = admin = Admin(OFFSET_INVALID, 3, OFFSET_INVALID, OFFSET_INVALID, 7)

    assert bus.offsets(Partition("t", 0)) == (3, 7)
    assert len(admin.patience) == 5
    assert max(admin.patience) <= 5.0  # a try must not wait as long as a worker may go without a poll


def test_leader_that_never_comes_is_an_error() -> None:
    """No answer is none, and not the offset -1001."""
    bus = KafkaBus(KafkaSettings("127.0.0.1:1", operation_timeout_seconds=1.0))
    bus._admin_client = Admin(OFFSET_INVALID)

    with pytest.raises(BrokerUnreachableError, match="t/0"):
        bus.offsets(Partition("t", 0))


def test_creation_that_is_never_answered_is_an_error() -> None:
    """A busy controller: a line that names the topic, no traceback."""
    bus = KafkaBus(KafkaSettings("127.0.0.1:1", operation_timeout_seconds=0.1))
    bus._admin_client = Admin(0)

    with pytest.raises(BrokerUnreachableError, match="creating topic t"):
        bus.create_topics([TopicSpec("t", 1)])
