"""Whoever was given a match learns once that it does not hold any more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.filters import Filter, FilterSpec, build_filter
from broker_plugin.filters.spec import Range
from broker_plugin.outputs import JsonFormat, Publication, Translated
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import decode_dead_letter
from broker_plugin.runner.protocols import Message, Output, StepResult
from broker_plugin.runner.state import BatchState
from broker_plugin.stages.deliver import OUTCOME_HEADER, DeliverStage, Route
from tests.filters.examples import annotation
from tests.stages.test_deliver import counts, message, state

ODD = build_filter("odd", FilterSpec(novel=True, p_value=Range(max=0.01)))
NEWS = build_filter("news", FilterSpec(novel=True, new_or_changed=True))
ECLIPSING = build_filter("eclipsing", FilterSpec(classes=("ECL",)))

MATCH = {"novel": True, "p_value": 0.001, "energy": 30.0}
ORDINARY = {"novel": False, "p_value": 0.4, "probabilities": {"ECL": 1.0}}
TOLD = (OUTCOME_HEADER, b"no_longer_passes")


def chain(*said: dict[str, object], object_id: str = "ZTF1") -> list[Message]:
    """Return the revisions of one object and band as the score stage publishes them."""
    messages = []
    former: Annotation | None = None
    for number, changes in enumerate(said, start=1):
        if changes.get("withdrawn"):
            assert former is not None
            now = replace(former, changes=("withdrawn",), withdrawn=True)
        else:
            now = annotation(
                object_id=object_id, window_id=f"{number:032x}", **{"changes": ("class",), **changes}
            )
        now = replace(now, revision=number, supersedes=former and former.annotation_id)
        messages.append(message(now, number))
        former = now
    return messages


def route(*filters: Filter, follow_up: bool = True, part: str = "") -> Route:
    return Route("a", f"t.a{part}", filters, JsonFormat(), follow_up, part)


def stage(*routes: Route) -> DeliverStage:
    return DeliverStage("t", "classifications", routes)


def told(result: StepResult) -> list[str]:
    """Return what a reader is told, in words: revision, and how it stands."""
    words = []
    for output in result.outputs:
        record = json.loads(output.value or b"")
        marked = "filter_outcome" in record
        assert marked == (TOLD in output.headers)
        state_of_it = "gone" if record["withdrawn"] else "no longer" if marked else "match"
        words.append(f"{record['revision']} {state_of_it}")
    return words


GONE = {"withdrawn": True}


@pytest.mark.parametrize("wanted", [ODD, NEWS], ids=["plain", "news"])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([MATCH, ORDINARY], ["1 match", "2 no longer"]),
        ([MATCH, ORDINARY, ORDINARY], ["1 match", "2 no longer"]),
        ([MATCH, ORDINARY, MATCH, ORDINARY], ["1 match", "2 no longer", "3 match", "4 no longer"]),
        ([ORDINARY, MATCH], ["2 match"]),
        ([ORDINARY, GONE], []),
        ([MATCH, GONE], ["1 match", "2 gone"]),
        ([MATCH, ORDINARY, GONE], ["1 match", "2 no longer", "3 gone"]),
        ([MATCH, GONE, ORDINARY], ["1 match", "2 gone"]),
        ([MATCH, GONE, ORDINARY, GONE], ["1 match", "2 gone"]),
        ([MATCH, GONE, MATCH], ["1 match", "2 gone", "3 match"]),
        ([ORDINARY, GONE, MATCH, GONE], ["3 match", "4 gone"]),
    ],
)
def test_what_a_reader_is_told(wanted, said, expected) -> None:
    """Each change of how the object stands to the filter, once."""
    assert told(stage(route(wanted)).step(chain(*said), state())) == expected


def test_revision_is_whole_and_counted() -> None:
    """It is translated like a match; an operator sees how many there are."""
    result = stage(route(ODD)).step(chain(MATCH, ORDINARY, ORDINARY), state())
    match, revised = (json.loads(output.value or b"") for output in result.outputs)
    assert (revised["class"], revised["supersedes"]) == ("ECL", match["annotation_id"])
    assert set(revised) - set(match) == {"filter_outcome"}
    assert result.outputs[0].headers == ()
    assert counts(result) == {"a sent": 1, "a no_longer_passes": 1, "a filtered": 1}


def test_matches_only() -> None:
    """Revisions that do not pass stay away, withdrawals do not, and news are judged as before."""
    plain = stage(route(ODD, follow_up=False))
    assert told(plain.step(chain(MATCH, ORDINARY, MATCH, ORDINARY, GONE), state())) == [
        "1 match",
        "3 match",
        "5 gone",
    ]
    news = stage(route(NEWS, follow_up=False))
    assert told(news.step(chain(MATCH, ORDINARY, MATCH), state())) == ["1 match"]


def test_without_filters_nothing_is_remembered() -> None:
    """Everything is sent, withdrawals and all, as it came."""
    memory = state()
    result = stage(route()).step(chain(MATCH, ORDINARY, GONE), memory)
    assert told(result) == ["1 match", "2 match", "3 gone"]
    assert list(memory.scan(0, b"")) == []


def test_alternatives_are_one_reader_and_topics_of_filters_are_several() -> None:
    """Another filter of the output lets the revision through; in topics of their own each has its readers."""
    together = stage(route(ODD, ECLIPSING)).step(chain(MATCH, ORDINARY), state())
    assert told(together) == ["1 match", "2 match"]
    memory = state()
    apart = stage(route(ODD, part="odd"), route(ECLIPSING, part="ecl")).step(chain(MATCH, ORDINARY), memory)
    assert told(apart) == ["1 match", "2 no longer", "2 match"]
    assert [key for key, _ in memory.scan(0, b"")] == [b"given/a.ecl/ztf/ZTF1/r", b"given/a.odd/ztf/ZTF1/r"]


def test_what_came_late_neither_revises_nor_is_remembered() -> None:
    """With every window published: the annotation in force stays, and so does what its reader believes."""
    late = {**ORDINARY, "changes": ("late",)}
    assert told(stage(route(ODD)).step(chain(MATCH, late, ORDINARY), state())) == ["1 match", "3 no longer"]
    late_match = {**MATCH, "changes": ("late",)}
    assert told(stage(route(ODD)).step(chain(ORDINARY, late_match, ORDINARY), state())) == ["2 match"]


@pytest.mark.parametrize("wanted", [NEWS, ODD])
def test_memory_of_versions_before(wanted) -> None:
    """By filter, of filters with new_or_changed: read, believed, replaced when there is something to say."""
    (first, same, revised) = chain(MATCH, MATCH, ORDINARY)
    old_key = f"seen/a/{wanted.name}/ztf/ZTF1/r".encode()
    memory = state()
    old = b'{"energy":30.0,"novel":true,"period_days":0.5,"predicted_class":"RRAB","withdrawn":false}'
    memory.put(0, old_key, old)
    deliver = stage(route(wanted))
    if wanted is ODD:  # it had none; what an older version sent is not known
        assert told(deliver.step([revised], memory)) == []
        return
    assert told(deliver.step([first, same], memory)) == []
    assert [key for key, _ in memory.scan(0, b"")] == [old_key]
    assert told(deliver.step([revised], memory)) == ["3 no longer"]
    assert [key for key, _ in memory.scan(0, b"")] == [b"given/a/ztf/ZTF1/r"]


class _Fussy:
    """Plain JSON, but of one revision it cannot say anything."""

    def __init__(self, revision: int) -> None:
        self.refused = revision

    def translate(self, publication: Publication) -> Translated:
        if publication.annotation.revision == self.refused:
            msg = "it has no word for this"
            raise ValueError(msg)
        return JsonFormat().translate(publication)


@pytest.mark.parametrize(
    ("refused", "said", "expected", "redriven"),
    [
        (1, [MATCH, ORDINARY], ["2 no longer"], ["1 match"]),
        (2, [MATCH, ORDINARY], ["1 match"], ["2 no longer"]),
        (2, [MATCH, ORDINARY, ORDINARY], ["1 match", "3 no longer"], ["2 no longer"]),
        (2, [MATCH, GONE], ["1 match"], ["2 gone"]),
        (3, [MATCH, ORDINARY, GONE], ["1 match", "2 no longer"], ["3 gone"]),
    ],
)
@pytest.mark.parametrize("part", ["", "news"])
def test_dead_letters_are_redriven_as_what_they_were(refused, said, expected, redriven, part) -> None:
    """Without the stage's memory, to the one reader that they are owed to; what supersedes them is told."""
    fussy = replace(route(NEWS, part=part), format=_Fussy(refused))
    readers = [fussy, replace(route(NEWS, part="other"), format=_Fussy(0))] if part else [fussy]
    result = stage(*readers).step(chain(*said), state())
    sent = [output for output in result.outputs if output.topic == fussy.topic]
    (letter,) = [decode_dead_letter(o.value or b"") for o in result.outputs if o.topic == "t.dead-letters"]
    assert told(StepResult(sent)) == expected

    mended = stage(*(replace(reader, format=JsonFormat()) for reader in readers)).again(letter.detail)
    assert mended is not None
    late = mended.step([Message("t.classifications", 0, letter.offset, letter.key, letter.value)], state())
    assert told(late) == redriven
    assert {output.topic for output in late.outputs} == {fussy.topic}


def test_letters_of_outputs_that_changed() -> None:
    """Topics of filters that are none any more: the output's own one; an output that is gone: nobody."""
    deliver = stage(route(ODD))
    (match,) = chain(MATCH)
    again = deliver.again("output a.odd: it was too long")
    assert again is not None
    assert told(again.step([match], state())) == ["1 match"]
    assert deliver.again("output b (follow-up): it was too long") is None
    assert deliver.again("bytes that are no annotation") is deliver


# Long ones: what goes wrong only after a star has come, gone and come again is seldom drawn otherwise.
REVISIONS = st.lists(
    st.tuples(st.sampled_from(["ZTF1", "ZTF2"]), st.sampled_from(["match", "ordinary", "vague", "gone"])),
    min_size=8,
    max_size=30,
)
SAID = {"match": MATCH, "ordinary": ORDINARY, "vague": {"novel": True, "p_value": None}, "gone": GONE}


def stream(revisions: Sequence[tuple[str, str]]) -> tuple[list[Message], dict[str, list[str]]]:
    """Return the topic of several objects, and what was said of each in turn."""
    words: dict[str, list[str]] = {}
    order = []
    for star, word in revisions:
        of_star = words.setdefault(star, [])
        if word == "gone" and of_star[-1:] in ([], ["gone"]):
            continue  # nothing to withdraw
        of_star.append(word)
        order.append((star, len(of_star) - 1))
    chains = {star: chain(*(SAID[w] for w in said), object_id=star) for star, said in words.items()}
    messages = [chains[star][n]._replace(offset=i) for i, (star, n) in enumerate(order)]
    return messages, words


def believed(outputs: Sequence[Output]) -> dict[str, str]:
    """Return how each object stands to a reader that goes by its last record, and check what it is sent."""
    found: dict[str, str] = {}
    for output in outputs:
        record = json.loads(output.value or b"")
        star, before = record["object_id"], found.get(record["object_id"])
        if record["withdrawn"]:
            assert before in ("match", "no longer"), f"told of a withdrawal, after {before}"
        elif "filter_outcome" in record:
            assert before == "match", f"told that it does not pass any more, after {before}"
        found[star] = (
            "gone" if record["withdrawn"] else "no longer" if "filter_outcome" in record else "match"
        )
    return found


@settings(max_examples=150, deadline=None)
@given(
    REVISIONS,
    st.lists(st.integers(1, 6), max_size=25),
    st.lists(st.booleans(), max_size=25),
    st.booleans(),
)
def test_reader_believes_what_the_filter_says_of_the_last_word(revisions, sizes, aborted, news) -> None:
    """Of every object, for any batches, some of them stepped twice because their transaction was aborted."""
    messages, words = stream(revisions)
    wanted = build_filter("w", FilterSpec(novel=True, p_value=Range(max=0.01), new_or_changed=news))
    committed, outputs, at = state(), [], 0
    for number in range(len(messages)):
        size = sizes[number] if number < len(sizes) else 1
        batch, at = messages[at : at + size], at + size
        if number < len(aborted) and aborted[number]:
            stage(route(wanted)).step(batch, BatchState(committed))  # nothing of it stays
        outputs += stage(route(wanted)).step(batch, committed).outputs  # a new stage: all that stays is state
    held = believed(outputs)
    for star, said in words.items():
        assert (star in held) == ("match" in said)
        assert (held.get(star) == "match") == (said[-1:] == ["match"])
        assert held.get(star, "gone") == "gone" or said[-1:] != ["gone"]
    assert outputs == stage(route(wanted)).step(messages, state()).outputs


def test_memory_is_small() -> None:
    """A value for each object that was given, of a few dozen bytes."""
    memory = state()
    stage(route(ODD)).step(chain(MATCH, ORDINARY), memory)
    ((_, value),) = memory.scan(0, b"")
    assert len(value) < 200
