"""A star's ZTF alerts: candidate, 30 days of previous candidates and of forced photometry."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from broker_plugin.photometry.times import MJD_ZERO_JD
from broker_plugin.simulate.cadence import Exposures
from broker_plugin.simulate.identity import ztf_night_id, ztf_pid
from broker_plugin.simulate.measure import AB_ZERO_POINT, Measurements, Reference
from broker_plugin.simulate.packets import AlertPacket
from broker_plugin.simulate.population import SimulatedObject
from broker_plugin.simulate.stamps import make_stamp
from broker_plugin.simulate.ztf_format import FILTER_IDS, HISTORY_DAYS, ZtfFormat

_MISSING = -99999.0  # of forced photometry
_JD_DECIMALS = 7  # of ZTF's own jd


@dataclass(frozen=True, slots=True)
class _Seen:
    """An exposure in the star's history, encoded."""

    start_mjd_utc: float
    previous: bytes
    forced: bytes


class ZtfStream:
    """The packets of one star.

    Parameters
    ----------
    form : ZtfFormat
    star : SimulatedObject
    exposures : Exposures
    measured : Measurements
    rng : Generator
        For positions and quality scores.
    field_number : int
    min_alert_gap_days : float
        A detection sooner after the star's last alert sends none.
    stamp_bytes : int
    """

    def __init__(
        self,
        form: ZtfFormat,
        star: SimulatedObject,
        exposures: Exposures,
        measured: Measurements,
        rng: np.random.Generator,
        *,
        field_number: int,
        min_alert_gap_days: float,
        stamp_bytes: int,
    ) -> None:
        self._form = form
        self._star = star
        self._field_number = field_number
        self._exposures = exposures
        self._measured = measured
        self._rng = rng
        self._min_alert_gap_days = min_alert_gap_days
        self._last_alert_mjd = -np.inf
        self._stamp_bytes = stamp_bytes
        self._history: deque[_Seen] = deque()
        self._detections = 0
        self._first_detection_jd: float | None = None
        self._nearest_offset_arcsec = abs(float(rng.normal(0.1, 0.06))) + 0.01

    def expose(self, index: int) -> AlertPacket | None:
        """Take one exposure; see :class:`broker_plugin.simulate.packets.PacketStream`."""
        start = float(self._exposures.start_mjd_utc[index])
        while self._history and self._history[0].start_mjd_utc < start - HISTORY_DAYS:
            self._history.popleft()
        image = self._image(index)
        packet = None
        detection: dict[str, Any] | None = None
        if self._measured.detected[index]:
            self._detections += 1
            self._first_detection_jd = self._first_detection_jd or image["jd"]
            detection = self._detection(index, image)
            if start - self._last_alert_mjd >= self._min_alert_gap_days:
                self._last_alert_mjd = start
                packet = self._packet(index, start, detection)
        forced = self._form.forced.encode(self._forced(index, image))
        previous = self._form.previous.encode(self._previous(image, detection))
        self._history.append(_Seen(start, previous, forced))
        return packet

    def _packet(self, index: int, start: float, detection: dict[str, Any]) -> AlertPacket:
        candid = int(detection["candid"])
        payload = self._form.packet(
            self._star.object_id,
            candid,
            candidate=self._form.candidate.encode(detection | self._context(index)),
            previous=[seen.previous for seen in self._history],
            forced=[seen.forced for seen in self._history],
            cutouts=self._cutouts(candid),
        )
        return AlertPacket(candid, start, payload)

    def _image(self, index: int) -> dict[str, Any]:
        """Return what is known of the exposure whether or not the star is seen on it."""
        start = float(self._exposures.start_mjd_utc[index])
        band = str(self._exposures.band[index])
        return {
            "jd": round(start + MJD_ZERO_JD, _JD_DECIMALS),
            "fid": FILTER_IDS[band],
            "pid": ztf_pid(start, self._star.channel),
            "diffmaglim": float(self._exposures.limit_mag[index]),
            "programpi": "Simulated",
            "programid": 1,
            "nid": ztf_night_id(start),
            "rcid": self._star.channel,
            "field": self._field_number,
            "magzpsci": float(self._exposures.zero_point[index]),
            "magzpsciunc": 2e-5,
            "magzpscirms": 0.03,
            "clrcoeff": 0.09 if band == "r" else -0.05,
            "clrcounc": 2e-5,
            "exptime": 30.0,
        }

    def _detection(self, index: int, image: dict[str, Any]) -> dict[str, Any]:
        """Return the measurement on the difference image."""
        measured, rng, star = self._measured, self._rng, self._star
        difference = float(measured.difference[index])
        error = float(measured.flux_err[index])
        positive = difference > 0
        magnitude = AB_ZERO_POINT - 2.5 * float(np.log10(abs(difference)))
        magnitude_error = 1.0857 * error / abs(difference)
        spoiled = bool(measured.outlier[index]) or rng.random() < 0.02
        scatter = rng.normal(0, 0.08, 2) / 3600
        seeing = float(self._exposures.seeing_arcsec[index]) / 1.012  # pixels
        return image | {
            "candid": self._form.next_candid(image["pid"], positive=positive),
            "isdiffpos": "t" if positive else "f",
            "tblid": int(rng.integers(0, 60)),
            "xpos": float(rng.uniform(20, 3050)),
            "ypos": float(rng.uniform(20, 3060)),
            "ra": round(star.ra + float(scatter[0]) / float(np.cos(np.deg2rad(star.dec))), 7),
            "dec": round(star.dec + float(scatter[1]), 7),
            "magpsf": magnitude,
            "sigmapsf": magnitude_error,
            "chipsf": float(rng.lognormal(0.1, 0.4)),
            "magap": magnitude + float(rng.normal(0, magnitude_error)),
            "sigmagap": 1.2 * magnitude_error,
            "sky": float(rng.normal(0, 0.3)),
            "magdiff": float(rng.normal(0, magnitude_error)),
            "fwhm": seeing,
            "classtar": 0.98,
            "mindtoedge": 400.0,
            "magfromlim": image["diffmaglim"] - magnitude,
            "seeratio": 1.0,
            "aimage": 0.8,
            "bimage": 0.75,
            "aimagerat": 0.8 / seeing,
            "bimagerat": 0.75 / seeing,
            "elong": 1.07,
            "nneg": int(rng.integers(0, 6)),
            "nbad": int(rng.integers(1, 6)) if rng.random() < 0.01 else 0,
            "rb": float(rng.uniform(0.1, 0.6) if spoiled else rng.uniform(0.56, 0.96)),
            "drb": float(rng.uniform(0.0, 0.7) if spoiled else 1 - rng.exponential(0.01) % 0.3),
            "sumrat": 0.98,
            "magapbig": magnitude,
            "sigmagapbig": 1.4 * magnitude_error,
            "scorr": abs(difference) / error,
            "rbversion": "t17_f5_c3",
            **self._reference_source(self._measured.references[index]),
        }

    def _reference_source(self, reference: Reference) -> dict[str, Any]:
        return {
            "distnr": self._nearest_offset_arcsec,
            "ranr": round(self._star.ra, 7),
            "decnr": round(self._star.dec + self._nearest_offset_arcsec / 3600, 7),
            "magnr": round(reference.mag, 3),
            "sigmagnr": round(reference.magerr, 3),
            "chinr": 0.6,
            "sharpnr": 0.01,
        }

    def _context(self, index: int) -> dict[str, Any]:
        """Return what only the alert's own candidate carries."""
        reference = self._measured.references[index]
        jd = round(float(self._exposures.start_mjd_utc[index]) + MJD_ZERO_JD, _JD_DECIMALS)
        mean = self._star.mean_mag
        return {
            "ssdistnr": -999.0,
            "ssmagnr": -999.0,
            "ssnamenr": "null",
            "ndethist": self._detections,
            "ncovhist": index + 1,
            "jdstarthist": self._first_detection_jd,
            "jdendhist": jd,
            "tooflag": 0,
            "sgmag1": mean["g"],
            "srmag1": mean["r"],
            "simag1": mean["i"],
            "szmag1": mean["z"],
            "sgscore1": 0.98,
            "distpsnr1": self._nearest_offset_arcsec,
            "objectidps1": 10**17 + self._star.index,
            "nmtchps": 5,
            "rfid": self._reference_id(index),
            "jdstartref": reference.start_mjd_utc + MJD_ZERO_JD,
            "jdendref": reference.end_mjd_utc + MJD_ZERO_JD,
            "nframesref": 15,
            "nmatches": 350,
            "zpclrcov": -1e-5,
            "zpmed": float(self._exposures.zero_point[index]),
            "clrmed": 0.76,
            "clrrms": 0.26,
            "neargaia": self._nearest_offset_arcsec,
            "neargaiabright": -999.0,
            "maggaia": mean["r"],
            "maggaiabright": -999.0,
            "drbversion": "d6_m7",
        }

    def _reference_id(self, index: int) -> int:
        band = FILTER_IDS[str(self._exposures.band[index])]
        rebuilt = self._measured.references[index].index
        return self._field_number * 10**6 + (120 + rebuilt) * 10**3 + band * 100 + self._star.channel

    def _previous(self, image: dict[str, Any], detection: dict[str, Any] | None) -> dict[str, Any]:
        """Return the exposure as later packets repeat it: last digits differ, a non-detection is null."""
        # Real packets repeat jd to 1e-7 d only, and magnitudes from a table with four decimals.
        jd = round(image["jd"] + float(self._rng.integers(-1, 2)) * 1e-7, _JD_DECIMALS)
        names = ("candid", "isdiffpos", "ra", "dec", "magpsf", "sigmapsf", "ranr", "decnr")
        nothing = dict.fromkeys(names) | {"rbversion": "t17_f5_c3"}
        if detection is None:
            return image | nothing | {"jd": jd}
        return detection | {"jd": jd, "magpsf": round(detection["magpsf"], 4)}

    def _forced(self, index: int, image: dict[str, Any]) -> dict[str, Any]:
        """Return the forced photometry of the exposure."""
        per_count = 10 ** (0.4 * (AB_ZERO_POINT - image["magzpsci"]))  # nJy
        measured = self._measured
        lost = bool(measured.saturated[index]) or self._rng.random() < 0.01
        seeing = float(self._exposures.seeing_arcsec[index]) / 1.012
        entry = image | {
            "rfid": self._reference_id(index),
            "sciinpseeing": seeing,
            "scibckgnd": 200.0,
            "scisigpix": 6.5,
            "adpctdif1": 0.08,
            "adpctdif2": 0.08,
        }
        if lost:
            names = ("forcediffimflux", "forcediffimfluxunc", "distnr", "ranr", "decnr")
            lost_values = dict.fromkeys((*names, "magnr", "sigmagnr", "chinr", "sharpnr"), _MISSING)
            return entry | lost_values | {"procstatus": "61"}
        return entry | {
            "forcediffimflux": float(measured.difference[index]) / per_count,
            "forcediffimfluxunc": float(measured.flux_err[index]) / per_count,
            "procstatus": "0",
            **self._reference_source(measured.references[index]),
        }

    def _cutouts(self, candid: int) -> dict[str, bytes]:
        if not self._stamp_bytes:
            return {}
        return {
            f"cutout{name}": self._form.cutout.encode(
                {
                    "fileName": f"candid{candid}_{name.lower()}.fits.gz",
                    "stampData": make_stamp(self._rng, self._stamp_bytes),
                }
            )
            for name in ("Science", "Template", "Difference")
        }
