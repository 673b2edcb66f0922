"""What was put aside can be listed, looked at and saved."""

from __future__ import annotations

import json
from pathlib import Path

from broker_plugin.records.codec import encode_dead_letter
from broker_plugin.runner.bus import TopicSpec
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output
from tests.cli.conftest import Call
from tests.records.examples import DEAD_LETTER

PLACE = "ztf_20260101_programid1/3/1099511627776"


def test_list(call: Call, results: Path) -> None:
    """Place, stage, reason, detail in one line; JSON without the bytes."""
    file = results / "dead-letters.avro"
    result = call("dead-letters", "list", "--file", file)
    assert result.stdout == f"{PLACE}  ingest  wrong_framing  bytes start with 00112233\n"
    record = json.loads(call("dead-letters", "list", "--file", file, "--json").stdout)
    assert record["reason"] == "wrong_framing"
    assert "value" not in record
    assert call("dead-letters", "list", "--file", file, "--reason", "other").stdout == ""


def test_show_and_save(call: Call, results: Path, tmp_path: Path) -> None:
    """The bytes that are saved are those that were read."""
    file = results / "dead-letters.avro"
    shown = call("dead-letters", "show", PLACE, "--file", file)
    assert shown.exit_code == 0
    assert "256 bytes" in shown.stdout
    assert "0010  10 11 12" in shown.stdout
    saved = tmp_path / "packet"
    assert call("dead-letters", "show", PLACE, "--file", file, "--save", saved).exit_code == 0
    assert saved.read_bytes() == DEAD_LETTER.value


def test_show_of_an_unknown_place(call: Call, results: Path) -> None:
    """Exit code 7, and where the places are listed."""
    result = call("dead-letters", "show", "a/0/0", "--file", results / "dead-letters.avro")
    assert result.exit_code == 7
    assert "no dead letter from a/0/0" in result.stderr


def test_from_the_topic(call: Call, bus: MemoryBus) -> None:
    """The same from Kafka."""
    bus.create_topics([TopicSpec("variables.dead-letters", 1)])
    producer = bus.producer()
    producer.send(Output("variables.dead-letters", None, encode_dead_letter(DEAD_LETTER)))
    producer.flush()
    assert call("dead-letters", "list").stdout.startswith(PLACE)
