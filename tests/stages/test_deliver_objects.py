"""Deliver from whole objects: remembered by object, whatever bands it has this time."""

from __future__ import annotations

import json

from broker_plugin.filters import FilterSpec, build_filter
from broker_plugin.outputs import JsonFormat
from broker_plugin.records.object_annotation import ObjectAnnotation, encode_object
from broker_plugin.runner.protocols import Message
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import MemoryStore
from broker_plugin.stages.deliver import DeliverStage, Route
from tests.annotate.objects import combined, of_band, shares, withdrawn

NEWS = build_filter("news", FilterSpec(new_or_changed=True))
RR = build_filter("rr", FilterSpec(classes=("RRAB",)))
NOVEL = build_filter("novel", FilterSpec(novel=True))


def sent(filters, *annotations: ObjectAnnotation) -> tuple[list[tuple[int, bool, bool]], list[bytes]]:
    """Return revision, mark and withdrawal of what is sent, one batch each, and the keys of the memory."""
    stage = DeliverStage("t", "objects", [Route("a", "t.a", filters, JsonFormat())])
    memory = BatchState(CommittedState({0: MemoryStore()}))
    found = []
    for offset, annotation in enumerate(annotations):
        message = Message("t.objects", 0, offset, b"ztf/ZTF18abcdefg", encode_object(annotation, 0))
        for output in stage.step([message], memory).outputs:
            assert output.topic == "t.a", output
            record = json.loads(output.value or b"")
            found.append((record["revision"], "filter_outcome" in record, record["withdrawn"]))
    return found, sorted(key for key, _ in memory.scan(0, b""))


def test_names_that_the_runner_needs() -> None:
    """A group and a changelog of its own."""
    stage = DeliverStage("t", "objects", [])
    assert (stage.name, stage.input_topics) == ("deliver-objects", ("t.objects",))
    assert stage.changelog_topic == "t.deliver-objects-changelog"


def test_a_band_that_joins_is_no_other_object() -> None:
    """News is told once by object: the same verdict from more bands is none, another class is."""
    one = combined(of_band("g"))
    two = combined(of_band("r"), held=one)
    other = combined(
        of_band("g", 2, probabilities=shares("ECL", 0.95)),
        of_band("r", 2, probabilities=shares("ECL", 0.95)),
        held=two,
    )
    found, keys = sent((NEWS,), one, two, other)
    assert [revision for revision, *_ in found] == [1, other.revision]
    assert keys == [b"given/a/ztf/ZTF18abcdefg"]


def test_a_novelty_that_is_none_any_more_is_news() -> None:
    """An object has no energy by which a margin could be measured: its verdict alone counts."""
    usual = combined(of_band("g", p_value=0.5))
    strange = combined(of_band("g", 2, p_value=0.001), held=usual)
    again = combined(of_band("g", 3, p_value=0.5), held=strange)
    assert [usual.novel, strange.novel, again.novel] == [False, True, False]
    assert [revision for revision, *_ in sent((NEWS,), usual, strange, again)[0]] == [1, 2, 3]


def test_follow_up_and_withdrawal() -> None:
    """Told once that it is no match any more; a withdrawal goes to whoever was sent something."""
    strange = combined(of_band("g", p_value=0.001))
    usual = combined(of_band("g", 2, p_value=0.5), held=strange)
    still = combined(of_band("r", p_value=0.5), held=usual)
    assert sent((NOVEL,), strange, usual, still)[0] == [(1, False, False), (2, True, False)]
    gone = combined(withdrawn(of_band("g")), held=strange)
    assert sent((NOVEL,), strange, gone)[0] == [(1, False, False), (2, False, True)]
    assert sent((NOVEL,), combined(of_band("g", p_value=0.5)), gone)[0] == []


def test_bytes_that_are_no_object_become_a_dead_letter() -> None:
    """Under the stage's own name, by which it is redriven."""
    stage = DeliverStage("t", "objects", [Route("a", "t.a", (RR,), JsonFormat())])
    memory = BatchState(CommittedState({0: MemoryStore()}))
    (output,) = stage.step([Message("t.objects", 0, 0, b"k", b"damaged")], memory).outputs
    assert output.topic == "t.dead-letters"
