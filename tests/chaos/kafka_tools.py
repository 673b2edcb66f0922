"""What an operator is told to type, done through the admin client: the tests' Kafka has no such scripts."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from broker_plugin.runner.commands import CREATE_COMMAND

_COMMAND = re.compile(r"kafka-[a-z-]+\.sh(?: --[a-z-]+(?: \w[\w.:,=/-]*)?)+|broker-plugin topics create")
_WORD = r"([\w.:=/-]+)"
_SERVER = re.compile(r" --bootstrap-server (\S+)")
_SECONDS = 60.0


def commands_in(message: str) -> list[str]:
    """Return the commands that a message tells to run, in its order, once each."""
    found = list(dict.fromkeys(_COMMAND.findall(message)))
    assert found, f"no command in: {message}"
    return found


def obey(message: str, create: Callable[[], subprocess.CompletedProcess[str]]) -> None:
    """Do what a message says, word by word; ``create`` runs ``broker-plugin topics create``."""
    for command in commands_in(message):
        if command == CREATE_COMMAND:
            created = create()
            assert created.returncode == 0, created.stderr
        else:
            run_tool(command)


def run_tool(command: str) -> None:
    """Do what one of Kafka's own commands would do; fail on one that is not spelled as its tool wants it."""
    server = _SERVER.search(command)
    assert server, f"no --bootstrap-server in: {command}"
    admin = AdminClient({"bootstrap.servers": server[1]})
    for pattern, action in _ACTIONS.items():
        found = re.fullmatch(pattern, _SERVER.sub("", command))
        if found:
            action(admin, *found.groups())
            return
    raise AssertionError(f"no tool of Kafka understands: {command}")


def _reset(admin: AdminClient, group: str, topic: str, partition: str, offset: str) -> None:
    position = TopicPartition(topic, int(partition), int(offset))
    request = [ConsumerGroupTopicPartitions(group, [position])]
    answer = admin.alter_consumer_group_offsets(request)[group].result(_SECONDS)
    assert all(p.error is None for p in answer.topic_partitions), answer.topic_partitions


def _delete_group(admin: AdminClient, group: str) -> None:
    admin.delete_consumer_groups([group])[group].result(_SECONDS)


def _delete_topic(admin: AdminClient, topic: str) -> None:
    admin.delete_topics([topic])[topic].result(_SECONDS)
    deadline = time.monotonic() + _SECONDS
    while topic in admin.list_topics(timeout=_SECONDS).topics:
        assert time.monotonic() < deadline, f"{topic} does not go away"
        time.sleep(0.1)


def _configure(admin: AdminClient, topic: str, name: str, value: str) -> None:
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result(_SECONDS)


_ACTIONS = {
    rf"kafka-consumer-groups\.sh --group {_WORD} --topic ([\w.-]+):(\d+) --reset-offsets --to-offset (\d+) "
    r"--execute": _reset,
    rf"kafka-consumer-groups\.sh --delete --group {_WORD}": _delete_group,
    rf"kafka-topics\.sh --delete --topic {_WORD}": _delete_topic,
    r"kafka-configs\.sh --alter --entity-type topics --entity-name ([\w.-]+) --add-config ([\w.]+)=(\w+)": (
        _configure
    ),
}
