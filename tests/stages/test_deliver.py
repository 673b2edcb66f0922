"""One annotation in, each output's record out, in one result."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.filters import Filter, FilterSpec, build_filter
from broker_plugin.filters.spec import Range
from broker_plugin.outputs import ElasticcFormat, JsonFormat, LasairFormat, Translated, shipped_taxonomy
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import decode_dead_letter, encode_classification
from broker_plugin.runner.protocols import Message, StepResult
from broker_plugin.runner.state import BatchState, CommittedState
from broker_plugin.runner.store import MemoryStore
from broker_plugin.stages.deliver import DeliverStage, Route
from broker_plugin.stages.timing import CONSUMED_AT
from tests.filters.examples import annotation

RR = build_filter("rr", FilterSpec(classes=("RRAB", "RRCD")))
SHORT = build_filter("short", FilterSpec(period_days=Range(max=1)))
NEWS = build_filter("news", FilterSpec(new_or_changed=True))


def message(a: Annotation, offset: int = 0, **changes: Any) -> Message:
    value = encode_classification(a, 1_700_000_000_000)
    key = f"{a.survey}/{a.object_id}".encode()
    return Message("t.classifications", 0, offset, key, value)._replace(**changes)


def state() -> BatchState:
    return BatchState(CommittedState({0: MemoryStore()}))


def deliver(routes: list[Route], *messages: Message) -> StepResult:
    return DeliverStage("t", "classifications", routes).step(messages, state())


def json_route(output: str, *filters: Filter) -> Route:
    return Route(output, f"t.{output}", filters, JsonFormat())


def counts(result: StepResult) -> dict[str, int]:
    found: Counter[str] = Counter()
    for observation in result.observations:
        if observation.name == "outputs_total":
            found[f"{observation.labels['output']} {observation.labels['outcome']}"] += round(
                observation.value
            )
    return dict(found)


def test_names_that_the_runner_needs() -> None:
    """A stage of its own for each source: a group, a changelog with as many partitions as the input."""
    stage = DeliverStage("t", "novelties", [json_route("a")])
    assert (stage.name, stage.input_topics) == ("deliver-novelties", ("t.novelties",))
    assert stage.changelog_topic == "t.deliver-novelties-changelog"
    assert set(stage.output_topics) == {"t.a", "t.dead-letters"}


def test_every_output_gets_its_own_record_under_the_same_key() -> None:
    """An output without filters gets everything; filters of an output are alternatives."""
    lasair = Route("lasair", "anno_x", (RR,), LasairFormat("x"))
    desc = Route("desc", "t.desc", (), ElasticcFormat(shipped_taxonomy(), "b"))
    either = json_route("either", RR, SHORT)
    eclipsing = annotation(probabilities={"ECL": 1.0}, object_id="ZTF2")
    result = deliver([lasair, desc, either], message(annotation()), message(eclipsing, 1))
    assert [(output.topic, output.key) for output in result.outputs] == [
        ("anno_x", b"ztf/ZTF18abcdefg"),
        ("t.desc", b"ztf/ZTF18abcdefg"),
        ("t.either", b"ztf/ZTF18abcdefg"),
        ("t.desc", b"ztf/ZTF2"),
        ("t.either", b"ztf/ZTF2"),
    ]
    assert counts(result) == {"lasair sent": 1, "lasair filtered": 1, "desc sent": 2, "either sent": 2}


def test_what_an_annotation_lacks_is_counted_apart() -> None:
    """No significant period: the clause about periods never passes, and the operator sees why."""
    result = deliver([json_route("a", SHORT)], message(annotation(period_days=None)))
    assert result.outputs == []
    assert counts(result) == {"a missing": 1}


def test_news_is_remembered_in_the_state_by_output_object_and_band() -> None:
    """The same verdict once; another band, and a change, again; another output for itself."""
    stage = DeliverStage("t", "classifications", [json_route("a", NEWS), json_route("b", NEWS)])
    memory = state()
    stars = [
        annotation(),
        annotation(energy=3.0),
        annotation(band="g"),
        annotation(novel=True, energy=20.0),
        annotation(novel=True, energy=20.0),
    ]
    sent = [[o.topic for o in stage.step([message(star)], memory).outputs] for star in stars]
    assert sent == [["t.a", "t.b"], [], ["t.a", "t.b"], ["t.a", "t.b"], []]
    keys = sorted(key for key, _ in memory.scan(0, b""))
    assert keys == [
        b"given/a/ztf/ZTF18abcdefg/g",
        b"given/a/ztf/ZTF18abcdefg/r",
        b"given/b/ztf/ZTF18abcdefg/g",
        b"given/b/ztf/ZTF18abcdefg/r",
    ]


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.sampled_from([0.5, 0.502, 0.7])), max_size=12)
)
def test_outcome_does_not_depend_on_batches(verdicts) -> None:
    """All in one batch, or one by one; and again after an abort, with the same result."""
    stars = [annotation(object_id=o, novel=n, period_days=p) for o, n, p in verdicts]
    messages = [message(star, i) for i, star in enumerate(stars)]
    stage = DeliverStage("t", "classifications", [json_route("a", NEWS)])
    together, again, single = state(), state(), state()
    whole = stage.step(messages, together).outputs
    assert stage.step(messages, again).outputs == whole
    assert [o for m in messages for o in stage.step([m], single).outputs] == whole
    assert list(single.scan(0, b"")) == list(together.scan(0, b""))


def test_bytes_that_are_no_annotation_become_one_dead_letter() -> None:
    """However many outputs there are."""
    result = deliver([json_route("a"), json_route("b")], message(annotation(), value=b"damaged"))
    (output,) = result.outputs
    letter = decode_dead_letter(output.value or b"")
    assert (output.topic, letter.stage, letter.reason) == (
        "t.dead-letters",
        "deliver",
        "undecodable_annotation",
    )


class _Refusing:
    def translate(self, publication: object) -> Translated:
        msg = "it is too long"
        raise ValueError(msg)


def test_what_one_format_cannot_say_costs_that_output_only() -> None:
    """A dead letter names the output; the others get theirs; what was not said stays news."""
    memory = state()
    routes = [Route("bad", "t.bad", (NEWS,), _Refusing()), json_route("good")]
    result = DeliverStage("t", "classifications", routes).step([message(annotation())], memory)
    letter, good = result.outputs
    assert "output bad: it is too long" in decode_dead_letter(letter.value or b"").detail
    assert good.topic == "t.good"
    again = DeliverStage("t", "classifications", routes).step([message(annotation())], memory)
    assert counts(again) == {"bad untranslatable": 1, "good sent": 1}
    assert counts(result) == {"bad untranslatable": 1, "good sent": 1}


@pytest.mark.parametrize(("header", "expected"), [(b"1700000000123", 1_700_000_000_123), (b"soon", None)])
def test_time_of_ingest_travels_in_a_header(header, expected) -> None:
    """DESC wants to know when the broker read the alert."""
    seen = []

    class Recording:
        def translate(self, publication: Any) -> Translated:
            seen.append(publication.consumed_at_ms)
            return Translated(b"")

    headers = ((CONSUMED_AT, header),)
    deliver([Route("a", "t.a", (), Recording())], message(annotation(), headers=headers))
    assert seen == [expected]


def test_json_is_what_subscribe_prints() -> None:
    """One JSON, documented once."""
    (output,) = deliver([json_route("a")], message(annotation())).outputs
    record = json.loads(output.value or b"")
    assert record["class"] == "RRAB"
    assert record["annotation_id"] == annotation().annotation_id
