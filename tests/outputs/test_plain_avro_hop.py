"""JSON against its schema, Avro in each framing, hop's headers as hop-client reads them."""

from __future__ import annotations

import io
import json
import struct
import uuid
from dataclasses import replace
from pathlib import Path

import fastavro
import pytest
from jsonschema import Draft202012Validator

from broker_plugin.annotate.compose import withdrawn_novelty
from broker_plugin.outputs import AvroFormat, HopFormat, JsonFormat, Publication
from broker_plugin.records import schemas
from broker_plugin.records.codec import annotation_from_record, encode_classification, encode_novelty
from tests.records.examples import ANNOTATION, NOVELTY

NOW_MS = 1_767_225_600_123


def publication(kind: str) -> Publication:
    """Return a publication as the deliver stage reads it from a topic."""
    value = (
        encode_novelty(NOVELTY, NOW_MS) if kind == "novelty" else encode_classification(ANNOTATION, NOW_MS)
    )
    record = schemas.decode(kind, value)
    return Publication(kind, record, annotation_from_record(record))


KINDS = pytest.mark.parametrize("kind", ["classification", "novelty"])


def json_schema(kind: str) -> dict:
    path = schemas.schema_directory() / "json" / f"{kind}.v3.schema.json"
    return json.loads(path.read_text())


@KINDS
def test_json_is_valid_under_its_schema(kind) -> None:
    """And a wrong one is not: the schema says something."""
    validator = Draft202012Validator(json_schema(kind), format_checker=Draft202012Validator.FORMAT_CHECKER)
    record = json.loads(JsonFormat().translate(publication(kind)).value)
    validator.validate(record)
    assert record["alert_id"] == ANNOTATION.alert_id
    assert record["processed_at"] == "2026-01-01T00:00:00.123000+00:00"
    for wrong in ({"alert_id": 5951476249150}, {"novel": None}, {"probabilities": {"RRAB": 2}}, {"extra": 1}):
        assert not validator.is_valid({**record, **wrong}), wrong


@KINDS
def test_json_schema_describes_every_field_of_the_avro_schema(kind) -> None:
    """A field that is added to one is added to the other; what a reader's filters say is in JSON only."""
    fields = {field["name"]: field.get("doc", "") for field in schemas.schema_source(kind)["fields"]}
    described = json_schema(kind)["properties"]
    assert list(described) == [*fields, "filter_outcome"]
    assert set(json_schema(kind)["required"]) == set(fields)


@KINDS
def test_container_is_read_by_fink_client(kind, tmp_path: Path) -> None:
    """Fink's reader of Avro files knows nothing of us."""
    from fink_client.avro_utils import AlertReader

    path = tmp_path / "one.avro"
    path.write_bytes(AvroFormat("container").translate(publication(kind)).value)
    (record,) = AlertReader(str(path)).to_list()
    assert record["object_id"] == ANNOTATION.object_id
    assert annotation_from_record(record) == ANNOTATION


@KINDS
def test_single_object_is_ours(kind) -> None:
    """As on the internal topics."""
    value = AvroFormat("single-object").translate(publication(kind)).value
    assert schemas.decode(kind, value) == publication(kind).record


@KINDS
def test_confluent_frame(kind) -> None:
    """Magic, big-endian id, body; ids of 32 bits."""
    value = AvroFormat("confluent", {kind: 0x01020304}).translate(publication(kind)).value
    assert struct.unpack(">bI", value[:5]) == (0, 0x01020304)
    body = fastavro.schemaless_reader(io.BytesIO(value[5:]), schemas.latest_schema(kind), None)
    assert annotation_from_record(body) == ANNOTATION


class Received:
    """What a consumer of confluent-kafka would return."""

    def __init__(self, value: bytes, headers: tuple) -> None:
        self._value, self._headers = value, list(headers)

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list:
        return self._headers


@KINDS
@pytest.mark.parametrize("content", ["json", "avro"])
def test_hop_reads_its_own_kind_of_message(kind, content) -> None:
    """hop-client finds the format in the header and gives the record back."""
    from hop.io import Deserializer

    translated = HopFormat("topic", content, "user").translate(publication(kind))
    message = Deserializer.deserialize(Received(translated.value, translated.headers))
    assert type(message).format_name == content
    assert message.content["object_id"] == ANNOTATION.object_id


def test_hop_headers_are_those_of_its_producer() -> None:
    """Names, order and kinds of hop.io.Producer.pack, but for the id, which is not drawn at random."""
    from hop.io import Producer

    class User:
        username = "user"

    for test in (False, True):
        ours = HopFormat("topic", "json", "user", test).translate(publication("classification"))
        _, theirs = Producer.pack(json.loads(ours.value), test=test, auth=User())
        assert [name for name, _ in ours.headers] == [name for name, _ in theirs]
        assert [value for name, value in ours.headers if name != "_id"] == [
            value for name, value in theirs if name != "_id"
        ]
        assert len(dict(ours.headers)["_id"]) == len(dict(theirs)["_id"]) == 16


def test_test_mark_is_there_only_on_tests() -> None:
    """Hop looks for the header alone: one that says false would be a test, too."""
    from hop.io import Consumer

    real, test = (
        HopFormat("topic", test=test).translate(publication("classification")) for test in (False, True)
    )
    assert not Consumer.is_test(Received(real.value, real.headers))
    assert Consumer.is_test(Received(test.value, test.headers))


def test_hop_id_is_a_function_of_topic_and_annotation() -> None:
    """A repeated delivery is the same message; another topic or annotation is another one."""
    one = publication("classification")
    other = replace(one, annotation=replace(ANNOTATION, window_id="x"))
    ids = [
        dict(HopFormat(topic).translate(p).headers)["_id"]
        for topic, p in (("a", one), ("a", one), ("b", one), ("a", other))
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert uuid.UUID(bytes=ids[0]).version == 5


@KINDS
def test_a_withdrawal_is_told_in_every_form_of_ours(kind) -> None:
    """JSON is valid and says so; Avro has the field; hop gives it an id of its own."""
    former = replace(ANNOTATION, revision=1, changes=("new",))
    gone = replace(
        former, revision=2, supersedes=former.annotation_id, changes=("withdrawn",), withdrawn=True
    )
    value = (
        encode_novelty(withdrawn_novelty(gone), NOW_MS)
        if kind == "novelty"
        else encode_classification(gone, NOW_MS)
    )
    sent = Publication(kind, schemas.decode(kind, value), gone)

    record = json.loads(JsonFormat().translate(sent).value)
    Draft202012Validator(json_schema(kind)).validate(record)
    assert (record["withdrawn"], record["supersedes"]) == (True, former.annotation_id)
    avro = schemas.decode(kind, AvroFormat("container").translate(sent).value)
    assert (avro["withdrawn"], avro["revision"], avro["changes"]) == (True, 2, ["withdrawn"])
    before = Publication(kind, sent.record, former)
    ids = [dict(HopFormat("t").translate(each).headers)["_id"] for each in (before, sent)]
    assert ids[0] != ids[1]


@KINDS
def test_what_does_not_pass_any_more_is_marked_in_json_and_the_same_in_avro(kind) -> None:
    """JSON says it in a field that its schema knows; of Avro the header alone says it."""
    match = publication(kind)
    revised = replace(match, no_longer_passes=True)
    record = json.loads(JsonFormat().translate(revised).value)
    Draft202012Validator(json_schema(kind)).validate(record)
    assert record.pop("filter_outcome") == "no_longer_passes"
    assert record == json.loads(JsonFormat().translate(match).value)
    for framing in ("container", "single-object"):
        sent = [schemas.decode(kind, AvroFormat(framing).translate(each).value) for each in (match, revised)]
        assert sent[0] == sent[1]
    confluent = AvroFormat("confluent", {kind: 7})
    assert confluent.translate(revised) == confluent.translate(match)


@KINDS
@pytest.mark.parametrize("content", ["json", "avro"])
def test_hop_reads_what_does_not_pass_any_more(kind, content) -> None:
    """With its own headers and a header that is none of hop's, as the deliver stage adds it."""
    from hop.io import Deserializer

    translated = HopFormat("topic", content, "user").translate(
        replace(publication(kind), no_longer_passes=True)
    )
    headers = (*translated.headers, ("filter-outcome", b"no_longer_passes"))
    message = Deserializer.deserialize(Received(translated.value, headers))
    assert message.content["object_id"] == ANNOTATION.object_id
    assert message.content.get("filter_outcome") == ("no_longer_passes" if content == "json" else None)
