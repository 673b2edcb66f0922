"""The way every stage puts a record aside."""

from __future__ import annotations

from collections.abc import Callable

from broker_plugin.records.codec import encode_dead_letter
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.protocols import Message, Output


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


def dead_letter_output(prefix: str) -> Callable[[DeadLetter], Output]:
    """Return the function that turns a dead letter into a record of ``<prefix>.dead-letters``."""

    def output(letter: DeadLetter) -> Output:
        return Output(f"{prefix}.dead-letters", letter.key, encode_dead_letter(letter))

    return output
