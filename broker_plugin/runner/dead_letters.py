"""A message that cannot be used, as a dead letter."""

from __future__ import annotations

from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.protocols import Message


def dead_letter(stage: str, reason: str, detail: str, message: Message) -> DeadLetter:
    """Wrap a message that a stage cannot use."""
    return DeadLetter(
        stage=stage,
        reason=reason,
        detail=detail,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=message.timestamp_ms,
        key=message.key,
        value=message.value,
        headers=message.headers,
    )
