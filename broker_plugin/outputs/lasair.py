"""Lasair annotations, for its Kafka and for its REST interface.

Written against lasair 0.1.4 on PyPI (``lasair_client.annotate``, ``annotate_list``, ``lasair_producer``) and
the server's side of both in lsst-uk/lasair-lsst and lsst-uk/lasair4 (``webserver/lasairapi/serializers.py``,
``services/annotations/kafkaPush/kafka2annotation.py``, ``common/schema/*/annotations.py``).

What limits the record:

- Lengths: ``version`` 16 (client), ``classification`` 80, ``explanation`` and ``url`` 1024, ``classdict``
  4096 as JSON text, ``topic`` 255 (server).
- The server puts the values between apostrophes into SQL: an apostrophe ends the value, a backslash changes
  it, and a number instead of a string ends its program. All are strings here, without either.
- The Kafka side passes over empty values, and over annotations without a classification.
- One annotation an object and annotator: the next one replaces it, whatever its band; that of all bands
  together (``source = "objects"``) is one. So what does not pass the output's filters any more replaces the
  match, and says so to people and in ``classdict``.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from broker_plugin.outputs.publication import Publication, Translated, marked
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.object_annotation import PERIOD_AGREEMENTS, ObjectAnnotation

VERSION_LENGTH = 16
CLASSIFICATION_LENGTH = 80
EXPLANATION_LENGTH = 1024
CLASSDICT_LENGTH = 4096
URL_LENGTH = 1024
ANNOTATOR_LENGTH = 255

NOVEL = "NOVEL"
"""Classification of what is above the novelty threshold: one word, so that a Lasair filter can ask for it."""

WITHDRAWN = "WITHDRAWN"
"""Classification of what is taken back: Lasair keeps the last annotation, so one must replace it."""

REVISED = "No longer meets the criteria of this annotator. "
"""How the explanation of what does not pass any more begins."""

URL_FIELDS = ("survey", "object_id", "band", "ra", "dec", "annotation_id")
"""What an address may name in braces."""

_OBJECT_ID = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class LasairFormat:
    """Annotations of one annotator.

    Attributes
    ----------
    annotator : str
        Its name as agreed with Lasair, what their documents call its topic.
    url : str
        Address of a page about the object, with names from :data:`URL_FIELDS` in braces; empty for none.
    """

    annotator: str
    url: str = ""

    def translate(self, publication: Publication) -> Translated:
        """Return the JSON object that Lasair's Kafka takes; for REST, :func:`rest_form` makes its form."""
        record = self.annotation(
            publication.annotation,
            no_longer_passes=publication.no_longer_passes,
            combined=publication.combined,
        )
        return Translated(json.dumps(record, separators=(",", ":")).encode())

    def annotation(
        self,
        annotation: Annotation,
        *,
        no_longer_passes: bool = False,
        combined: ObjectAnnotation | None = None,
    ) -> dict[str, Any]:
        """Return the annotation with ``classdict`` as an object.

        Parameters
        ----------
        annotation : Annotation
        no_longer_passes : bool
        combined : ObjectAnnotation, optional
            What ``annotation`` is the view of; then its bands speak.

        Raises
        ------
        ValueError
            The object's id has characters that no survey gives, or something is longer than Lasair takes.
        """
        if not _OBJECT_ID.fullmatch(annotation.object_id):
            msg = f"object id {annotation.object_id!r}: expected letters and digits, at most 255"
            raise ValueError(msg)
        introduction = REVISED if no_longer_passes else ""
        if combined is None:
            words, dictionary = explanation(annotation), class_dictionary(annotation)
        else:
            words, dictionary = explanation_of_object(combined), object_dictionary(combined)
        named = {name: getattr(annotation, name) for name in URL_FIELDS}
        named["annotation_id"] = dictionary["annotation_id"]
        record: dict[str, Any] = {
            "objectId": annotation.object_id,
            "topic": self.annotator,
            "version": harmless(annotation.model_version)[:VERSION_LENGTH],
            "classification": _classification(annotation),
            "explanation": harmless(introduction + words)[:EXPLANATION_LENGTH],
            "classdict": marked(dictionary, no_longer_passes),
            "url": harmless(self.url.format(**named)),
        }
        for name, limit in (("classification", CLASSIFICATION_LENGTH), ("url", URL_LENGTH)):
            if len(record[name]) > limit:
                msg = (
                    f"{name} has {len(record[name])} characters, Lasair takes {limit}: {record[name][:80]}..."
                )
                raise ValueError(msg)
        length = len(json.dumps(record["classdict"]))
        if length > CLASSDICT_LENGTH:
            msg = f"classdict has {length} characters, Lasair takes {CLASSDICT_LENGTH}"
            raise ValueError(msg)
        return {name: value for name, value in record.items() if value}


def rest_form(record: dict[str, Any]) -> dict[str, str]:
    """Return the annotation as the REST interface takes it: every field there, ``classdict`` as JSON text.

    Parameters
    ----------
    record : dict
        As :meth:`LasairFormat.annotation` returns it, or decoded from what ``translate`` returned.
    """
    return {
        "objectId": record["objectId"],
        "topic": record["topic"],
        "classification": record["classification"],
        "version": record.get("version") or "0.1",  # the client's own default
        "explanation": record.get("explanation", ""),
        "classdict": json.dumps(record["classdict"]),
        "url": record.get("url", ""),
    }


def harmless(text: str) -> str:
    """Return the text without what their SQL would take for its own, on one line."""
    return _UNPRINTABLE.sub(" ", text).replace("'", "").replace("\\", "")


def _classification(annotation: Annotation) -> str:
    if annotation.withdrawn:
        return WITHDRAWN
    return NOVEL if annotation.novel else harmless(annotation.predicted_class)


def explanation(annotation: Annotation) -> str:
    """Return two or three sentences for a person."""
    if annotation.withdrawn:
        return (
            f"Taken back: the survey has withdrawn epochs in {annotation.band} under annotation "
            f"{annotation.supersedes}, and too few are left to say anything."
        )
    share = annotation.probabilities.get(annotation.predicted_class, 0.0)
    period = annotation.period.value_days
    rank = f"energy {annotation.energy:.2f}, above {annotation.energy_percentile:.1f} % of the training stars"
    if annotation.p_value is not None:
        rank += f" (p {annotation.p_value:.2g})"
    parts = [
        f"{'Unlike the known kinds' if annotation.novel else 'Like a known kind'}: {rank}.",
        f"Nearest class {annotation.predicted_class} ({share:.0%}), from {annotation.n_epochs} epochs in "
        f"{annotation.band}, mean {annotation.mean_mag:.2f} mag.",
        f"Period {period:.6g} d." if period is not None else "No significant period.",
    ]
    return " ".join([*parts, *_doubts(annotation.quality_flags)])


def explanation_of_object(combined: ObjectAnnotation) -> str:
    """Return the same of all bands together."""
    if combined.withdrawn:
        return (
            f"Taken back: the survey has withdrawn epochs under annotation {combined.supersedes}, and no "
            "band has enough left to say anything."
        )
    share = combined.probabilities.get(combined.predicted_class, 0.0)
    rank = "" if combined.p_value is None else f": p {combined.p_value:.2g} of all bands together"
    opinions = ", ".join(f"{band.band} {band.predicted_class}" for band in combined.bands)
    period = combined.period_days
    agreement = PERIOD_AGREEMENTS.get(combined.period_agreement, combined.period_agreement)
    parts = [
        f"{'Unlike the known kinds' if combined.novel else 'Like a known kind'}{rank}.",
        f"Nearest class {combined.predicted_class} ({share:.0%}); by band: {opinions}.",
        f"Period {period:.6g} d: {agreement}." if period is not None else "No significant period.",
    ]
    flags = dict.fromkeys(
        [*combined.quality_flags, *(f for band in combined.bands for f in band.quality_flags)]
    )
    return " ".join([*parts, *_doubts(flags)])


def _doubts(flags: Iterable[str]) -> list[str]:
    words = ", ".join(flag.replace("_", " ") for flag in flags)
    return [f"Doubts: {words}."] if words else []


def class_dictionary(annotation: Annotation) -> dict[str, Any]:
    """Return what a machine wants to know, in few digits: Lasair keeps 4096 characters."""
    return {
        "annotation_id": annotation.annotation_id,
        "revision": annotation.revision,
        "supersedes": annotation.supersedes,
        "withdrawn": annotation.withdrawn,
        "band": _plain(annotation.band),
        "class": _plain(annotation.predicted_class),
        "probabilities": {_plain(name): round(p, 4) for name, p in annotation.probabilities.items()},
        "novel": annotation.novel,
        "energy": _number(annotation.energy, 3),
        "energy_percentile": _number(annotation.energy_percentile, 2),
        "p_value": _optional(annotation.p_value, 5),
        "period_days": _optional(annotation.period.value_days, 8),
        "mean_mag": _number(annotation.mean_mag, 3),
        "n_epochs": annotation.n_epochs_total,
        "last_epoch_mjd": _number(annotation.last_epoch_mjd, 5),
        "flags": [_plain(flag) for flag in annotation.quality_flags],
        "model": _plain(f"{annotation.model_name} {annotation.model_version}"),
    }


def object_dictionary(combined: ObjectAnnotation) -> dict[str, Any]:
    """Return the same of all bands together, each with its own verdict."""
    return {
        "annotation_id": combined.combined_id,
        "revision": combined.revision,
        "supersedes": combined.supersedes,
        "withdrawn": combined.withdrawn,
        "class": _plain(combined.predicted_class),
        "probabilities": {_plain(name): round(p, 4) for name, p in combined.probabilities.items()},
        "novel": combined.novel,
        "p_value": _optional(combined.p_value, 5),
        "period_days": _optional(combined.period_days, 8),
        "period_agreement": _plain(combined.period_agreement),
        "bands": {
            _plain(band.band): {
                "class": _plain(band.predicted_class),
                "novel": band.novel,
                "p_value": _optional(band.p_value, 5),
                "period_days": _optional(band.period_days, 8),
                "mean_mag": _number(band.mean_mag, 3),
                "n_epochs": band.n_epochs_total,
                "last_epoch_mjd": _number(band.last_epoch_mjd, 5),
                "flags": [_plain(flag) for flag in band.quality_flags],
                "model": _plain(f"{band.model_name} {band.model_version}"),
            }
            for band in combined.bands
        },
        "flags": [_plain(flag) for flag in combined.quality_flags],
    }


def _plain(text: str) -> str:
    """Return harmless text without quotation marks: JSON escapes them, and their SQL drops the escape."""
    return harmless(text).replace('"', "")


def _number(value: float, digits: int) -> float:
    """Return a rounded number; raises ValueError for what JSON has not."""
    if not math.isfinite(value):
        msg = f"{value} in an annotation has no JSON form"
        raise ValueError(msg)
    return round(value, digits)


def _optional(value: float | None, digits: int) -> float | None:
    return None if value is None else _number(value, digits)
