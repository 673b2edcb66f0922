"""What the score stage publishes of windows that say the same, or another thing, or nothing any more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.annotate.memory import KEYS, Memory
from broker_plugin.records.annotation import CHANGES, Annotation, Novelty
from broker_plugin.records.codec import decode_classification, decode_novelty
from tests.stages.judging import OBJECTS, judged_message, judged_window, judging_stage
from tests.stages.test_accumulate import DictState, totals

KNOWN, OTHER, NOVEL, EDGE = 2.0, 12.0, 7.0, 5.5
"""Verdicts: a known ECL, a known RRAB, a novel ECL, an ECL just above the threshold."""


def told(stage, state, *windows, rescore: str | None = None) -> tuple[list[Annotation], list[Novelty]]:
    """Return what a batch of windows publishes."""
    batch = [judged_message(i, window, rescore=rescore) for i, window in enumerate(windows)]
    outputs = stage.step(batch, state).outputs
    return (
        [decode_classification(o.value) for o in outputs if o.topic == "t.classifications"],
        [decode_novelty(o.value) for o in outputs if o.topic == "t.novelties"],
    )


def chain(annotations: list[Annotation]) -> list[tuple[int, tuple[str, ...], bool]]:
    return [(a.revision, a.changes, a.supersedes is not None) for a in annotations]


def memories(state: DictState) -> list[Memory]:
    return [Memory.unpack(value) for (_, key), value in state.values.items() if key.startswith(KEYS)]


def test_what_was_said_is_not_said_again() -> None:
    """Four windows of an eclipsing binary are one annotation; each is scored and counted."""
    stage, state = judging_stage(), DictState()
    batch = [judged_message(i, judged_window(KNOWN, 200 + 20 * i)) for i in range(4)]

    result = stage.step(batch, state)

    assert len(result.outputs) == 1
    counted = totals([result])
    assert counted["annotations_total", (("class", "ECL"),)] == 4
    assert counted["annotations_published_total", (("change", "new"),)] == 1
    assert counted["annotations_withheld_total", (("reason", "unchanged"),)] == 3
    assert memories(state)[0].newest == (58260.0, 260)


def test_a_change_is_a_revision_that_names_the_former() -> None:
    """ECL, RRAB, novel ECL: three revisions, each superseding the one before."""
    found, _ = told(
        judging_stage(),
        DictState(),
        *(judged_window(v, 200 + 20 * i) for i, v in enumerate([KNOWN, OTHER, NOVEL])),
    )

    assert chain(found) == [(1, ("new",), False), (2, ("class",), True), (3, ("class", "novelty"), True)]
    assert [a.supersedes for a in found] == [None, found[0].annotation_id, found[1].annotation_id]


def test_an_energy_about_the_threshold_goes_to_neither_side() -> None:
    """Known, half a unit above, known: nothing; novel, half a unit above, novel: nothing."""
    state = DictState()
    windows = [judged_window(v, 200 + 20 * i) for i, v in enumerate([KNOWN, EDGE, KNOWN, NOVEL, EDGE, NOVEL])]

    found, novelties = told(judging_stage(), state, *windows)

    assert chain(found) == [(1, ("new",), False), (2, ("novelty",), True)]
    assert [n.annotation.revision for n in novelties] == [2]


def test_readers_of_the_novelties_are_told_that_it_is_none_any_more() -> None:
    """Novel, known, another class: the correction goes to the novelties, what follows it does not."""
    windows = [judged_window(v, 200 + 20 * i) for i, v in enumerate([NOVEL, KNOWN, OTHER])]

    found, novelties = told(judging_stage(), DictState(), *windows)

    assert len(found) == 3
    assert [(n.annotation.revision, n.annotation.novel) for n in novelties] == [(1, True), (2, False)]
    assert novelties[1].annotation == found[1]
    assert len(novelties[1].mag) == 200


def test_every_window_is_published_where_it_is_wanted() -> None:
    """With publish = all: revisions count on, and what did not change says so."""
    windows = [judged_window(v, 200 + 20 * i) for i, v in enumerate([KNOWN, KNOWN, OTHER])]

    found, _ = told(judging_stage("all"), DictState(), *windows)

    assert chain(found) == [(1, ("new",), False), (2, ("none",), True), (3, ("class",), True)]


@pytest.mark.parametrize(("publish", "late"), [("changes", []), ("all", [(0, ("late",), False)])])
def test_an_old_window_supersedes_nothing(publish, late) -> None:
    """A redriven window of 220 epochs comes after that of 240: the chain goes on from the newer one."""
    stage, state = judging_stage(publish), DictState()
    told(stage, state, judged_window(KNOWN, 200), judged_window(OTHER, 240))

    found, _ = told(stage, state, judged_window(NOVEL, 220))
    after, _ = told(stage, state, judged_window(NOVEL, 260))

    assert chain(found) == late
    assert chain(after) == [(3, ("class", "novelty"), True)]
    assert after[0].supersedes != (found[0].annotation_id if found else "")


def test_the_same_window_again_is_no_news() -> None:
    """A window was written twice; also with publish = all one annotation is enough."""
    stage, state = judging_stage("all"), DictState()
    assert len(told(stage, state, judged_window(KNOWN), judged_window(KNOWN))[0]) == 1


def test_another_model_has_its_own_word_and_so_has_the_first_when_it_returns() -> None:
    """The same verdict by another model is a revision; ids differ, also of the return to the first."""
    state = DictState()
    found = [
        told(judging_stage(model=model), state, judged_window(KNOWN, 200 + 20 * i))[0][0]
        for i, model in enumerate("aba")
    ]
    again = told(judging_stage(model="b"), state, judged_window(KNOWN, 240))[0]

    assert chain([*found, *again]) == [
        (1, ("new",), False), (2, ("model",), True), (3, ("model",), True), (4, ("model",), True)
    ]  # fmt: skip
    assert len({a.annotation_id for a in [*found, *again]}) == 4


def test_a_window_sent_again_is_judged_only_if_another_model_had_the_word() -> None:
    """Rescored twice, and by a stage that runs another model than the one that was asked for."""
    state = DictState()
    window = judged_window(KNOWN)
    told(judging_stage(model="a"), state, window)

    assert told(judging_stage(model="a"), state, window, rescore="b") == ([], [])
    first, _ = told(judging_stage(model="b"), state, window, rescore="b")
    assert chain(first) == [(2, ("model",), True)]
    assert told(judging_stage(model="b"), state, window, rescore="b") == ([], [])


def test_an_archive_older_than_what_is_published_rescores_nothing() -> None:
    """The window of 200 epochs is in the archive, that of 240 was published."""
    state = DictState()
    told(judging_stage(model="a"), state, judged_window(KNOWN, 240))

    assert told(judging_stage(model="b"), state, judged_window(KNOWN, 200), rescore="b") == ([], [])
    assert len(told(judging_stage(model="b"), state, judged_window(KNOWN, 240), rescore="b")[0]) == 1


def test_a_withdrawal_takes_the_annotation_back_on_both_topics() -> None:
    """199 epochs are left of a novelty: nothing is known of the star; its next window begins anew."""
    stage, state = judging_stage(), DictState()
    (first,), _ = told(stage, state, judged_window(NOVEL, 200))

    found, novelties = told(stage, state, judged_window(0, 201, n_epochs=199, gone=(7, 8), without=(7, 8)))

    (taken_back,) = found
    assert (taken_back.withdrawn, taken_back.revision, taken_back.changes) == (True, 2, ("withdrawn",))
    assert taken_back.supersedes == first.annotation_id
    assert taken_back.annotation_id != first.annotation_id
    assert taken_back.alert_id == "201"
    assert (taken_back.predicted_class, taken_back.probabilities) == (
        first.predicted_class,
        first.probabilities,
    )
    assert [(n.annotation, len(n.mag)) for n in novelties] == [(taken_back, 0)]

    again, novelties = told(stage, state, judged_window(KNOWN, 202, without=(7, 8)))
    assert chain(again) == [(3, ("epochs",), True)]
    assert again[0].supersedes == taken_back.annotation_id
    assert novelties == []


def test_a_window_of_the_remaining_epochs_supersedes_though_it_says_the_same() -> None:
    """220 epochs, one of the last 200 goes: the annotation must be of what is in the light curve."""
    stage, state = judging_stage(), DictState()
    told(stage, state, judged_window(KNOWN, 220))

    found, _ = told(stage, state, judged_window(KNOWN, 220, gone=(100,), without=(100,)))

    assert chain(found) == [(2, ("epochs",), True)]


def test_what_was_not_under_the_annotation_changes_nothing() -> None:
    """An epoch before the published window goes; so does one of a window that was never published."""
    stage, state = judging_stage(), DictState()
    told(stage, state, judged_window(KNOWN, 220))

    assert told(stage, state, judged_window(KNOWN, 221, gone=(5,), without=(5,)))[0] == []
    assert told(stage, state, judged_window(KNOWN, 240, without=(5,)))[0] == []
    assert told(stage, state, judged_window(KNOWN, 241, gone=(239,), without=(5, 239)))[0] == []
    assert told(judging_stage(), DictState(), judged_window(0, 201, n_epochs=150, gone=(7,)))[0] == []


def test_no_window_of_withdrawn_epochs_comes_back() -> None:
    """The windows before a withdrawal are read again, as after a reset of offsets: none is published."""
    stage, state = judging_stage(), DictState()
    before = [judged_window(KNOWN, 200), judged_window(OTHER, 220)]
    told(stage, state, *before)
    gone = judged_window(0, 221, n_epochs=199, gone=(200, *range(22, 60)), without=(200, *range(22, 60)))
    assert len(told(stage, state, gone)[0]) == 1

    assert told(stage, state, *before, gone) == ([], [])
    assert memories(state)[0].published.withdrawn


def test_memory_survives_its_bytes_and_stays_small() -> None:
    """What is kept of a light curve; another layout is refused."""
    state = DictState()
    told(judging_stage(), state, judged_window(NOVEL, 220))
    (memory,) = memories(state)
    memory = replace(memory, withdrawn_mjd=(58000.5, 58001.25))

    assert Memory.unpack(memory.pack()) == memory
    assert len(memory.pack()) < 600
    with pytest.raises(ValueError, match="layout 07"):
        Memory.unpack(b"\x07" + memory.pack()[1:])


@st.composite
def streams(draw: st.DrawFn):
    """Windows of two light curves: verdicts at will, some late, some twice, some after withdrawals.

    A withdrawal after which a light curve ends earlier has taken all that came later, too.
    """
    windows = []
    ends = dict.fromkeys(OBJECTS, 0)
    for _ in range(draw(st.integers(1, 12))):
        gone = draw(st.sampled_from([(), (), (), (150,), (30, 180)]))
        left = 200 if not gone else draw(st.sampled_from([200, 150]))
        end, object_id = draw(st.integers(10, 18)) * 20, draw(st.sampled_from(OBJECTS))
        if gone:
            gone = (*gone, *range(end + 1, ends[object_id] + 1))
        ends[object_id] = end if gone else max(end, ends[object_id])
        verdict = draw(st.sampled_from([KNOWN, OTHER, NOVEL, EDGE]))
        windows.append(
            judged_window(verdict, end, object_id=object_id, n_epochs=left, gone=gone, without=gone)
        )
    return windows


@settings(max_examples=60, deadline=None)
@given(streams(), st.sampled_from(["changes", "all"]), st.data())
def test_annotations_do_not_depend_on_batches_or_restarts(windows, publish, data) -> None:
    """In one batch, and cut anywhere with a new stage for each batch: same records, same state, one chain."""
    messages = [judged_message(i, window) for i, window in enumerate(windows)]
    whole_state, cut_state = DictState(), DictState()
    whole = list(judging_stage(publish).step(messages, whole_state).outputs)

    cut, start = [], 0
    while start < len(messages):
        size = data.draw(st.integers(1, 4))
        cut += judging_stage(publish).step(messages[start : start + size], cut_state).outputs
        start += size

    assert cut == whole
    assert cut_state.values == whole_state.values
    by_object: dict[str, list[Annotation]] = {}
    for output in whole:
        if output.topic == "t.classifications":
            annotation = decode_classification(output.value)
            assert set(annotation.changes) <= set(CHANGES)
            if annotation.revision:
                by_object.setdefault(annotation.object_id, []).append(annotation)
    for revisions in by_object.values():
        assert [a.revision for a in revisions] == list(range(1, len(revisions) + 1))
        assert [a.supersedes for a in revisions[1:]] == [a.annotation_id for a in revisions[:-1]]
        assert len({a.annotation_id for a in revisions}) == len(revisions)
