"""What a person says of a light curve, and its Avro form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from broker_plugin.records import schemas

VERDICTS = ("interesting", "artefact", "known")
"""What a label can say; ``"none"`` takes one back."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label; the fields are those of ``schemas/label``.

    Attributes
    ----------
    label_id : str
        Random; deduplicate by it.
    survey, object_id, band : str
        The light curve.
    ra, dec : float
        Degrees, J2000.
    verdict : str
        One of :data:`VERDICTS`, or ``"none"``.
    class_ : str or None
        Of a known kind: one of the model's classes or any other name.
    comment, author : str
    labelled_at_ms : int
        Milliseconds since 1970.
    annotation_id, window_id : str
        What the person was looking at.
    model_digest, predicted_class : str
    energy : float
    period_days : float or None
        What the model had said.
    """

    label_id: str
    survey: str
    object_id: str
    band: str
    ra: float
    dec: float
    verdict: str
    class_: str | None
    comment: str
    author: str
    labelled_at_ms: int
    annotation_id: str
    window_id: str
    model_digest: str
    predicted_class: str
    energy: float
    period_days: float | None

    @property
    def key(self) -> str:
        """Return the light curve's name in the store."""
        return f"{self.survey}/{self.object_id}/{self.band}"


def encode_label(label: Label, framing: schemas.Framing = "container") -> bytes:
    """Encode for the labels topic."""
    return schemas.encode("label", label_record(label), framing)


def decode_label(data: bytes) -> Label:
    """Decode from the labels topic; raises ValueError on damaged bytes."""
    record = schemas.decode("label", data)
    return label_from_record({**record, "labelled_at": round(record["labelled_at"].timestamp() * 1000)})


def label_record(label: Label) -> dict[str, Any]:
    """Return the label as the schema's record, the time in milliseconds."""
    record = asdict(label)
    record["class"] = record.pop("class_")  # a keyword in Python, and the field's name for readers
    record["labelled_at"] = record.pop("labelled_at_ms")
    return record


def label_from_record(record: Mapping[str, Any]) -> Label:
    """Build a label from its record, the time in milliseconds."""
    fields = dict(record)
    fields["class_"] = fields.pop("class")
    fields["labelled_at_ms"] = fields.pop("labelled_at")
    return Label(**fields)
