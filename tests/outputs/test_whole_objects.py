"""What is said of all bands together, in every format."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import fastavro
import pytest

from broker_plugin.outputs import (
    AvroFormat,
    ElasticcFormat,
    HopFormat,
    JsonFormat,
    LasairFormat,
    Publication,
    shipped_taxonomy,
)
from broker_plugin.outputs.elasticc import OF_OBJECTS, schema
from broker_plugin.records.object_annotation import ObjectAnnotation, decode_object, encode_object
from broker_plugin.records.text import to_json
from tests.annotate.objects import combined, of_band, shares, withdrawn
from tests.outputs.test_lasair import server_query
from tests.records.examples import OBJECT

LASAIR = LasairFormat("variables", "https://example.org/{object_id}?band={band}&id={annotation_id}")
DESC = ElasticcFormat(shipped_taxonomy(), "variables")
TWO = combined(of_band("g", p_value=0.2), of_band("r", p_value=0.3))
GONE = combined(withdrawn(of_band("g")), held=combined(of_band("g")))


def publication(annotation: ObjectAnnotation, **changes: object) -> Publication:
    return replace(Publication.read("object", encode_object(annotation, 1_767_225_600_123)), **changes)


def desc(found: Publication) -> tuple[dict, dict]:
    record = fastavro.schemaless_reader(io.BytesIO(DESC.translate(found).value), schema(), None)
    return record, json.loads(record["classifierParams"])


@pytest.mark.parametrize("annotation", [OBJECT, TWO, GONE], ids=["full", "two bands", "withdrawn"])
def test_json_and_avro_hold_the_record(annotation) -> None:
    """JSON is what `subscribe --json` prints; Avro reads back to the same."""
    found = publication(annotation)
    assert JsonFormat().translate(found).value.decode() == to_json(found.record)
    for framing in ("container", "single-object"):
        assert decode_object(AvroFormat(framing).translate(found).value) == annotation


def test_subject_and_identity_are_the_objects() -> None:
    """Another band joins: the same object, another id. hop's id follows."""
    one, two = publication(combined(of_band("g"))), publication(TWO)
    assert one.subject == two.subject == "ztf/ZTF18abcdefg"
    assert (one.identity, two.identity) == (one.combined.combined_id, TWO.combined_id)
    ids = {dict(HopFormat("t").translate(found).headers)["_id"] for found in (one, two, two)}
    assert len(ids) == 2


def test_lasair_explains_with_every_band() -> None:
    """One annotation an object is what Lasair keeps; each band's own verdict stands in the classdict."""
    record = json.loads(LASAIR.translate(publication(TWO)).value)
    assert record["classification"] == "RRAB"
    assert record["explanation"].startswith("Like a known kind: p 0.")
    assert "by band: g RRAB, r RRAB." in record["explanation"]
    assert "all bands with a significant period have the same" in record["explanation"]
    assert record["url"] == f"https://example.org/ZTF18abcdefg?band=g+r&id={TWO.combined_id}"
    told = record["classdict"]
    assert told["annotation_id"] == TWO.combined_id
    assert set(told["bands"]) == {"g", "r"}
    assert told["bands"]["g"]["p_value"] == 0.2
    assert server_query(record).count("'") == 2 * len(record)


def test_lasair_has_room_for_six_bands_and_all_their_doubts() -> None:
    """LSST's u to y, with the longest that each can say."""
    flags = ("no_significant_period", "phase_gap", "few_recent_epochs")
    names = {"model_name": "a" * 40, "model_version": "1" * 16}
    six = combined(*(of_band(band, quality_flags=flags, **names) for band in "ugrizy"))
    record = LASAIR.annotation(publication(six).annotation, combined=six)
    assert len(json.dumps(record["classdict"])) <= 4096
    assert set(record["classdict"]["bands"]) == set("ugrizy")


def test_what_is_taken_back_replaces_the_match() -> None:
    """In Lasair as a classification, at DESC as an empty list under the same classifier."""
    record = json.loads(LASAIR.translate(publication(GONE)).value)
    assert record["classification"] == "WITHDRAWN"
    taken_back = f"Taken back: the survey has withdrawn epochs under annotation {GONE.supersedes}"
    assert record["explanation"].startswith(taken_back)
    assert record["classdict"]["bands"] == {}
    sent, parameters = desc(publication(GONE))
    before, _ = desc(publication(combined(of_band("g", alert_id="5"))))
    assert sent["classifications"] == []
    assert sent["classifierName"] == before["classifierName"] == OF_OBJECTS
    assert parameters["withdrawn"]
    assert parameters["supersedes"] == GONE.supersedes


def test_desc_gets_the_combined_probabilities() -> None:
    """And which model judged each band."""
    apart = {"g": shares("RRAB", 0.9), "r": shares("ECL", 0.6)}
    mixed = combined(*(of_band(band, probabilities=said) for band, said in apart.items()))
    record, parameters = desc(publication(mixed))
    found = {entry["classId"]: entry["probability"] for entry in record["classifications"]}
    taxonomy = shipped_taxonomy()
    assert found[taxonomy.class_ids["ECL"]] == pytest.approx(mixed.probabilities["ECL"])
    assert sum(found.values()) == pytest.approx(1.0)
    assert parameters["annotation_id"] == mixed.combined_id
    assert set(parameters["bands"]) == {"g", "r"}
    assert "energy" not in parameters


def test_what_does_not_pass_any_more_says_so() -> None:
    """In the fields that people and machines look at."""
    found = publication(TWO, no_longer_passes=True)
    assert json.loads(JsonFormat().translate(found).value)["filter_outcome"] == "no_longer_passes"
    record = json.loads(LASAIR.translate(found).value)
    assert record["explanation"].startswith("No longer meets the criteria")
    assert record["classdict"]["filter_outcome"] == "no_longer_passes"
    assert desc(found)[1]["filter_outcome"] == "no_longer_passes"
