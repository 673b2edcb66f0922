"""Lasair's limits, and its own code for what leaves and what arrives."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.outputs import LasairFormat, Publication
from broker_plugin.outputs.lasair import harmless, rest_form
from broker_plugin.records.annotation import PeriodReport
from broker_plugin.records.codec import annotation_record
from tests.filters.examples import annotation, annotations

FORMAT = LasairFormat("variables_r", "https://example.org/{survey}/{object_id}?ra={ra}&dec={dec}")


def publication(a) -> Publication:
    return Publication("classification", annotation_record(a, 0), a)


def server_query(record: dict[str, Any]) -> str:
    """Build the SQL of lasair-lsst services/annotations/kafkaPush/kafka2annotation.py, by its rules."""
    columns, values = [], []
    names = ("objectId", "topic", "version", "classification", "explanation", "classdict", "url")
    for name in names:
        if record.get(name):
            value = json.dumps(record[name]) if name == "classdict" else record[name]
            columns.append(name)
            values.append("'" + value + "'")  # a number raises TypeError, there and here
    return f"REPLACE INTO annotations ({', '.join(columns)}) VALUES ({', '.join(values)})"


@settings(max_examples=30)
@given(annotations(), st.text(max_size=40), st.text(max_size=40))
def test_nothing_that_the_models_names_hold_gets_into_their_sql(a, version, model) -> None:
    """As many apostrophes as values need, no backslash, the classdict the same after their quoting."""
    a = replace(a, model_version=version or "1", model_name=model, mean_mag=15.0)
    record = json.loads(FORMAT.translate(publication(a)).value)
    sql = server_query(record)
    assert sql.count("'") == 2 * len(record)
    assert "\\" not in sql.replace("\\u", "")  # JSON's escapes of other alphabets
    assert len(record["version"]) <= 16
    assert len(json.dumps(record["classdict"])) <= 4096
    assert all(isinstance(value, str) for name, value in record.items() if name != "classdict")


def test_record_of_an_ordinary_star() -> None:
    """What an astronomer reads on Lasair's page of the object."""
    record = json.loads(FORMAT.translate(publication(annotation())).value)
    assert record["objectId"] == "ZTF18abcdefg"
    assert record["topic"] == "variables_r"
    assert record["classification"] == "RRAB"
    assert record["url"] == "https://example.org/ztf/ZTF18abcdefg?ra=1.5&dec=-2.5"
    assert record["explanation"] == (
        "Like a known kind: energy 12.50, above 97.5 % of the training stars (p 0.4). Nearest class "
        "RRAB (73%), from 200 epochs in r, mean 15.50 mag. Period 0.5 d."
    )
    assert record["classdict"]["probabilities"]["RRCD"] == 0.2
    assert record["classdict"]["annotation_id"] == annotation().annotation_id


def test_novelty_has_a_word_of_its_own() -> None:
    """A Lasair filter asks for classification = 'NOVEL'; the nearest class stands in the classdict."""
    record = FORMAT.annotation(annotation(novel=True, quality_flags=("phase_gap",)))
    assert record["classification"] == "NOVEL"
    assert record["classdict"]["class"] == "RRAB"
    assert record["explanation"].endswith("Doubts: phase gap.")


def test_a_withdrawal_replaces_what_lasair_holds() -> None:
    """Their table has one annotation an object: its last word must be that there is none."""
    record = FORMAT.annotation(
        annotation(novel=True, withdrawn=True, revision=2, supersedes="ab" * 16, changes=("withdrawn",))
    )
    assert record["classification"] == "WITHDRAWN"
    assert record["explanation"].startswith(
        "Taken back: the survey has withdrawn epochs in r under annotation abab"
    )
    assert (record["classdict"]["withdrawn"], record["classdict"]["revision"]) == (True, 2)


def test_what_does_not_pass_any_more_replaces_the_match() -> None:
    """As it is now, with a sentence for people and a word for machines; through their SQL as any other."""
    a = annotation(probabilities={"ECL": 1.0}, novel=False)
    sent = replace(publication(a), no_longer_passes=True)
    record = json.loads(FORMAT.translate(sent).value)
    assert record["classification"] == "ECL"
    assert record["explanation"] == (
        "No longer meets the criteria of this annotator. " + FORMAT.annotation(a)["explanation"]
    )
    assert record["classdict"]["filter_outcome"] == "no_longer_passes"
    assert json.loads(rest_form(record)["classdict"]) == record["classdict"]
    assert server_query(record).count("'") == 2 * len(record)
    assert "filter_outcome" not in FORMAT.annotation(a)["classdict"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"object_id": "ZTF'; DROP TABLE objects; --"},
        {"object_id": ""},
        {"energy": float("nan")},
        {"probabilities": {f"CLASS{i:04}": 0.001 for i in range(1000)}},
    ],
)
def test_what_lasair_would_not_take(wrong) -> None:
    """ValueError, which makes a dead letter: an id no survey gives, no number, a classdict above 4096."""
    with pytest.raises(ValueError, match=r"object id|no JSON form|characters"):
        FORMAT.annotation(annotation(**wrong))


def test_address_that_grows_too_long() -> None:
    """1024 characters."""
    with pytest.raises(ValueError, match="url has 1"):
        LasairFormat("a", "https://example.org/" + "{object_id}" * 90).annotation(annotation())


def test_kafka_record_is_that_of_their_own_producer(monkeypatch) -> None:
    """lasair_producer of the lasair package, given the same values, sends the same object."""
    import confluent_kafka
    import lasair

    sent = []

    class Recorder:
        def __init__(self, settings) -> None:
            assert settings["sasl.mechanisms"] == "SCRAM-SHA-256"

        def produce(self, topic, value) -> None:
            sent.append(json.loads(value))

    monkeypatch.setattr(confluent_kafka, "Producer", Recorder)
    ours = json.loads(FORMAT.translate(publication(annotation())).value)
    theirs = lasair.lasair_producer("host:9092", "user", "password", "variables_r")
    theirs.produce(
        ours["objectId"],
        ours["classification"],
        version=ours["version"],
        explanation=ours["explanation"],
        classdict=ours["classdict"],
        url=ours["url"],
    )
    assert sent == [ours]


def test_rest_form_has_every_field() -> None:
    """The server requires all seven; the object's id is what IntegerField or CharField takes."""
    a = annotation(object_id=str(2**63 - 1), period=PeriodReport(None, 0.4, "search", -1.0, ()))
    form = rest_form(LasairFormat("a").annotation(a))
    assert form["objectId"] == "9223372036854775807"
    assert form["url"] == ""
    assert json.loads(form["classdict"])["period_days"] is None


def test_harmless_keeps_what_people_write() -> None:
    """Only what ends or changes an SQL string goes."""
    assert harmless("O'Connell's\neffect \\ 5 % α") == "OConnells effect  5 % α"
