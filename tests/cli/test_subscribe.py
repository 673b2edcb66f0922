"""Annotations for people and machines, from files and from a topic."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from broker_plugin.cli.following import follow
from broker_plugin.records.codec import encode_classification, encode_novelty
from broker_plugin.records.object_annotation import encode_object
from broker_plugin.runner.bus import NotYetError, TopicSpec
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Output, Partition
from tests.cli.conftest import Call
from tests.records.examples import ANNOTATION, NOVELTY, OBJECT


def fill(bus: MemoryBus, topic: str, values: list[bytes]) -> None:
    producer = bus.producer()
    for number, value in enumerate(values):
        producer.send(Output(topic, str(number).encode(), value))
    producer.flush()
    producer.close()


@pytest.mark.parametrize("name", ["classifications", "novelties"])
def test_file_for_people(call: Call, results: Path, name: str) -> None:
    """One line: object, class, energy, p-value if there is one, period or its absence."""
    result = call("subscribe", "--file", results / f"{name}.avro")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    for part in ("NOVEL", "ztf ZTF18abcdefg r", "ECL   75%", "energy 12.50", "no significant period"):
        assert part in line


def test_file_for_machines(call: Call, results: Path) -> None:
    """All fields; 64-bit ids are strings, because a JSON number would lose their last digits."""
    result = call("subscribe", "--file", results / "novelties.avro", "--json")
    record = json.loads(result.stdout)
    assert record["alert_id"] == NOVELTY.annotation.alert_id
    assert record["class"] == "ECL"
    assert len(record["reconstruction_mag"]) == 2


def test_plots(call: Call, results: Path, tmp_path: Path) -> None:
    """A PNG for each novelty, named after the object; its path on stderr, not among the records."""
    result = call("subscribe", "--file", results / "novelties.avro", "--plot", tmp_path / "plots")
    assert result.exit_code == 0
    (picture,) = (tmp_path / "plots").iterdir()
    assert picture.name.startswith("ztf_ZTF18abcdefg_r_")
    assert str(picture) in result.stderr
    assert str(picture) not in result.stdout


@pytest.mark.parametrize("content", [b"", b"no Avro", b"Obj\x01 damaged"])
def test_file_that_is_something_else(call: Call, tmp_path: Path, content: bytes) -> None:
    """Exit code 7, the file named."""
    path = tmp_path / "x.avro"
    path.write_bytes(content)
    result = call("subscribe", "--file", path)
    assert result.exit_code == 7
    assert str(path) in result.stderr


def test_file_of_another_kind(call: Call, results: Path) -> None:
    """Dead letters are not annotations."""
    result = call("subscribe", "--file", results / "dead-letters.avro")
    assert result.exit_code == 7
    assert "expected one of classification, novelty" in result.stderr


def test_topic_that_does_not_exist(call: Call, bus: MemoryBus) -> None:
    """Exit code 5 and the cure."""
    result = call("subscribe", "--until-end")
    assert result.exit_code == 5
    assert "topic variables.novelties does not exist" in result.stderr


def test_topic_from_the_beginning(call: Call, bus: MemoryBus) -> None:
    """Everything that is there, damaged records named and passed over, then the end."""
    bus.create_topics([TopicSpec("variables.novelties", 3)])
    fill(bus, "variables.novelties", [encode_novelty(NOVELTY, 0), b"damaged", encode_novelty(NOVELTY, 0)])
    result = call("subscribe", "--from-beginning", "--until-end")
    assert result.exit_code == 0
    assert result.stdout.count("ZTF18abcdefg") == 2
    assert "is skipped" in result.stderr


def test_topic_with_maximum(call: Call, bus: MemoryBus) -> None:
    """--max ends it although more is there."""
    bus.create_topics([TopicSpec("variables.classifications", 1)])
    fill(bus, "variables.classifications", [encode_classification(ANNOTATION, n) for n in range(5)])
    result = call("subscribe", "--topic", "classifications", "--from-beginning", "--max", "3", "--json")
    assert len(result.stdout.splitlines()) == 3


class Asked(MemoryBus):
    """Tells when a reader has asked for the ends of a topic: what is written from then on comes next."""

    def __init__(self, partitions: int) -> None:
        super().__init__()
        self.left = partitions
        self.all_asked = threading.Event()

    def offsets(self, partition: Partition) -> tuple[int, int]:
        found = super().offsets(partition)
        self.left -= 1
        if self.left == 0:
            self.all_asked.set()
        return found


def test_only_what_comes_next() -> None:
    """Without from_beginning, records that were there before are not shown, those that come are."""
    bus = Asked(partitions=2)
    bus.create_topics([TopicSpec("t", 2)])
    fill(bus, "t", [b"old"] * 10)
    messages = follow(bus, "t")

    def write() -> None:
        assert bus.all_asked.wait(60)
        fill(bus, "t", [b"new"] * 4)

    writer = threading.Thread(target=write)
    writer.start()
    assert [message.value for message in islice(messages, 4)] == [b"new"] * 4
    messages.close()
    writer.join()
    assert list(follow(bus, "t", stop_at_end=True)) == []


def test_group_continues_where_it_stopped() -> None:
    """The second subscriber of a group gets what the first has not."""
    bus = MemoryBus()
    bus.create_topics([TopicSpec("t", 2)])
    fill(bus, "t", [b"1"] * 6)
    assert len(list(follow(bus, "t", from_beginning=True, group="g", stop_at_end=True))) == 6
    fill(bus, "t", [b"2"] * 4)
    assert [m.value for m in follow(bus, "t", from_beginning=True, group="g", stop_at_end=True)] == [b"2"] * 4


def test_group_whose_offsets_are_late() -> None:
    """A busy broker does not tell at once where the group stands: it is asked again, nothing comes twice."""
    bus = MemoryBus()
    bus.create_topics([TopicSpec("t", 2)])
    fill(bus, "t", [b"1"] * 6)
    assert len(list(follow(bus, "t", from_beginning=True, group="g", stop_at_end=True))) == 6
    fill(bus, "t", [b"2"] * 4)
    bus.fail_next("committed", NotYetError("no answer in time"), times=2)
    assert [m.value for m in follow(bus, "t", from_beginning=True, group="g", stop_at_end=True)] == [b"2"] * 4


def test_aborted_records_are_not_shown() -> None:
    """A transaction that was aborted never happened."""
    bus = MemoryBus()
    bus.create_topics([TopicSpec("t", 1)])
    producer = bus.producer("id")
    producer.init_transactions()
    for value, commit in ((b"yes", True), (b"no", False), (b"also", True)):
        producer.begin()
        producer.send(Output("t", None, value))
        producer.commit() if commit else producer.abort()
    values = [m.value for m in follow(bus, "t", from_beginning=True, stop_at_end=True)]
    assert values == [b"yes", b"also"]


def test_objects_for_people_and_machines(call: Call, tmp_path: Path) -> None:
    """One line an object, the bands in brackets; filters judge it; JSON has all fields."""
    path = tmp_path / "objects.avro"
    path.write_bytes(encode_object(OBJECT, 1_767_225_600_000))
    (line,) = call("subscribe", "--file", path).stdout.splitlines()
    for part in (
        "NOVEL",
        "ztf ZTF18abcdefg",
        "ECL   75% (r ECL)",
        "p 0.031",
        "known as V1 (EA)",
        "revision 3",
    ):
        assert part in line
    assert call("subscribe", "--file", path, "--filter", "class=RRAB").stdout == ""
    found = call("subscribe", "--file", path, "--json", "--filter", "class=ECL flags=one_band")
    assert json.loads(found.stdout)["bands"][0]["band"] == "r"


def test_an_object_that_is_taken_back(call: Call, tmp_path: Path) -> None:
    """Nothing is left to say of it but that."""
    gone = replace(OBJECT, bands=(), probabilities={}, predicted_class="", withdrawn=True, novel=False)
    path = tmp_path / "objects.avro"
    path.write_bytes(encode_object(gone, 1_767_225_600_000))
    (line,) = call("subscribe", "--file", path).stdout.splitlines()
    assert line.startswith("WITHDRAWN  ztf ZTF18abcdefg")
