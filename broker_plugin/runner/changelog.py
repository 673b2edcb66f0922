"""Records of the changelog: what a batch writes there, and what a restore makes of it.

Every batch ends, in each changelog partition that it touches, with a marker record under one reserved key:
the source position that the state stands for after the batch. Compaction keeps the last one. After a
restore it must equal the group's committed offset, which travelled in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from broker_plugin.errors import StateMismatchError
from broker_plugin.runner.protocols import Message, Output
from broker_plugin.runner.state import RESERVED

POSITION_KEY = RESERVED + b"position"


def changelog_outputs(
    topic: str, partition: int, changes: Mapping[bytes, bytes | None], positions: Mapping[str, int]
) -> Iterator[Output]:
    """Yield the records of one partition's part of a batch, the marker last."""
    for key, value in changes.items():
        yield Output(topic=topic, key=key, value=value, partition=partition)
    marker = json.dumps(dict(positions), sort_keys=True).encode()
    yield Output(topic=topic, key=POSITION_KEY, value=marker, partition=partition)


def replay_records(
    messages: Iterable[Message], positions: Mapping[str, int]
) -> tuple[dict[bytes, bytes | None], Mapping[str, int]]:
    """Fold changelog records into the changes they mean and the last marker among them.

    Parameters
    ----------
    messages : iterable of Message
        In offset order.
    positions : mapping of str to int
        The marker before the first of them.

    Raises
    ------
    StateMismatchError
        A record is none of ours.
    """
    changes: dict[bytes, bytes | None] = {}
    for message in messages:
        if message.key == POSITION_KEY:
            positions = _parse_marker(message)
        elif message.key is None or message.key.startswith(RESERVED):
            msg = (
                f"changelog record {message.topic}/{message.partition}/{message.offset} has key "
                f"{message.key!r}, which no version of this program writes: is another program "
                "writing to the topic?"
            )
            raise StateMismatchError(msg)
        else:
            changes[message.key] = message.value
    return changes, positions


def _parse_marker(message: Message) -> dict[str, int]:
    try:
        return {str(topic): int(offset) for topic, offset in json.loads(message.value or b"").items()}
    except (ValueError, TypeError, AttributeError) as error:
        msg = (
            f"changelog marker {message.topic}/{message.partition}/{message.offset} is unreadable "
            f"({message.value!r}): is another program writing to the topic?"
        )
        raise StateMismatchError(msg) from error
