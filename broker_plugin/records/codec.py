"""Between the values of this package and the bytes of the topics."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from broker_plugin.records import schemas
from broker_plugin.records.annotation import Annotation, Neighbour, Novelty, PeriodCandidate, PeriodReport
from broker_plugin.records.color import means_from_record, means_record
from broker_plugin.records.dead_letter import DeadLetter
from broker_plugin.records.epoch import EpochArray, make_epochs
from broker_plugin.records.match import match_from_record, match_record
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.records.plain import plain
from broker_plugin.records.window import Window

_WINDOW_FIELDS = (
    *("survey", "object_id", "band", "ra", "dec"),
    *("alert_id", "alert_time_mjd", "kind", "n_epochs_total"),
)
_RENAMED = {"predicted_class": "class"}  # "class" is a keyword in Python, and the field's name for readers


def encode_photometry(photometry: ObjectPhotometry, framing: schemas.Framing = "single-object") -> bytes:
    """Encode for the photometry topic."""
    versions = [int(epochs["version"].max()) for epochs in photometry.bands.values() if len(epochs)]
    return schemas.encode(
        "photometry",
        {
            "survey": photometry.survey,
            "object_id": photometry.object_id,
            "alert_id": photometry.alert_id,
            "alert_time_mjd": photometry.alert_time_mjd,
            "ra": photometry.ra,
            "dec": photometry.dec,
            "version": max(versions, default=0),
            "bands": [{"band": band, **_columns(epochs)} for band, epochs in photometry.bands.items()],
        },
        framing,
    )


def decode_photometry(data: bytes) -> ObjectPhotometry:
    """Decode from the photometry topic; raises ValueError on damaged bytes or columns of unequal length."""
    record = schemas.decode("photometry", data)
    bands = {
        band["band"]: _epochs(band, version=record["version"], where=f"band {band['band']}")
        for band in record["bands"]
    }
    names = ("survey", "object_id", "alert_id", "alert_time_mjd", "ra", "dec")
    return ObjectPhotometry(**{name: record[name] for name in names}, bands=bands)


def encode_window(window: Window, framing: schemas.Framing = "single-object") -> bytes:
    """Encode for the lightcurves topic."""
    record: dict[str, Any] = {name: getattr(window, name) for name in _WINDOW_FIELDS}
    record |= {"window_id": window.window_id, **_columns(window.epochs)}
    record["version"] = window.epochs["version"].tolist()
    record["withdrawn_mjd"] = list(window.withdrawn_mjd)
    record["band_means"] = means_record(window.band_means)
    return schemas.encode("lightcurve", record, framing)


def decode_window(data: bytes) -> Window:
    """Decode from the lightcurves topic; raises ValueError on damaged bytes or columns of unequal length."""
    record = schemas.decode("lightcurve", data)
    epochs = _epochs(record, version=record["version"], where=f"window {record['window_id']}")
    fields = {name: record[name] for name in _WINDOW_FIELDS}
    return Window(
        **fields,
        epochs=epochs,
        withdrawn_mjd=tuple(record["withdrawn_mjd"]),
        band_means=means_from_record(record["band_means"]),
    )


def annotation_record(annotation: Annotation, processed_at_ms: int) -> dict[str, Any]:
    """Return the annotation as the classification schema's record."""
    record: dict[str, Any] = plain(annotation)
    for ours, theirs in _RENAMED.items():
        record[theirs] = record.pop(ours)
    record["catalogue_match"] = match_record(annotation.catalogue_match)
    return {**record, "annotation_id": annotation.annotation_id, "processed_at": processed_at_ms}


def novelty_record(novelty: Novelty, processed_at_ms: int) -> dict[str, Any]:
    """Return the novelty as its schema's record."""
    columns = ("time_mjd", "mag", "magerr", "phase", "reconstruction_mag")
    record = annotation_record(novelty.annotation, processed_at_ms)
    return record | {name: getattr(novelty, name).tolist() for name in columns}


def encode_classification(
    annotation: Annotation, processed_at_ms: int, framing: schemas.Framing = "container"
) -> bytes:
    """Encode for the classifications topic."""
    return schemas.encode("classification", annotation_record(annotation, processed_at_ms), framing)


def encode_novelty(novelty: Novelty, processed_at_ms: int, framing: schemas.Framing = "container") -> bytes:
    """Encode for the novelties topic."""
    return schemas.encode("novelty", novelty_record(novelty, processed_at_ms), framing)


def decode_classification(data: bytes) -> Annotation:
    """Decode from the classifications topic; raises ValueError on damaged bytes."""
    return annotation_from_record(schemas.decode("classification", data))


def decode_novelty(data: bytes) -> Novelty:
    """Decode from the novelties topic; raises ValueError on damaged bytes."""
    return novelty_from_record(schemas.decode("novelty", data))


def annotation_from_record(record: dict[str, Any]) -> Annotation:
    """Build an annotation from a classification or novelty record."""
    period = record["period"]
    candidates = tuple(PeriodCandidate(**candidate) for candidate in period["candidates"])
    fields = {name: record[_RENAMED.get(name, name)] for name in Annotation.__dataclass_fields__}
    fields["period"] = PeriodReport(**{**period, "candidates": candidates})
    fields["quality_flags"] = tuple(record["quality_flags"])
    fields["changes"] = tuple(record["changes"])
    fields["neighbours"] = tuple(Neighbour(**neighbour) for neighbour in record["neighbours"])
    fields["catalogue_match"] = match_from_record(record["catalogue_match"])
    fields["band_means"] = means_from_record(record["band_means"])
    return Annotation(**fields)


def novelty_from_record(record: dict[str, Any]) -> Novelty:
    """Build a novelty from its record."""
    return Novelty(
        annotation=annotation_from_record(record),
        time_mjd=np.asarray(record["time_mjd"], dtype=np.float64),
        mag=np.asarray(record["mag"], dtype=np.float32),
        magerr=np.asarray(record["magerr"], dtype=np.float32),
        phase=np.asarray(record["phase"], dtype=np.float64),
        reconstruction_mag=np.asarray(record["reconstruction_mag"], dtype=np.float32),
    )


def encode_dead_letter(letter: DeadLetter, framing: schemas.Framing = "container") -> bytes:
    """Encode for the dead-letters topic."""
    record = asdict(letter)
    record["headers"] = [{"name": name, "value": value} for name, value in letter.headers]
    return schemas.encode("dead_letter", record, framing)


def decode_dead_letter(data: bytes) -> DeadLetter:
    """Decode from the dead-letters topic; raises ValueError on damaged bytes."""
    record = schemas.decode("dead_letter", data)
    headers = tuple((header["name"], header["value"]) for header in record["headers"])
    return DeadLetter(**{**record, "headers": headers})


def _columns(epochs: EpochArray) -> dict[str, Any]:
    columns: dict[str, Any] = {name: epochs[name].tolist() for name in ("time_mjd", "mag", "magerr")}
    columns["origin"] = epochs["origin"].tobytes()
    return columns


def _epochs(record: dict[str, Any], *, version: Any, where: str) -> EpochArray:
    origin = np.frombuffer(record["origin"], dtype=np.uint8)
    lengths = {name: len(record[name]) for name in ("time_mjd", "mag", "magerr")} | {"origin": len(origin)}
    if len(set(lengths.values())) != 1:
        msg = f"columns of unequal length in {where}: {lengths}"
        raise ValueError(msg)
    return make_epochs(record["time_mjd"], record["mag"], record["magerr"], origin=origin, version=version)
