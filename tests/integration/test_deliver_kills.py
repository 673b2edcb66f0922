"""SIGKILL to `deliver` on a real Kafka: each output once, the memory of what was given as if undisturbed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from broker_plugin.app import live
from broker_plugin.app.delivery import build_deliver_stages
from broker_plugin.config import Config, load_config
from broker_plugin.records import schemas
from broker_plugin.records.codec import encode_classification
from broker_plugin.runner.bus import Bus, read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from broker_plugin.runner.topics import create_missing
from tests.filters.examples import annotation
from tests.integration.pipeline import run_until_idle
from tests.runner.test_kafka_kills import KILLED
from tests.runner.test_kafka_kills import work as runner_work

pytestmark = pytest.mark.kafka

TEXT = """
prefix = "{prefix}"
[kafka]
bootstrap = "{bootstrap}"
[topics]
partitions = 2
[filters.news]
new_or_changed = true
[filters.eclipsing]
classes = ["ECL"]
[outputs.team]
format = "json"
filters = ["news"]
[outputs.binaries]
format = "json"
filters = ["eclipsing"]
[outputs.all]
format = "avro"
[outputs.desc]
format = "elasticc"
broker_name = "variables"
"""
# Object, what it is taken for, whether it is novel: most say nothing new.
CLASSES = ("RRAB", "RRAB", "ECL", "ECL", "RRAB")
STARS, ROUNDS = 6, 25


def feed(bus: Bus, prefix: str) -> int:
    """Publish what the network said of some stars, again and again, and a record that is none."""
    producer = bus.producer()
    for n in range(ROUNDS):
        for star in range(STARS):
            name = CLASSES[(n + star) % len(CLASSES)]
            said = annotation(
                object_id=f"ZTF18aaaaaa{'abcdef'[star]}",
                probabilities={name: 0.9, "SR": 0.1},
                novel=(n // 7 + star) % 2 == 0,
                window_id=f"{n:032x}",
            )
            producer.send(
                Output(
                    f"{prefix}.classifications",
                    f"ztf/{said.object_id}".encode(),
                    encode_classification(said, 0),
                )
            )
    producer.send(Output(f"{prefix}.classifications", b"ztf/x", b"no annotation"))
    producer.flush()
    producer.close()
    return STARS * ROUNDS


def outputs(bus: Bus, prefix: str) -> dict[str, dict[bytes, list[bytes]]]:
    """Return each output's committed records by key, in their order."""
    found: dict[str, dict[bytes, list[bytes]]] = {}
    for name in ("team", "binaries", "all", "desc"):
        by_key = found.setdefault(name, {})
        for message in read_topic(bus, f"{prefix}.output.{name}"):
            by_key.setdefault(message.key or b"", []).append(message.value or b"")
    return found


def class_of(classification: bytes) -> str:
    return str(schemas.decode("classification", classification)["class"])


def memory(bus: Bus, prefix: str) -> dict[bytes, bytes | None]:
    held = {message.key or b"": message.value for message in read_topic(bus, f"{prefix}.deliver-changelog")}
    return {key: value for key, value in held.items() if key.startswith(b"given/")}


def work(bootstrap: str, config: Path, state: Path, name: str, crash_point: str = "") -> int:
    return runner_work(
        bootstrap, str(config), state, name, crash_point, module="tests.integration.deliver_worker"
    )


@pytest.fixture
def installed(kafka_bus: Bus, kafka_bootstrap: str, prefix: str, tmp_path: Path) -> tuple[Path, Config]:
    path = tmp_path / "c.toml"
    path.write_text(TEXT.format(prefix=prefix, bootstrap=kafka_bootstrap))
    config = load_config(path, {})
    create_missing(kafka_bus, live.wanted_topics(config))
    return path, config


def test_killed_at_every_step_and_restored(
    kafka_bus: Bus, kafka_bootstrap: str, prefix: str, installed: tuple[Path, Config], tmp_path: Path
) -> None:
    """Killed around the commit, its disk wiped, killed while restoring: the topics are those of one run.

    Right after a restore the memory decides about the first record: a forgotten one would be told a second
    time.
    """
    path, config = installed
    fed = feed(kafka_bus, prefix)
    for crash_point in ("after_offsets:2", "after_commit:2"):
        assert work(kafka_bootstrap, path, tmp_path / "a", "a", f"deliver/{crash_point}") == KILLED, (
            crash_point
        )
    shutil.rmtree(tmp_path / "a")
    assert work(kafka_bootstrap, path, tmp_path / "a", "a", "deliver/during_restore") == KILLED
    assert work(kafka_bootstrap, path, tmp_path / "b", "b") == 0  # another worker, with nothing on its disk

    undisturbed = MemoryBus()
    create_missing(undisturbed, live.wanted_topics(config))
    feed(undisturbed, prefix)
    run_until_idle(undisturbed, prefix, list(build_deliver_stages(config)))

    found = outputs(kafka_bus, prefix)
    assert found == outputs(undisturbed, prefix)
    assert memory(kafka_bus, prefix) == memory(undisturbed, prefix)
    records = Counter({name: sum(map(len, by_key.values())) for name, by_key in found.items()})
    assert records["all"] == records["desc"] == fed
    assert STARS < records["team"] < fed / 2
    last = {key: json.loads(told[-1]) for key, told in found["binaries"].items()}
    held_for_binaries = {key for key, told in last.items() if "filter_outcome" not in told}
    assert held_for_binaries == {key for key, told in found["all"].items() if class_of(told[-1]) == "ECL"}
    assert 0 < len(held_for_binaries) < STARS == len(last)
    assert len(list(read_topic(kafka_bus, f"{prefix}.dead-letters"))) == 1
