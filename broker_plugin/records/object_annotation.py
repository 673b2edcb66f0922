"""What is said of an object, from all its bands together, and its Avro form."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from broker_plugin.records import schemas
from broker_plugin.records.match import CatalogueMatch, match_from_record, match_record

RULE = "1"
"""Version of the rule by which bands are combined; part of the id."""

PERIOD_AGREEMENTS = {
    "agree": "all bands with a significant period have the same",
    "harmonic": "they have the same or simple multiples of it",
    "majority": "most of them have the same or a simple multiple, others another",
    "disagree": "no two bands agree: the period is that of the most significant one",
    "single": "one band alone has a significant period",
    "none": "no band has",
}
"""How the bands' periods go together."""


@dataclass(frozen=True, slots=True)
class BandOpinion:
    """What the annotation in force of one band says, as far as it is combined.

    Attributes
    ----------
    band : str
    annotation_id, window_id : str
    revision : int
        As in :class:`broker_plugin.records.annotation.Annotation`, here and below.
    alert_time_mjd, first_epoch_mjd, last_epoch_mjd : float
    n_epochs_total : int
    predicted_class : str
    probabilities : mapping of str to float
    energy, energy_percentile : float
    p_value : float or None
    novel : bool
    period_days : float or None
        None when no period is significant.
    fold_days : float
    period_method : str
    log10_false_alarm : float
    mean_mag, std_mag : float
    quality_flags : tuple of str
    model_name, model_version, model_digest : str
    """

    band: str
    annotation_id: str
    window_id: str
    revision: int
    alert_time_mjd: float
    first_epoch_mjd: float
    last_epoch_mjd: float
    n_epochs_total: int
    predicted_class: str
    probabilities: Mapping[str, float]
    energy: float
    energy_percentile: float
    p_value: float | None
    novel: bool
    period_days: float | None
    fold_days: float
    period_method: str
    log10_false_alarm: float
    mean_mag: float
    std_mag: float
    quality_flags: tuple[str, ...]
    model_name: str
    model_version: str
    model_digest: str


@dataclass(frozen=True, slots=True)
class ObjectAnnotation:
    """Class and novelty of an object from all its bands, by :mod:`broker_plugin.annotate.combine`.

    Attributes
    ----------
    survey, object_id : str
    ra, dec : float
        Degrees, of the newest annotation.
    alert_id : str
    alert_time_mjd : float
        The alert that led to the newest annotation, and its exposure.
    bands : tuple of BandOpinion
        What was combined, by name of the band; empty in a withdrawal.
    probabilities : mapping of str to float
        Of the classes, summing to one; empty in a withdrawal.
    predicted_class : str
        The most probable; "" in a withdrawal.
    p_value : float or None
        Combined; None if no band has one.
    novel : bool
    period_days : float or None
        The one that the bands agree on best; None if none is significant.
    period_agreement : str
        One of :data:`PERIOD_AGREEMENTS`.
    colours : mapping of str to float
        By the names of :data:`broker_plugin.features.external.COLOURS`, magnitudes, of the newest window.
    catalogue_match : CatalogueMatch or None
        Of the newest annotation.
    quality_flags : tuple of str
        Of the combination: :data:`broker_plugin.annotate.combine.OBJECT_FLAGS`.
    revision : int
        1, 2, ... of the object.
    supersedes : str or None
        Id of the revision before.
    withdrawn : bool
        No band has an annotation in force any more.
    code_version : str
    rule : str
        :data:`RULE`.
    """

    survey: str
    object_id: str
    ra: float
    dec: float
    alert_id: str
    alert_time_mjd: float
    bands: tuple[BandOpinion, ...]
    probabilities: Mapping[str, float]
    predicted_class: str
    p_value: float | None
    novel: bool
    period_days: float | None
    period_agreement: str
    colours: Mapping[str, float]
    catalogue_match: CatalogueMatch | None
    quality_flags: tuple[str, ...]
    revision: int
    supersedes: str | None
    withdrawn: bool
    code_version: str
    rule: str = RULE

    @property
    def combined_id(self) -> str:
        """Return a deterministic id: of the object, its revision, and the annotations behind it."""
        parts = (f"{band.band}={band.annotation_id}.{band.revision}" for band in self.bands)
        text = "/".join((self.survey, self.object_id, self.rule, str(self.revision), *parts))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def object_record(annotation: ObjectAnnotation, processed_at_ms: int) -> dict[str, Any]:
    """Return the annotation as its schema's record."""
    record = asdict(annotation)
    for part in (record, *record["bands"]):
        part["class"] = part.pop("predicted_class")  # a keyword in Python, and the field's name for readers
    record["catalogue_match"] = match_record(annotation.catalogue_match)
    return {**record, "combined_id": annotation.combined_id, "processed_at": processed_at_ms}


def object_from_record(record: Mapping[str, Any]) -> ObjectAnnotation:
    """Build the annotation from its record."""
    fields = {name: record[_RENAMED.get(name, name)] for name in ObjectAnnotation.__dataclass_fields__}
    fields["bands"] = tuple(_opinion(band) for band in record["bands"])
    fields["catalogue_match"] = match_from_record(record["catalogue_match"])
    fields["quality_flags"] = tuple(record["quality_flags"])
    return ObjectAnnotation(**fields)


_RENAMED = {"predicted_class": "class"}


def _opinion(record: Mapping[str, Any]) -> BandOpinion:
    fields = {name: record[_RENAMED.get(name, name)] for name in BandOpinion.__dataclass_fields__}
    return BandOpinion(**{**fields, "quality_flags": tuple(record["quality_flags"])})


def encode_object(
    annotation: ObjectAnnotation, processed_at_ms: int, framing: schemas.Framing = "container"
) -> bytes:
    """Encode for the objects topic."""
    return schemas.encode("object", object_record(annotation, processed_at_ms), framing)


def decode_object(data: bytes) -> ObjectAnnotation:
    """Decode from the objects topic; raises ValueError on damaged bytes."""
    return object_from_record(schemas.decode("object", data))
