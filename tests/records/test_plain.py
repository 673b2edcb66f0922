"""Dataclasses as dictionaries."""

from __future__ import annotations

from dataclasses import asdict, replace

from broker_plugin.records.annotation import Neighbour
from broker_plugin.records.plain import plain
from tests.records import examples


def test_what_asdict_gives() -> None:
    """Nested dataclasses, tuples and mappings as dataclasses.asdict has them."""
    annotation = replace(examples.ANNOTATION, neighbours=(Neighbour("star", "ECL", 0.5),))
    assert plain(annotation) == asdict(annotation)
    assert plain(examples.OBJECT) == asdict(examples.OBJECT)


def test_changing_the_record_leaves_the_annotation() -> None:
    """Dictionaries are new ones."""
    record = plain(examples.ANNOTATION)
    record["probabilities"]["CEPH"] = 1.0
    record["period"]["method"] = "other"
    assert examples.ANNOTATION.probabilities["CEPH"] == 0.25
    assert examples.ANNOTATION.period.method == "search"
