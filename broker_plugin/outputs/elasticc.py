"""ELAsTiCC/DESC ``brokerClassification`` 0.9.1: one schemaless Avro record an annotation.

Written against ``alert_schema/elasticc.v0_9_1.brokerClassification.avsc`` and ``taxonomy/taxonomy.ipynb`` of
LSSTDESC/elasticc. Names and types are theirs, the misspelt record name among them; a test holds our copy of
the schema to the fingerprint of theirs.

What of their record we cannot know, and what is said instead:

- ``elasticcPublishTimestamp``: no light curve carries when its alert was published; the exposure's middle is
  given, which is some minutes earlier.
- ``alertId`` equals ``diaSourceId``, as in Rubin's own alerts. For ZTF both are the ``candid``.
- A withdrawal: the list of classifications is empty, nothing is said of the object; ``classifierParams`` has
  ``withdrawn``, and in ``supersedes`` the ``annotation_id`` of the message that does not hold any more.
- What does not pass the output's filters any more: the classifications as they are now, ``filter_outcome`` in
  ``classifierParams``.
- All bands of an object together (``source = "objects"``) are a classifier of its own, :data:`OF_OBJECTS`: a
  withdrawal knows no model any more, and must come under the name of what it takes back.
"""

from __future__ import annotations

import io
import json
import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import fastavro
import numpy as np

from broker_plugin.errors import ConfigurationError
from broker_plugin.outputs.publication import Publication, Translated, marked
from broker_plugin.photometry.times import mjd_tai_from_bmjd_tdb, tai_minus_utc
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.object_annotation import RULE, ObjectAnnotation

_SCHEMA_FILE = "elasticc.v0_9_1.brokerClassification.avsc"
_TAXONOMY_FILE = "elasticc_taxonomy.toml"
_MJD_1970 = 40587.0
_DAY_MS = 86_400_000.0
_LARGEST_LONG = 2**63 - 1

OF_OBJECTS = f"all bands combined, rule {RULE}"
"""``classifierName`` of what is said of whole objects."""


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """Our classes in DESC's numbers.

    Attributes
    ----------
    class_ids : mapping of str to int
        DESC's classId by class of the model.
    novelty_class_id : int
        Gets a share of a novel annotation's probability.
    novelty_share : float
        That share, 0 to 1. The network's probabilities assume a known kind; of a novel object they are scaled
        by what is left. A convention, no calibration.
    """

    class_ids: Mapping[str, int]
    novelty_class_id: int
    novelty_share: float

    def missing(self, classes: Collection[str]) -> list[str]:
        """Return the classes that have no number."""
        return [name for name in classes if name not in self.class_ids]

    def classifications(self, annotation: Annotation) -> list[dict[str, Any]]:
        """Return classId and probability, each id once, in order, adding to one.

        Raises
        ------
        ValueError
            A class has no number, or the probabilities do not add to one.
        """
        missing = self.missing(tuple(annotation.probabilities))
        if missing:
            msg = f"the taxonomy has no number for {', '.join(missing)}"
            raise ValueError(msg)
        total = math.fsum(annotation.probabilities.values())
        if not math.isclose(total, 1.0, abs_tol=1e-4):
            msg = f"the probabilities add to {total:g}, expected 1"
            raise ValueError(msg)
        share = self.novelty_share if annotation.novel else 0.0
        parts: dict[int, list[float]] = {}
        if share > 0:
            parts[self.novelty_class_id] = [share]
        for name, probability in annotation.probabilities.items():
            parts.setdefault(self.class_ids[name], []).append(probability / total * (1 - share))
        return [
            {"classId": number, "probability": min(1.0, math.fsum(parts[number]))} for number in sorted(parts)
        ]


@dataclass(frozen=True, slots=True)
class ElasticcFormat:
    """See the module.

    Attributes
    ----------
    taxonomy : Taxonomy
    broker_name : str
        As agreed with DESC; it never changes.
    """

    taxonomy: Taxonomy
    broker_name: str

    def translate(self, publication: Publication) -> Translated:
        """Return the schemaless body."""
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schema(), self.classification(publication))
        return Translated(body.getvalue())

    def classification(self, publication: Publication) -> dict[str, Any]:
        """Return the record before it is encoded.

        Raises
        ------
        ValueError
            The alert's id is no 64-bit number, or see :meth:`Taxonomy.classifications`.
        """
        annotation = publication.annotation
        alert_id = _long(annotation.alert_id)
        combined = publication.combined
        parameters = {
            "annotation_id": publication.identity,
            "revision": annotation.revision,
            "supersedes": annotation.supersedes,
            "withdrawn": annotation.withdrawn,
            "period_days": annotation.period.value_days,
            "p_value": annotation.p_value,
            "novel": annotation.novel,
            "quality_flags": list(annotation.quality_flags),
            **(_of_band(annotation) if combined is None else _of_object(combined)),
        }
        return {
            "alertId": alert_id,
            "diaSourceId": alert_id,
            "elasticcPublishTimestamp": exposure_ms(annotation),
            "brokerIngestTimestamp": publication.consumed_at_ms,
            "brokerName": self.broker_name,
            "brokerVersion": annotation.code_version,
            "classifierName": OF_OBJECTS
            if combined
            else f"{annotation.model_name} {annotation.model_version}",
            "classifierParams": json.dumps(
                marked(parameters, publication.no_longer_passes), separators=(",", ":")
            ),
            "classifications": [] if annotation.withdrawn else self.taxonomy.classifications(annotation),
        }


def _of_band(annotation: Annotation) -> dict[str, Any]:
    return {
        "band": annotation.band,
        "n_epochs": annotation.n_epochs,
        "energy": annotation.energy,
        "model_digest": annotation.model_digest,
    }


def _of_object(combined: ObjectAnnotation) -> dict[str, Any]:
    return {
        "period_agreement": combined.period_agreement,
        "bands": {
            band.band: {"n_epochs": band.n_epochs_total, "model_digest": band.model_digest}
            for band in combined.bands
        },
    }


def exposure_ms(annotation: Annotation) -> int:
    """Return the middle of the alert's exposure, UTC, in milliseconds since 1970.

    Raises
    ------
    ValueError
        The annotation's time or position is no number.
    """
    if not all(map(math.isfinite, (annotation.alert_time_mjd, annotation.ra, annotation.dec))):
        msg = f"time {annotation.alert_time_mjd} at {annotation.ra}, {annotation.dec} is no moment"
        raise ValueError(msg)
    tai = mjd_tai_from_bmjd_tdb(
        np.array([annotation.alert_time_mjd]), np.array([annotation.ra]), np.array([annotation.dec])
    )
    moment = (float(tai[0]) - _MJD_1970) * _DAY_MS - float(tai_minus_utc(tai)[0]) * 1000
    return round(moment)


@cache
def schema() -> dict[str, Any]:
    """Return the parsed schema."""
    text = resources.files(__package__).joinpath("data", _SCHEMA_FILE).read_text(encoding="utf-8")
    parsed: dict[str, Any] = fastavro.parse_schema(json.loads(text), named_schemas={})
    return parsed


def shipped_taxonomy() -> Taxonomy:
    """Return the mapping of the default model's classes."""
    resource = resources.files(__package__).joinpath("data", _TAXONOMY_FILE)
    return parse_taxonomy(resource.read_text(encoding="utf-8"), _TAXONOMY_FILE)


def load_taxonomy(path: Path) -> Taxonomy:
    """Read a mapping file; raises ConfigurationError, naming all that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the taxonomy {path} cannot be read ({type(error).__name__})"
        raise ConfigurationError(msg) from error
    return parse_taxonomy(text, str(path))


def parse_taxonomy(text: str, where: str) -> Taxonomy:
    """Parse a mapping file: ``[classes]`` with a number for each class, ``[novelty]`` with id and share."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"the taxonomy {where} is not valid TOML: {error}"
        raise ConfigurationError(msg) from error
    classes, novelty = tree.get("classes", {}), tree.get("novelty", {})
    problems = [f"unknown table or key {name}" for name in tree if name not in ("classes", "novelty")]
    if not isinstance(classes, dict) or not classes:
        problems.append("expected a table [classes] of class = classId")
        classes = {}
    problems += [
        f"classes.{name} = {number!r}: expected a classId"
        for name, number in classes.items()
        if not _is_id(number)
    ]
    if not isinstance(novelty, dict) or not _is_id(novelty.get("class_id")):
        problems.append("expected novelty.class_id, a classId")
    share = novelty.get("share") if isinstance(novelty, dict) else None
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        problems.append(f"novelty.share = {share!r}: expected a number from 0 to 1")
    if problems:
        msg = "\n  ".join([f"the taxonomy {where} cannot be used:", *problems])
        raise ConfigurationError(msg)
    return Taxonomy(dict(classes), novelty["class_id"], float(novelty["share"]))


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _long(alert_id: str) -> int:
    if not alert_id.isascii() or not alert_id.isdigit() or int(alert_id) > _LARGEST_LONG:
        msg = f"alert id {alert_id!r}: DESC's schema takes 64-bit numbers"
        raise ValueError(msg)
    return int(alert_id)
