"""Commands that an operator is told to type: complete, so that they can be copied."""

from __future__ import annotations

CREATE_COMMAND = "broker-plugin topics create"


def set_topic_config(address: str, topic: str, name: str, value: str) -> str:
    """Return the command that sets one setting of a topic."""
    return (
        f"kafka-configs.sh --bootstrap-server {address} --alter --entity-type topics --entity-name {topic} "
        f"--add-config {name}={value}"
    )


def delete_topic(address: str, topic: str) -> str:
    """Return the command that deletes a topic and all that is in it."""
    return f"kafka-topics.sh --bootstrap-server {address} --delete --topic {topic}"


def delete_group(address: str, group: str) -> str:
    """Return the command that makes a stopped group forget its offsets."""
    return f"kafka-consumer-groups.sh --bootstrap-server {address} --delete --group {group}"


def move_group(address: str, group: str, topic: str, partition: int, offset: int) -> str:
    """Return the command that puts a stopped group at an offset of a partition."""
    return (
        f"kafka-consumer-groups.sh --bootstrap-server {address} --group {group} "
        f"--topic {topic}:{partition} --reset-offsets --to-offset {offset} --execute"
    )
