"""The part of an audit that is about annotations: every light curve's chain of revisions, whole and once.

Which windows were worth a revision only the model can tell (:mod:`broker_plugin.app.audit_model`). The rest
needs no model: no chain has a gap, a fork or a repetition, each annotation is of a window that there is, each
light curve with a window has one, the novelties are those of the chains, and the stage remembers the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from broker_plugin.annotate.memory import KEYS, Memory, Publish, memory_key
from broker_plugin.app.audit_place import place_problems
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import decode_classification, decode_novelty
from broker_plugin.runner.bus import Bus, read_partition, read_topic
from broker_plugin.runner.changelog import replay_records
from broker_plugin.runner.protocols import Partition


@dataclass(slots=True)
class Chains:
    """What the classifications say, light curve by light curve.

    Attributes
    ----------
    last : dict of str to Annotation
        The revision in force, by ``survey/object/band``.
    windows : Counter of str
        How often each window was annotated, ``object/band/window id``; not again by another model.
    novelties : Counter of str
        What the novelties must hold, by annotation id.
    repeated : Counter of str
        Annotations that are there more than once.
    problems : list of str
    """

    last: dict[str, Annotation] = field(default_factory=dict)
    windows: Counter[str] = field(default_factory=Counter)
    novelties: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def add(self, annotation: Annotation) -> None:
        """Take the next one of the topic."""
        name = f"{annotation.survey}/{annotation.object_id}/{annotation.band}"
        if annotation.annotation_id in self._ids:
            self.repeated[annotation.annotation_id] += 1
            return
        self._ids.add(annotation.annotation_id)
        former = self.last.get(name)
        rescored = former is not None and former.window_id == annotation.window_id
        if not annotation.withdrawn and not ("model" in annotation.changes and rescored):
            self.windows[window_name(annotation)] += 1
        if "late" in annotation.changes:
            self.novelties[annotation.annotation_id] += annotation.novel
            return
        told = former is not None and former.novel and not former.withdrawn
        if told or (annotation.novel and not annotation.withdrawn):
            self.novelties[annotation.annotation_id] += 1
        expected = (1, None) if former is None else (former.revision + 1, former.annotation_id)
        if (annotation.revision, annotation.supersedes) != expected:
            self.problems.append(
                f"annotation {annotation.annotation_id} of {name} is revision {annotation.revision} and "
                f"supersedes {annotation.supersedes}, expected revision {expected[0]} and {expected[1]}"
            )
        self.last[name] = annotation


def window_name(of: Annotation) -> str:
    """Return how an audit names a window."""
    return f"{of.object_id}/{of.band}/{of.window_id}"


def read_chains(bus: Bus, prefix: str) -> Chains:
    """Read the classifications."""
    chains = Chains()
    for message in read_topic(bus, f"{prefix}.classifications"):
        chains.add(decode_classification(message.value or b""))
    return chains


def expected_annotations(scorable: Collection[str], chains: Chains, publish: Publish) -> Counter[str]:
    """Return how often each window must be annotated, as far as that can be told without the model.

    Where only changes are published, a light curve with windows must have an annotation of any of them.
    """
    if publish == "all":
        return Counter(dict.fromkeys(scorable, 1))
    expected = Counter({name: 1 for name in chains.windows if name in scorable})
    annotated = {name.rpartition("/")[0] for name in expected}
    for name in scorable:
        light_curve = name.rpartition("/")[0]
        if light_curve not in annotated:
            annotated.add(light_curve)
            expected[name] += 1
    return expected


def published_novelties(bus: Bus, prefix: str) -> Counter[str]:
    """Return the annotation ids of the novelties."""
    return Counter(
        decode_novelty(message.value or b"").annotation.annotation_id
        for message in read_topic(bus, f"{prefix}.novelties")
    )


def memory_problems(bus: Bus, prefix: str, chains: Chains) -> Iterator[str]:
    """Yield where the stage remembers something else than it has published, or stands elsewhere."""
    topic, windows = f"{prefix}.score-changelog", f"{prefix}.lightcurves"
    remembered: dict[bytes, str] = {}
    for number in range(bus.partition_counts([topic])[topic] or 0):
        changes, positions = replay_records(read_partition(bus, topic, number), {})
        for key, value in changes.items():
            if value is not None and key.startswith(KEYS):
                remembered[key] = Memory.unpack(value).published.annotation_id
        partition = Partition(windows, number)
        committed = bus.committed(f"{prefix}.score", [partition])[partition]
        yield from place_problems(f"memory of partition {number}", positions.get(windows), committed)
    published = {memory_key(a.survey, a.object_id, a.band): a.annotation_id for a in chains.last.values()}
    differing = sorted(
        key for key in remembered.keys() | published.keys() if remembered.get(key) != published.get(key)
    )
    if differing:
        key = differing[0]
        yield (
            f"memory: of {len(differing)} light curves another annotation is remembered than the last one "
            f"published, for instance {key.removeprefix(KEYS).decode()}: {remembered.get(key)}, "
            f"published {published.get(key)}"
        )
