"""Annotations of one object in several bands, for the tests of what combines them."""

from __future__ import annotations

from dataclasses import replace

from broker_plugin.annotate.combine import CombineRule, combine
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.object_annotation import ObjectAnnotation
from tests.filters.examples import CLASSES, annotation

RULE = CombineRule()


def shares(name: str, share: float) -> dict[str, float]:
    """Return probabilities with a share for one class and the rest for the others."""
    return {c: share if c == name else (1 - share) / (len(CLASSES) - 1) for c in CLASSES}


def of_band(band: str, revision: int = 1, **changes: object) -> Annotation:
    """Return the annotation of a band; another revision is another window."""
    return annotation(band=band, revision=revision, window_id=f"{band}{revision}", **changes)


def withdrawn(former: Annotation) -> Annotation:
    """Return what takes an annotation back."""
    return replace(
        former,
        revision=former.revision + 1,
        supersedes=former.annotation_id,
        changes=("withdrawn",),
        withdrawn=True,
    )


def combined(*annotations: Annotation, held: ObjectAnnotation | None = None) -> ObjectAnnotation:
    """Return what annotations come to, one after the other."""
    for one in annotations:
        result = combine(one, held, RULE, "0")
        assert isinstance(result, ObjectAnnotation), result
        held = result
    assert held is not None
    return held
