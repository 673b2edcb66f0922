"""Dead letters are tried again once each, and purged when asked."""

from __future__ import annotations

from collections import Counter

import pytest

from broker_plugin.errors import AbortableTransactionError, FencedError
from broker_plugin.records.codec import (
    decode_dead_letter,
    decode_photometry,
    encode_dead_letter,
)
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.bus import TopicSpec, read_topic
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.protocols import Message, Output, Partition
from broker_plugin.runner.topics import create_missing, plan_topics
from tests.cli.conftest import Call
from tests.shared import shared_path
from tests.stages.test_accumulate import photometry

PHOTOMETRY = photometry("ZTF18aaaaaaa", [1, 2, 3], 1)


def letter(
    offset: int, stage: str = "accumulate", reason: str = "undecodable_photometry", **more
) -> DeadLetter:
    fields = {
        "detail": "x",
        "topic": "variables.photometry",
        "partition": 0,
        "timestamp_ms": 1_767_225_600_000,
        "key": b"ztf/ZTF18aaaaaaa",
        "value": PHOTOMETRY,
        "headers": (("h", b"%d" % offset),),
    }
    return DeadLetter(stage=stage, reason=reason, offset=offset, **(fields | more))


def packet() -> bytes:
    return next(iter(sorted(shared_path("alerts/ztf").rglob("*.avro")))).read_bytes()


@pytest.fixture
def installed(bus: MemoryBus) -> MemoryBus:
    """Return an installation with all its topics and nothing in them."""
    create_missing(bus, [TopicSpec("variables.alerts", 2), *plan_topics("variables", 2)])
    return bus


def put_aside(bus: MemoryBus, *letters: DeadLetter) -> None:
    producer = bus.producer()
    for each in letters:
        producer.send(Output("variables.dead-letters", each.key, encode_dead_letter(each)))


def topic(bus: MemoryBus, name: str) -> list[Message]:
    return list(read_topic(bus, f"variables.{name}"))


def test_letters_of_accumulate_go_back_as_they_were(call: Call, installed: MemoryBus) -> None:
    """Key, bytes and headers return to the photometry; a second redrive finds nothing to do."""
    put_aside(installed, letter(1), letter(2))

    first = call("dead-letters", "redrive")
    second = call("dead-letters", "redrive")

    assert "2  re-driven  accumulate: undecodable_photometry" in first.stdout
    assert "2 were re-driven before" in second.stdout
    assert "nothing was re-driven" in second.stdout
    found = topic(installed, "photometry")
    assert [(m.key, m.value, m.headers) for m in found] == [
        (b"ztf/ZTF18aaaaaaa", PHOTOMETRY, (("h", b"%d" % n),)) for n in (1, 2)
    ]


def test_letters_of_ingest_go_through_ingest(call: Call, installed: MemoryBus) -> None:
    """A real packet leads to photometry; garbage is put aside anew, with the place where it was read first.

    The survey's topic may be in a cluster where we cannot write, so nothing is written there.
    """
    put_aside(
        installed,
        letter(7, "ingest", "unknown_schema", topic="survey", key=None, value=packet()),
        letter(8, "ingest", "unknown_schema", topic="survey", key=None, value=b"garbage"),
    )

    result = call("dead-letters", "redrive")

    assert result.exit_code == 0
    assert "2  re-driven  ingest: unknown_schema" in result.stdout
    assert "1  put aside again  ingest: " in result.stdout
    (record,) = topic(installed, "photometry")
    assert decode_photometry(record.value).survey == "ztf"
    *_, anew = [decode_dead_letter(m.value) for m in topic(installed, "dead-letters")]
    assert (anew.topic, anew.offset, anew.value) == ("survey", 8, b"garbage")
    assert topic(installed, "alerts") == []


def test_what_failed_again_is_tried_by_the_next_redrive(call: Call, installed: MemoryBus) -> None:
    """Each redrive tries the letter that the one before has left, once, and ends."""
    put_aside(installed, letter(8, "ingest", "malformed", key=None, value=b"garbage"))
    for n in range(1, 4):
        result = call("dead-letters", "redrive")
        assert "1  re-driven  ingest" in result.stdout
        assert len(topic(installed, "dead-letters")) == n + 1


def test_a_packet_that_was_read_twice_goes_through_once(call: Call, installed: MemoryBus) -> None:
    """A foreign source is read at least once, so a record may have been put aside twice."""
    twice = letter(7, "ingest", "unknown_schema", topic="survey", value=packet())
    put_aside(installed, twice, twice)
    call("dead-letters", "redrive")
    assert len(topic(installed, "photometry")) == 1
    assert "nothing was re-driven" in call("dead-letters", "redrive").stdout


def test_only_what_was_asked_for(call: Call, installed: MemoryBus) -> None:
    """By reason and by stage; the others stay pending, and --again repeats."""
    put_aside(installed, letter(1, reason="a"), letter(2, reason="b"), letter(3, reason="c"))

    call("dead-letters", "redrive", "--reason", "b")
    assert [m.headers[0][1] for m in topic(installed, "photometry")] == [b"2"]
    assert "nothing" in call("dead-letters", "redrive", "--stage", "ingest").stdout
    call("dead-letters", "redrive", "--reason", "a", "--reason", "b")
    assert [m.headers[0][1] for m in topic(installed, "photometry")] == [b"2", b"1"]
    call("dead-letters", "redrive", "--again", "--reason", "a")
    assert [m.headers[0][1] for m in topic(installed, "photometry")] == [b"2", b"1", b"1"]
    call("dead-letters", "redrive")
    assert [m.headers[0][1] for m in topic(installed, "photometry")] == [b"2", b"1", b"1", b"3"]


def test_letters_that_cannot_be_tried_are_named(call: Call, installed: MemoryBus) -> None:
    """A cut record, a stage of another version, another installation's topic: left alone, with why."""
    put_aside(
        installed,
        letter(1, detail="too large (value cut to the first 10 of 900 bytes)"),
        letter(2, stage="enrich"),
        letter(3, topic="other.photometry"),
    )
    result = call("dead-letters", "redrive")
    assert "1  left alone  accumulate: the letter does not hold the whole record" in result.stdout
    assert "1  left alone  enrich: there is no such stage" in result.stdout
    assert "1  left alone  accumulate: came from other.photometry" in result.stdout
    assert topic(installed, "photometry") == []


@pytest.mark.parametrize("operation", ["send", "commit"])
def test_a_batch_that_fails_leaves_nothing(
    call: Call, installed: MemoryBus, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    """Kafka refuses in the middle; started again, everything goes through once."""
    monkeypatch.setenv("BROKER_PLUGIN_RUNNER__BATCH_RECORDS", "2")
    put_aside(installed, *(letter(n) for n in range(5)))
    installed.fail_next(operation, AbortableTransactionError("no"))

    assert call("dead-letters", "redrive").exit_code == 1
    assert topic(installed, "photometry") == []
    assert call("dead-letters", "redrive").exit_code == 0
    assert Counter(m.headers[0][1] for m in topic(installed, "photometry")) == Counter(
        b"%d" % n for n in range(5)
    )


def test_a_second_redrive_fences_the_first(call: Call, installed: MemoryBus) -> None:
    """Exit code 8, and what was committed stays."""
    put_aside(installed, letter(1))
    installed.fail_next("begin", FencedError("epoch"))
    result = call("dead-letters", "redrive")
    assert result.exit_code == 8
    assert "another redrive or purge has taken over" in result.stderr


def test_purge_asks_and_deletes(call: Call, installed: MemoryBus) -> None:
    """No answer, no deletion; --yes deletes letters and marks; new letters are seen as new."""
    put_aside(installed, letter(1), letter(2, reason="b"))
    call("dead-letters", "redrive", "--reason", "b")

    refused = call("dead-letters", "purge")
    assert refused.exit_code == 1
    assert "Delete 2 dead letters, 1 of them never re-driven?" in refused.stdout
    assert len(topic(installed, "dead-letters")) == 2

    assert "deleted 2 dead letters" in call("dead-letters", "purge", "--yes").stdout
    assert topic(installed, "dead-letters") == []
    assert [m.value is None for m in topic(installed, "redriven")] == [False, True]
    assert "there are no dead letters" in call("dead-letters", "purge").stdout
    put_aside(installed, letter(3))
    assert "1  re-driven" in call("dead-letters", "redrive").stdout


def test_purge_leaves_what_came_after_the_question(installed: MemoryBus) -> None:
    """Only what was counted is deleted, not a letter that arrives meanwhile."""
    from broker_plugin.app.redrive import Redrive
    from broker_plugin.runner.settings import RunnerSettings

    put_aside(installed, letter(1))
    redrive = Redrive(installed, RunnerSettings("variables"), lambda name: {}[name])
    plan = redrive.plan_purge()
    put_aside(installed, letter(2))
    redrive.purge(plan)
    assert [decode_dead_letter(m.value).offset for m in topic(installed, "dead-letters")] == [2]
    assert installed.offsets(Partition("variables.dead-letters", 0)) == (1, 2)


@pytest.mark.parametrize("verb", ["redrive", "purge"])
def test_no_topics(call: Call, bus: MemoryBus, verb: str) -> None:
    """Exit code 5, and the command that makes them."""
    result = call("dead-letters", verb)
    assert result.exit_code == 5
    assert "topics create" in result.stderr
