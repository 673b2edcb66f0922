"""What goes into a translation, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

from broker_plugin.annotate.object_view import as_annotation
from broker_plugin.records import schemas
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import annotation_from_record
from broker_plugin.records.object_annotation import ObjectAnnotation, object_from_record

Source = Literal["classifications", "novelties", "objects"]

KINDS: Mapping[Source, str] = {
    "classifications": "classification",
    "novelties": "novelty",
    "objects": "object",
}
"""Name of the schema of each topic that outputs are made from."""

Headers = tuple[tuple[str, bytes], ...]

FILTER_OUTCOME = "filter_outcome"
"""Name of the field that marks what does not pass its reader's filters any more; a match does not have it."""

NO_LONGER_PASSES = "no_longer_passes"
"""What the field says then."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A record of ``classifications``, ``novelties`` or ``objects``, read.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    record : dict
        As decoded by its schema.
    annotation : Annotation
        The same, typed; of a whole object, what filters can judge.
    consumed_at_ms : int or None
        When the alert behind it was read from the survey, milliseconds since 1970; None where nobody told.
    no_longer_passes : bool
        It is no match: it revises one that its reader was given, and is sent so that the reader knows.
    combined : ObjectAnnotation or None
        What is said of a whole object; None of a band's annotation.
    """

    kind: str
    record: dict[str, Any]
    annotation: Annotation
    consumed_at_ms: int | None = None
    no_longer_passes: bool = False
    combined: ObjectAnnotation | None = None

    @classmethod
    def read(cls, kind: str, value: bytes, consumed_at_ms: int | None = None) -> Self:
        """Read a topic's record; raises ValueError on damaged bytes."""
        record = schemas.decode(kind, value)
        if kind != "object":
            return cls(kind, record, annotation_from_record(record), consumed_at_ms)
        combined = object_from_record(record)
        return cls(kind, record, as_annotation(combined), consumed_at_ms, combined=combined)

    @property
    def identity(self) -> str:
        """Return the id by which readers know it: equal for what is delivered again."""
        return self.annotation.annotation_id if self.combined is None else self.combined.combined_id

    @property
    def subject(self) -> str:
        """Return what it is about: an object's band, or an object, whatever bands it has this time."""
        about = self.annotation
        place = f"{about.survey}/{about.object_id}"
        return f"{place}/{about.band}" if self.combined is None else place


@dataclass(frozen=True, slots=True)
class Translated:
    """A record as a consumer takes it; its key is that of the publication, survey/object."""

    value: bytes
    headers: Headers = ()


def marked(record: dict[str, Any], no_longer_passes: bool) -> dict[str, Any]:
    """Return a record that tells by a field of its own that it is no match; a match stays as it is."""
    return {**record, FILTER_OUTCOME: NO_LONGER_PASSES} if no_longer_passes else record


class Format(Protocol):
    """A translation into one consumer's records."""

    def translate(self, publication: Publication) -> Translated:
        """Return the consumer's record; equal publications give equal bytes.

        Raises
        ------
        ValueError
            The record cannot be said in this format.
        """
