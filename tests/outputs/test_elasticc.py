"""DESC's schema to the letter, its taxonomy, probabilities that add to one."""

from __future__ import annotations

import io
import json
import math
from datetime import UTC, datetime, timedelta

import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given, settings

from broker_plugin.errors import ConfigurationError
from broker_plugin.outputs import ElasticcFormat, Publication, load_taxonomy, shipped_taxonomy
from broker_plugin.outputs.elasticc import parse_taxonomy, schema
from broker_plugin.records.codec import annotation_record
from tests.filters.examples import CLASSES, annotation, annotations

# Of alert_schema/elasticc.v0_9_1.brokerClassification.avsc in LSSTDESC/elasticc at 818ae71: names, types and
# their order, which is all that a schemaless reader depends on.
DESC_FINGERPRINT = "1e92a2a0262d37cf"

# taxonomy/taxonomy.ipynb of the same, what is variable.
DESC_TAXONOMY = {
    **{2100: "Variable/Other", 2321: "Periodic/Other", 2322: "Cepheid", 2323: "RR Lyrae"},
    **{2324: "Delta Scuti", 2325: "EB", 2326: "LPV/Mira"},
}
FORMAT = ElasticcFormat(shipped_taxonomy(), "variables")


def publication(a, consumed_at_ms=None, *, no_longer_passes=False) -> Publication:
    return Publication("classification", annotation_record(a, 0), a, consumed_at_ms, no_longer_passes)


def read(value: bytes) -> dict:
    return fastavro.schemaless_reader(io.BytesIO(value), schema(), None)


def test_schema_is_that_of_desc() -> None:
    """Their reader, with their schema, reads our bytes."""
    ours = json.loads(json.dumps({k: v for k, v in schema().items() if not k.startswith("__")}))
    assert fingerprint(to_parsing_canonical_form(ours), "CRC-64-AVRO") == DESC_FINGERPRINT


def test_every_class_of_the_shipped_model_has_a_number_of_theirs() -> None:
    """Nothing is sent under a number that DESC does not know."""
    taxonomy = shipped_taxonomy()
    assert set(taxonomy.class_ids) == set(CLASSES)
    assert {*taxonomy.class_ids.values(), taxonomy.novelty_class_id} <= DESC_TAXONOMY.keys()


@settings(max_examples=50)
@given(annotations())
def test_probabilities_add_to_one_in_their_floats(a) -> None:
    """Each classId once, in order; 32-bit floats on the wire."""
    record = read(FORMAT.translate(publication(a)).value)
    numbers = [entry["classId"] for entry in record["classifications"]]
    shares = [entry["probability"] for entry in record["classifications"]]
    assert numbers == sorted(set(numbers))
    assert math.isclose(math.fsum(shares), 1.0, abs_tol=1e-6)
    assert all(0 <= share <= 1 for share in shares)
    assert (2100 in numbers) == a.novel


def test_record() -> None:
    """Two RR Lyrae classes are one of theirs; ids are numbers; times are UTC."""
    a = annotation(alert_id=str(2**63 - 1), alert_time_mjd=60310.0)
    record = read(FORMAT.translate(publication(a, 1_700_000_000_123)).value)
    assert record["alertId"] == record["diaSourceId"] == 2**63 - 1
    assert {entry["classId"]: round(entry["probability"], 6) for entry in record["classifications"]}[
        2323
    ] == 0.93
    assert record["brokerIngestTimestamp"] == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)
    assert record["classifierName"] == "default 1"
    assert json.loads(record["classifierParams"])["annotation_id"] == a.annotation_id
    # MJD 60310 is 2024-01-01; barycentric TDB is within 69 s + 500 s of UTC.
    away = record["elasticcPublishTimestamp"] - datetime(2024, 1, 1, tzinfo=UTC)
    assert timedelta(seconds=-69.2 - 500) < away < timedelta(seconds=-69.1 + 500)


def test_a_withdrawal_says_nothing_of_the_object() -> None:
    """An empty list is the only way in their schema; which message does not hold stands in the parameters."""
    gone = annotation(novel=True, withdrawn=True, revision=2, supersedes="ab" * 16, changes=("withdrawn",))
    record = read(FORMAT.translate(publication(gone)).value)
    assert record["classifications"] == []
    parameters = json.loads(record["classifierParams"])
    assert (parameters["withdrawn"], parameters["supersedes"], parameters["revision"]) == (True, "ab" * 16, 2)


def test_what_does_not_pass_any_more_is_classified_as_it_is_now() -> None:
    """The same record as a match, but for a word in the parameters."""
    match, revised = (
        read(FORMAT.translate(publication(annotation(), no_longer_passes=told)).value)
        for told in (False, True)
    )
    parameters = json.loads(revised.pop("classifierParams"))
    assert parameters.pop("filter_outcome") == "no_longer_passes"
    assert parameters == json.loads(match.pop("classifierParams"))
    assert revised == match


def test_ingest_time_that_nobody_told_is_null() -> None:
    """Never a made-up time."""
    assert read(FORMAT.translate(publication(annotation())).value)["brokerIngestTimestamp"] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"alert_id": "ZTF18"},
        {"alert_id": str(2**63)},
        {"alert_id": "-1"},
        {"probabilities": {"NEW_CLASS": 1.0}},
        {"probabilities": {"RRAB": 0.5}},
        {"alert_time_mjd": float("nan")},
    ],
)
def test_what_their_schema_cannot_say(wrong) -> None:
    """ValueError, which makes a dead letter."""
    with pytest.raises(ValueError, match=r"64-bit|no number for|add to|no moment"):
        FORMAT.translate(publication(annotation(**wrong)))


def test_mapping_of_a_site(tmp_path) -> None:
    """Another file, another share."""
    path = tmp_path / "mine.toml"
    path.write_text("[classes]\nRRAB = 2323\nECL = 2325\n[novelty]\nclass_id = 300\nshare = 1\n")
    taxonomy = load_taxonomy(path)
    assert taxonomy.missing(CLASSES) == ["CEPH", "DSCT", "M", "ROT", "RRCD", "SR"]
    a = annotation(probabilities={"RRAB": 0.75, "ECL": 0.25}, novel=True)
    assert taxonomy.classifications(a) == [
        {"classId": 300, "probability": 1.0},
        {"classId": 2323, "probability": 0.0},
        {"classId": 2325, "probability": 0.0},
    ]


def test_mapping_that_is_wrong_says_everything() -> None:
    """At start, not at the first annotation."""
    text = "extra = 1\n[classes]\nRRAB = '2323'\nECL = true\n[novelty]\nshare = 2\n"
    with pytest.raises(ConfigurationError) as caught:
        parse_taxonomy(text, "mine.toml")
    for part in (
        "mine.toml",
        "unknown table or key extra",
        "classes.RRAB",
        "classes.ECL",
        "class_id",
        "share = 2",
    ):
        assert part in str(caught.value)
