"""The part of an audit that is about whole objects: what the bands' annotations come to, each once.

The ids of combined annotations follow from the classifications alone, in their order: object, revision, and
the annotations behind it. The rule of combination decides what they say, not which there are, so an
installation whose rule was changed on the way is audited like any other.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from broker_plugin.annotate.combine import CombineRule, combine
from broker_plugin.app.audit_place import place_problems
from broker_plugin.records.codec import decode_classification
from broker_plugin.records.object_annotation import ObjectAnnotation, decode_object
from broker_plugin.records.photometry import object_key
from broker_plugin.runner.bus import Bus, read_partition, read_topic
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.protocols import Partition
from broker_plugin.stages.combine import KEYS

_RULE = CombineRule()


@dataclass(slots=True)
class WholeObjects:
    """Combined annotations that must be there, and those that are.

    Attributes
    ----------
    expected, found : Counter of str
        By object, revision and id.
    problems : list of str
        About the stage's memory and where it stands.
    """

    expected: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def read_objects(bus: Bus, prefix: str) -> WholeObjects:
    """Combine the classifications again, and read what is published and remembered of it."""
    whole = WholeObjects()
    classifications = f"{prefix}.classifications"
    for number in range(bus.partition_counts([classifications])[classifications] or 0):
        _read_partition(bus, prefix, Partition(classifications, number), whole)
    for message in read_topic(bus, f"{prefix}.objects"):
        whole.found[_name(decode_object(message.value or b""))] += 1
    return whole


def _read_partition(bus: Bus, prefix: str, partition: Partition, whole: WholeObjects) -> None:
    held: dict[bytes, ObjectAnnotation] = {}
    end = 0
    for message in read_partition(bus, partition.topic, partition.partition):
        end = message.offset + 1
        annotation = decode_classification(message.value or b"")
        key = KEYS + object_key(annotation.survey, annotation.object_id)
        combined = combine(annotation, held.get(key), _RULE, "")
        if isinstance(combined, ObjectAnnotation):
            held[key] = combined
            whole.expected[_name(combined)] += 1

    changes, positions = replay_records(
        read_partition(bus, f"{prefix}.combine-changelog", partition.partition), {}
    )
    remembered = {
        key: decode_object(value).combined_id for key, value in changes.items() if value is not None
    }
    must = {key: combined.combined_id for key, combined in held.items()}
    differing = sorted(key for key in must.keys() | remembered.keys() if must.get(key) != remembered.get(key))
    where = f"objects of partition {partition.partition}"
    if differing:
        key = differing[0]
        whole.problems.append(
            f"{where}: of {len(differing)} objects another annotation is remembered than the bands come to, "
            f"for instance {key.removeprefix(KEYS).decode()}: {remembered.get(key)}, expected {must.get(key)}"
        )
    committed = bus.committed(f"{prefix}.combine", [partition])[partition]
    whole.problems += place_problems(where, positions.get(partition.topic), committed)
    if (committed or 0) < end:
        whole.problems.append(
            f"{where}: the group stands at {committed}, the topic ends at {end}: not idle, or not running "
            "(then say so: combine.enabled = false)"
        )


def _name(annotation: ObjectAnnotation) -> str:
    return f"{annotation.object_id}/{annotation.revision}/{annotation.combined_id}"
