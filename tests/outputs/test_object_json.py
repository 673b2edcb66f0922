"""Combined annotations as plain JSON, for machines."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from broker_plugin.outputs import marked
from broker_plugin.records import schemas
from broker_plugin.records.object_annotation import ObjectAnnotation, encode_object
from broker_plugin.records.text import to_json
from tests.annotate.objects import combined, of_band, withdrawn
from tests.records.examples import OBJECT

PATH = schemas.schema_directory() / "json" / "object.v2.schema.json"


def as_json(annotation: ObjectAnnotation) -> dict:
    """Return what `subscribe --json` prints."""
    return json.loads(to_json(schemas.decode("object", encode_object(annotation, 1_767_225_600_123))))


@pytest.mark.parametrize(
    "annotation",
    [
        OBJECT,
        combined(of_band("g"), of_band("r", p_value=None)),
        combined(withdrawn(of_band("g")), held=combined(of_band("g"))),
    ],
    ids=["full", "two bands", "withdrawn"],
)
def test_json_is_valid_under_its_schema(annotation) -> None:
    """And a wrong one is not: the schema says something."""
    schema = json.loads(PATH.read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    record = as_json(annotation)
    validator.validate(record)
    validator.validate(marked(record, no_longer_passes=True))
    wrong = ({"alert_id": 5}, {"novel": None}, {"period_agreement": "perhaps"}, {"extra": 1}, {"bands": None})
    for change in wrong:
        assert not validator.is_valid({**record, **change}), change


def test_json_schema_describes_every_field_of_the_avro_schema() -> None:
    """A field that is added to one is added to the other, under the same doc; those of the bands, too."""
    described = json.loads(PATH.read_text())["properties"]
    fields = {field["name"]: field for field in schemas.schema_source("object")["fields"]}
    assert described.pop("filter_outcome")["enum"] == ["no_longer_passes"]  # of subscribe, not of the record
    assert {name: p["description"] for name, p in described.items()} == {
        n: f["doc"] for n, f in fields.items()
    }
    band = {field["name"]: field["doc"] for field in fields["bands"]["type"]["items"]["fields"]}
    assert {n: p["description"] for n, p in described["bands"]["items"]["properties"].items()} == band
