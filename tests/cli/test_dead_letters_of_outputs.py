"""Dead letters of outputs are tried again for whoever had not got the record."""

from __future__ import annotations

import json

import pytest

from broker_plugin.app.live import wanted_topics
from broker_plugin.config import load_config
from broker_plugin.records.codec import decode_dead_letter, encode_classification
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.runner.memory import MemoryBus
from broker_plugin.runner.topics import create_missing
from tests.cli.conftest import Call
from tests.cli.test_dead_letters_redrive import letter, put_aside, topic
from tests.records.examples import ANNOTATION

OUTPUTS = {
    "BROKER_PLUGIN_FILTERS__NEWS__NEW_OR_CHANGED": "true",
    "BROKER_PLUGIN_OUTPUTS__TEAM__FORMAT": "json",
    "BROKER_PLUGIN_OUTPUTS__TEAM__FILTERS": "news",
    "BROKER_PLUGIN_OUTPUTS__ARCHIVE__FORMAT": "avro",
    "BROKER_PLUGIN_OUTPUTS__AWAY__FORMAT": "json",
    "BROKER_PLUGIN_OUTPUTS__AWAY__TARGET__BOOTSTRAP": "elsewhere.example.org:9092",
}


@pytest.fixture
def delivering(bus: MemoryBus, monkeypatch: pytest.MonkeyPatch) -> MemoryBus:
    """Return an installation with outputs, one of which leaves the cluster."""
    for name, value in OUTPUTS.items():
        monkeypatch.setenv(name, value)
    create_missing(bus, wanted_topics(load_config(None, OUTPUTS)))
    return bus


def delivered(offset: int, reason: str, detail: str, value: bytes) -> DeadLetter:
    return letter(offset, "deliver", reason, detail=detail, topic="variables.classifications", value=value)


def test_letters_of_deliver_reach_the_output_that_had_failed(call: Call, delivering: MemoryBus) -> None:
    """An untranslatable one its own output, an undecodable one every output; nobody reads anything twice."""
    good = encode_classification(ANNOTATION, 0)
    put_aside(
        delivering,
        delivered(1, "untranslatable", "output team: a value of the past", good),
        delivered(2, "undecodable_annotation", "a field of the future", good),
    )
    result = call("dead-letters", "redrive", "--stage", "deliver")
    assert result.exit_code == 0
    assert "1  re-driven  deliver: untranslatable" in result.stdout
    assert [m.key for m in topic(delivering, "output.team")] == [b"ztf/ZTF18aaaaaaa"] * 2
    assert len(topic(delivering, "output.archive")) == 1
    assert topic(delivering, "classifications") == []
    assert topic(delivering, "deliver-changelog") == []
    assert "nothing was re-driven" in call("dead-letters", "redrive").stdout


def test_a_letter_about_what_does_not_pass_any_more(
    call: Call, delivering: MemoryBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reader alone is told, with the mark, although the memory of the match is not here."""
    monkeypatch.setenv("BROKER_PLUGIN_FILTERS__NEWS__CLASSES", "RRAB")
    put_aside(
        delivering,
        delivered(1, "untranslatable", "output team (follow-up): x", encode_classification(ANNOTATION, 0)),
    )
    assert call("dead-letters", "redrive", "--stage", "deliver").exit_code == 0
    (told,) = topic(delivering, "output.team")
    assert json.loads(told.value or b"")["filter_outcome"] == "no_longer_passes"
    assert told.headers == (("filter-outcome", b"no_longer_passes"),)
    assert topic(delivering, "output.archive") == []


def test_what_deliver_still_cannot_use(call: Call, delivering: MemoryBus) -> None:
    """It is put aside anew, with its place; a letter of an output that is gone is left alone."""
    put_aside(
        delivering,
        delivered(1, "undecodable_annotation", "x", b"no annotation"),
        delivered(2, "untranslatable", "output gone: x", encode_classification(ANNOTATION, 0)),
    )
    result = call("dead-letters", "redrive")
    assert "1  put aside again  deliver: undecodable_annotation" in result.stdout
    assert "1  left alone  deliver: there is no such output any more" in result.stdout
    *_, anew = [decode_dead_letter(m.value) for m in topic(delivering, "dead-letters")]
    assert (anew.topic, anew.offset) == ("variables.classifications", 1)
    assert topic(delivering, "output.archive") == []


def test_letters_of_a_forwarder_wait_for_it_again(call: Call, delivering: MemoryBus) -> None:
    """What a consumer elsewhere had refused goes back to the output's topic, which its forwarder reads."""
    refused = letter(5, "forward-away", "refused_by_consumer", topic="variables.output.away", value=b"{}")
    foreign = letter(6, "forward-away", "refused_by_consumer", topic="variables.photometry", value=b"{}")
    put_aside(delivering, refused, foreign)
    result = call("dead-letters", "redrive", "--stage", "forward-away")
    assert "1  re-driven  forward-away: refused_by_consumer" in result.stdout
    assert "1  left alone  forward-away: came from variables.photometry" in result.stdout
    assert [(m.value, m.headers) for m in topic(delivering, "output.away")] == [(b"{}", (("h", b"5"),))]
    assert topic(delivering, "photometry") == []


def test_a_stage_that_there_is_not(call: Call, delivering: MemoryBus) -> None:
    """Exit code 2 and those that there are."""
    result = call("dead-letters", "redrive", "--stage", "deliver-novelties")
    assert result.exit_code == 2
    assert "deliver, forward-away" in result.output
