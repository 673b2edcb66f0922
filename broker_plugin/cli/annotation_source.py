"""Where a command reads annotations from: a topic, a file or a folder of an offline run, by one word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from broker_plugin.cli.record_files import read_records
from broker_plugin.config import Config
from broker_plugin.errors import InputError, TopicError

KINDS = {"classifications": "classification", "novelties": "novelty"}
SUFFIXES = (".avro", ".jsonl")

SOURCE_HELP = (
    "a topic (or the first part of its name, such as the prefix of an installation or of its shadow), a file "
    "(.avro or .jsonl) or the folder of an offline run"
)


def annotations_from(config: Config, where: str, name: str = "classifications") -> Iterator[dict[str, Any]]:
    """Yield the records of a source, whole, in its order.

    Parameters
    ----------
    config : Config
        Knows the cluster; nothing is connected to for a file.
    where : str
        See :data:`SOURCE_HELP`.
    name : str
        Which of a folder's files, or of a prefix's topics: one of :data:`KINDS`.

    Raises
    ------
    InputError, TopicError
        There is no such file or topic.
    """
    path = Path(where)
    if path.exists() or path.suffix in SUFFIXES or "/" in where:
        yield from annotations_of_file(path, name)
    else:
        yield from annotations_of_topic(config, where, name)


def annotations_of_file(path: Path, name: str = "classifications") -> Iterator[dict[str, Any]]:
    """Yield the records of a file, or of the one of this name in a folder."""
    for _, record in read_records(file_in(path, name), tuple(KINDS.values())):
        yield record


def file_in(path: Path, name: str) -> Path:
    """Return the file of a name in the folder of an offline run; a file is itself."""
    if not path.is_dir():
        return path
    found = [path / f"{name}{suffix}" for suffix in SUFFIXES if (path / f"{name}{suffix}").exists()]
    if not found:
        msg = f"{path} holds no {name}.avro and no {name}.jsonl: name a folder that replay or demo wrote"
        raise InputError(msg)
    return found[0]


def annotations_of_topic(
    config: Config, where: str, name: str = "classifications"
) -> Iterator[dict[str, Any]]:
    """Yield what a topic holds now; a record that cannot be read is told on stderr and passed over."""
    from broker_plugin.app.live import kafka_bus
    from broker_plugin.records import schemas
    from broker_plugin.runner.bus import read_topic

    bus = kafka_bus(config)
    wanted = [where, f"{where}.{name}"]
    counts = bus.partition_counts(wanted)
    topic = next((topic for topic in wanted if counts[topic] is not None), None)
    if topic is None:
        msg = (
            f"{where} is no file or folder here, and {bus.address} has no topic {' or '.join(wanted)}: "
            "mend the name, or name the cluster with --config"
        )
        raise TopicError(msg)
    kind = KINDS["novelties" if topic.endswith("novelties") else "classifications"]
    for message in read_topic(bus, topic):
        try:
            yield schemas.decode(kind, message.value or b"")
        except ValueError as error:
            place = f"{message.topic}/{message.partition}/{message.offset}"
            click.echo(f"broker-plugin: {place} is skipped: {error}", err=True)
