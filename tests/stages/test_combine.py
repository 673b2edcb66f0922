"""The combine stage as a pure step."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.annotate.combine import CombineRule
from broker_plugin.records.codec import decode_dead_letter, encode_classification
from broker_plugin.records.object_annotation import ObjectAnnotation, decode_object
from broker_plugin.runner.protocols import Message, StepResult
from broker_plugin.stages.combine import CombineStage
from broker_plugin.stages.timing import CONSUMED_AT
from tests.annotate.objects import combined, of_band, withdrawn
from tests.stages.test_accumulate import DictState, totals


def stage() -> CombineStage:
    return CombineStage("t", CombineRule(), "0", clock=lambda: 1_767_225_600.0)


def messages(*annotations, partition: int = 0) -> list[Message]:
    return [
        Message("t.classifications", partition, n, b"k", encode_classification(a, 0))
        for n, a in enumerate(annotations)
    ]


def objects(result: StepResult) -> list[ObjectAnnotation]:
    return [decode_object(o.value) for o in result.outputs if o.topic == "t.objects"]


def test_bands_of_objects_in_one_batch() -> None:
    """Each annotation brings its object up to date, under the object's key; objects stay apart."""
    sent = [of_band("g"), of_band("r"), of_band("g", object_id="ZTF2")]
    result = stage().step(messages(*sent), DictState())
    assert [(o.topic, o.key) for o in result.outputs] == [
        ("t.objects", b"ztf/ZTF18abcdefg"),
        ("t.objects", b"ztf/ZTF18abcdefg"),
        ("t.objects", b"ztf/ZTF2"),
    ]
    found = objects(result)
    assert [[band.band for band in one.bands] for one in found] == [["g"], ["g", "r"], ["g"]]
    assert found[1] == combined(*sent[:2])
    assert totals([result])["combined_total", (("periods", "single"),)] == 2


def test_what_an_object_was_survives_in_the_state() -> None:
    """Another batch, after a restart: the state knows what the other band said; a repeat changes nothing."""
    state = DictState()
    stage().step(messages(of_band("g")), state)
    kept = dict(state.values)
    repeated = stage().step(messages(of_band("g")), state)
    assert (repeated.outputs, state.values) == ([], kept)
    assert totals([repeated])["combined_withheld_total", (("reason", "repeated"),)] == 1
    (found,) = objects(stage().step(messages(of_band("r")), state))
    assert [band.band for band in found.bands] == ["g", "r"]
    assert (found.revision, found.supersedes) == (2, combined(of_band("g")).combined_id)


ANNOTATIONS = st.lists(
    st.tuples(st.sampled_from("gr"), st.integers(1, 4), st.sampled_from(["A", "B"]), st.booleans()),
    max_size=12,
)


@given(ANNOTATIONS, st.integers(1, 5))
def test_batches_make_no_difference(drawn, size) -> None:
    """However the topic is cut, and whatever is repeated: the same outputs and state, byte for byte."""
    sent = []
    for band, revision, object_id, back in drawn:
        one = of_band(band, revision, object_id=object_id)
        sent.append(withdrawn(one) if back else one)
    whole, cut = DictState(), DictState()
    at_once = stage().step(messages(*sent), whole).outputs
    pieces = [
        output
        for start in range(0, len(sent), size)
        for output in stage().step(messages(*sent[start : start + size]), cut).outputs
    ]
    assert [o.value for o in at_once] == [o.value for o in pieces]
    assert whole.values == cut.values


def test_damage_is_put_aside_and_the_rest_goes_on() -> None:
    """Bytes that are no annotation: a dead letter with them, the next annotation is combined."""
    good = messages(of_band("g"))[0]
    result = stage().step([Message("t.classifications", 0, 7, b"k", b"junk"), good], DictState())
    letter, combined_one = result.outputs
    assert decode_dead_letter(letter.value).reason == "undecodable_annotation"
    assert (decode_dead_letter(letter.value).stage, decode_dead_letter(letter.value).offset) == ("combine", 7)
    assert combined_one.topic == "t.objects"


def test_when_the_alert_came_travels_on() -> None:
    """The header by which delays are measured."""
    (message,) = messages(of_band("g"))
    headed = Message(*(message.topic, 0, 0, b"k", message.value), headers=((CONSUMED_AT, b"5"), ("x", b"y")))
    (output,) = stage().step([headed], DictState()).outputs
    assert output.headers == ((CONSUMED_AT, b"5"),)
