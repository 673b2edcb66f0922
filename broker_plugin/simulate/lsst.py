"""LSST alert packets, schemas 10.0 and 11.0: twelve months of sources and of forced photometry."""

from __future__ import annotations

import datetime as dt
from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker_plugin.decode.schema_sources import BundledSchemas, SchemaMissing
from broker_plugin.errors import ConfigurationError
from broker_plugin.photometry.times import SECONDS_PER_DAY, tai_minus_utc
from broker_plugin.simulate.avro import (
    ContainerFrame,
    RecordAssembler,
    RecordEncoder,
    RegistryFrame,
    encode_array,
    encode_bytes,
    encode_long,
)
from broker_plugin.simulate.cadence import Exposures
from broker_plugin.simulate.identity import lsst_source_id, lsst_visit
from broker_plugin.simulate.measure import Measurements, mag_to_flux
from broker_plugin.simulate.packets import AlertPacket
from broker_plugin.simulate.population import SimulatedObject
from broker_plugin.simulate.stamps import make_stamp

HISTORY_DAYS = 365.25
_PRECOVERY_DAYS = 30.0  # forced photometry reaches back this far before the first detection
_HALF_EXPOSURE_DAYS = 15.0 / 86400
_PROCESSING_DAYS = 60.0 / 86400
_SOURCES_PER_DETECTOR = 2**14
_MJD_UNIX = 40587
_TEMPLATE_ERROR = 0.002  # relative: the coadd is much deeper than a visit, but two fits of one star differ


class LsstFormat:
    """The schema's encoders, and the numbers given out so far; shared by all stars of a simulation.

    Parameters
    ----------
    version : str
        ``"10.0"`` or ``"11.0"``.
    framing : str
        ``"container"`` or ``"registry"``.

    Raises
    ------
    ConfigurationError
        When the installed ``lsst-alert-packet`` does not have the schema.
    """

    def __init__(self, version: str, framing: str) -> None:
        major, minor = (int(part) for part in version.split("."))
        schema = BundledSchemas().schema(100 * major + minor)
        if isinstance(schema, SchemaMissing):
            msg = f"{schema.detail}; install a version of lsst-alert-packet that does"
            raise ConfigurationError(msg)
        types = {field["name"]: field["type"] for field in schema["fields"]}
        self._alert = RecordAssembler(schema)
        self._frame: ContainerFrame | RegistryFrame = (
            RegistryFrame(100 * major + minor) if framing == "registry" else ContainerFrame(schema)
        )
        self.source = RecordEncoder(types["diaSource"])
        self.forced = RecordEncoder(types["prvDiaForcedSources"][1]["items"])
        self.object = RecordEncoder(types["diaObject"][1])
        self._numbers: Counter[tuple[int, int]] = Counter()

    def next_source_id(self, visit: int, detector: int) -> int:
        """Return an id that no other source has."""
        index = self._numbers[visit, detector]
        if index >= _SOURCES_PER_DETECTOR:
            msg = f"more than {_SOURCES_PER_DETECTOR} sources on a detector; simulate more fields (n_fields)"
            raise ConfigurationError(msg)
        self._numbers[visit, detector] += 1
        return lsst_source_id(visit, detector, index)

    def packet(self, fields: dict[str, bytes]) -> bytes:
        """Put a packet together from encoded fields."""
        return self._frame.wrap(self._alert.assemble(fields))


@dataclass(frozen=True, slots=True)
class _Seen:
    """A visit in the star's history, encoded."""

    start_mjd_utc: float
    band: str
    difference: float
    science: float
    source: bytes | None
    forced: bytes


class LsstStream:
    """The packets of one star; parameters as of :class:`broker_plugin.simulate.ztf.ZtfStream`."""

    def __init__(
        self,
        form: LsstFormat,
        star: SimulatedObject,
        exposures: Exposures,
        measured: Measurements,
        rng: np.random.Generator,
        *,
        min_alert_gap_days: float,
        stamp_bytes: int,
    ) -> None:
        self._form = form
        self._star = star
        self._exposures = exposures
        self._measured = measured
        midpoint = exposures.start_mjd_utc + _HALF_EXPOSURE_DAYS
        self._midpoint_tai = midpoint + tai_minus_utc(midpoint) / SECONDS_PER_DAY
        self._rng = rng
        self._min_alert_gap_days = min_alert_gap_days
        self._last_alert_mjd = -np.inf
        self._stamp_bytes = stamp_bytes
        self._history: deque[_Seen] = deque()
        self._detections: list[float] = []  # midpoints, MJD TAI

    def expose(self, index: int) -> AlertPacket | None:
        """Take one exposure; see :class:`broker_plugin.simulate.packets.PacketStream`."""
        start = float(self._exposures.start_mjd_utc[index])
        while self._history and self._history[0].start_mjd_utc < start - HISTORY_DAYS:
            self._history.popleft()
        visit = self._visit(index)
        detected = bool(self._measured.detected[index])
        if detected:
            self._detections.append(visit["midpointMjdTai"])
        source_record = self._source(index, visit) if detected else None
        source = None if source_record is None else self._form.source.encode(source_record)
        packet = None
        rested = start - self._last_alert_mjd >= self._min_alert_gap_days
        if source is not None and source_record is not None and rested:
            self._last_alert_mjd = start
            packet = self._packet(start, source_record["diaSourceId"], source, visit)
        self._history.append(
            _Seen(
                start_mjd_utc=start,
                band=visit["band"],
                difference=float(self._measured.difference[index]),
                science=float(self._measured.flux[index]),
                source=source,
                forced=self._form.forced.encode(self._forced(index, visit)),
            )
        )
        return packet

    def _packet(self, start: float, source_id: int, source: bytes, visit: dict[str, Any]) -> AlertPacket:
        first = self._detections[0] - _PRECOVERY_DAYS
        fields = {
            "diaSourceId": encode_long(source_id),
            "diaSource": source,
            "diaObject": self._form.object.encode(self._object(visit)),
        }
        sources = [seen.source for seen in self._history if seen.source is not None]
        if sources:
            fields["prvDiaSources"] = encode_array(sources)
        forced = [seen.forced for seen in self._history if seen.start_mjd_utc >= first]
        if forced:
            fields["prvDiaForcedSources"] = encode_array(forced)
        if self._stamp_bytes:
            for name in ("Difference", "Science", "Template"):
                fields[f"cutout{name}"] = encode_bytes(make_stamp(self._rng, self._stamp_bytes))
        return AlertPacket(source_id, start, self._form.packet(fields))

    def _visit(self, index: int) -> dict[str, Any]:
        """Return what sources and forced sources of a visit have in common."""
        start = float(self._exposures.start_mjd_utc[index])
        date = dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + int(np.floor(start)) - _MJD_UNIX)
        return {
            "visit": lsst_visit(start, int(date.strftime("%Y%m%d"))),
            "detector": self._star.channel,
            "diaObjectId": int(self._star.object_id),
            "midpointMjdTai": float(self._midpoint_tai[index]),
            "timeProcessedMjdTai": float(self._midpoint_tai[index]) + _PROCESSING_DAYS,
            "band": str(self._exposures.band[index]),
        }

    def _source(self, index: int, visit: dict[str, Any]) -> dict[str, Any]:
        """Return the detection; flags that this simulation never raises are false."""
        measured, rng, star = self._measured, self._rng, self._star
        difference, error = float(measured.difference[index]), float(measured.flux_err[index])
        reference = measured.references[index]
        scatter = rng.normal(0, 0.03, 2) / 3600
        spoiled = bool(measured.outlier[index]) or rng.random() < 0.02
        template_error = _TEMPLATE_ERROR * reference.flux
        return visit | {
            "diaSourceId": self._form.next_source_id(visit["visit"], visit["detector"]),
            "ra": star.ra + float(scatter[0]) / float(np.cos(np.deg2rad(star.dec))),
            "dec": star.dec + float(scatter[1]),
            "raErr": 1e-5,
            "decErr": 1e-5,
            "x": float(rng.uniform(20, 4050)),
            "y": float(rng.uniform(20, 3980)),
            "psfFlux": difference,
            "psfFluxErr": error,
            "apFlux": difference + error * float(rng.standard_normal()),
            "apFluxErr": 1.3 * error,
            "snr": abs(difference) / error,
            "isNegative": difference < 0,
            "psfChi2": 41.0,
            "psfNdata": 41,
            "trailNdata": 0,
            "dipoleNdata": 0,
            "scienceFlux": float(measured.flux[index]),
            "scienceFluxErr": error,
            "templateFlux": reference.flux + template_error * float(rng.standard_normal()),
            "templateFluxErr": template_error,
            "extendedness": 0.0,
            "reliability": float(rng.uniform(0.0, 0.5) if spoiled else rng.uniform(0.7, 1.0)),
            "isDipole": False,
            "dipoleFitAttempted": False,
            "bboxSize": 30,
            **_LOWERED_FLAGS,
        }

    def _forced(self, index: int, visit: dict[str, Any]) -> dict[str, Any]:
        measured = self._measured
        lost = bool(measured.saturated[index])
        return visit | {
            # Forced ids need only differ from one another; the visit tells them apart.
            "diaForcedSourceId": (visit["visit"] << 21) | self._star.index % 2**21,
            "ra": self._star.ra,
            "dec": self._star.dec,
            "psfFlux": None if lost else float(measured.difference[index]),
            "psfFluxErr": None if lost else float(measured.flux_err[index]),
            "scienceFlux": None if lost else float(measured.flux[index]),
            "scienceFluxErr": None if lost else float(measured.flux_err[index]),
        }

    def _object(self, visit: dict[str, Any]) -> dict[str, Any]:
        """Return the object's summary; nJy."""
        record: dict[str, Any] = {
            "diaObjectId": int(self._star.object_id),
            "validityStartMjdTai": visit["timeProcessedMjdTai"],
            "ra": self._star.ra,
            "dec": self._star.dec,
            "raErr": 1e-5,
            "decErr": 1e-5,
            "firstDiaSourceMjdTai": self._detections[0],
            "lastDiaSourceMjdTai": self._detections[-1],
            "nDiaSources": len(self._detections),
        }
        for band in "ugrizy":
            seen = [entry for entry in self._history if entry.band == band and entry.source is not None]
            record[f"{band}_psfFluxNdata"] = len(seen)
            if seen:
                record[f"{band}_psfFluxMean"] = float(np.mean([entry.difference for entry in seen]))
                record[f"{band}_scienceFluxMean"] = float(np.mean([entry.science for entry in seen]))
            # Model means stand in for the coadd's: packets carry them whether or not a band was detected.
            record[f"{band}_fpFluxMean"] = float(mag_to_flux(np.array(self._star.mean_mag[band])))
        return record


_LOWERED_FLAGS = dict.fromkeys(
    (
        "centroid_flag",
        "apFlux_flag",
        "apFlux_flag_apertureTruncated",
        "psfFlux_flag",
        "psfFlux_flag_edge",
        "psfFlux_flag_noGoodPixels",
        "forced_PsfFlux_flag",
        "forced_PsfFlux_flag_edge",
        "forced_PsfFlux_flag_noGoodPixels",
        "shape_flag",
        "pixelFlags",
        "pixelFlags_bad",
        "pixelFlags_cr",
        "pixelFlags_crCenter",
        "pixelFlags_edge",
        "pixelFlags_nodata",
        "pixelFlags_interpolated",
        "pixelFlags_interpolatedCenter",
        "pixelFlags_saturated",
        "pixelFlags_saturatedCenter",
        "pixelFlags_streak",
        "glint_trail",
    ),
    False,
)
