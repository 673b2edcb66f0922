"""The simulation: stars, exposures, measurements, packets, nights, truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from broker_plugin.errors import InputError
from broker_plugin.photometry.times import MJD_ZERO_JD, bmjd_tdb_from_utc_jd_start
from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.cadence import Exposures, Field, clear_nights, plan_exposures
from broker_plugin.simulate.lsst import HISTORY_DAYS as LSST_HISTORY_DAYS
from broker_plugin.simulate.lsst import LsstFormat, LsstStream
from broker_plugin.simulate.measure import Measurements, measure
from broker_plugin.simulate.nights import Disorder, arrange_night, night_mjd, write_night
from broker_plugin.simulate.packets import AlertPacket, PacketStream
from broker_plugin.simulate.population import SimulatedObject, draw_population
from broker_plugin.simulate.settings import SimulationSettings
from broker_plugin.simulate.truth import TRUTH_FILE, BandTruth, Truth, write_truth
from broker_plugin.simulate.ztf import ZtfStream
from broker_plugin.simulate.ztf_format import HISTORY_DAYS as ZTF_HISTORY_DAYS
from broker_plugin.simulate.ztf_format import ZtfFormat

Progress = Callable[[int, int], None]
"""Called with the nights done and the nights in all."""


@dataclass(frozen=True, slots=True)
class SimulationSummary:
    """What was written.

    Attributes
    ----------
    objects, alerts, nights : int
        Objects of the truth table; packets, duplicates and damaged ones included; archives.
    archive_bytes : int
        Size of all the archives.
    truth_path : Path
    """

    objects: int
    alerts: int
    nights: int
    archive_bytes: int
    truth_path: Path


@dataclass(slots=True)
class _Sight:
    """A star before the survey: what is measured of it, and how far the survey has come."""

    star: SimulatedObject
    exposures: Exposures
    measured: Measurements
    stream: PacketStream
    next_exposure: int = 0
    alerted: list[int] = field(default_factory=list)  # exposures that sent an alert


def simulate(
    settings: SimulationSettings, out_dir: Path, progress: Progress | None = None
) -> SimulationSummary:
    """Write nights of alert archives and the truth table.

    Parameters
    ----------
    settings : SimulationSettings
    out_dir : Path
        Made if it does not exist; files of the same names are replaced.
    progress : callable, optional
        Called after each night.

    Returns
    -------
    SimulationSummary

    Raises
    ------
    InputError
        When ``out_dir`` cannot be written.
    """
    make_folder(out_dir)
    first_night = night_mjd(settings.start_date)
    sights = _observe(settings, first_night)
    disorder = Disorder(
        duplicate_fraction=settings.duplicate_fraction,
        out_of_order_fraction=settings.out_of_order_fraction,
        damaged_fraction=settings.damaged_fraction,
    )
    rng = np.random.default_rng([settings.seed, 2])
    alerts = nights = size = 0
    for done, night in enumerate(range(first_night, first_night + settings.n_nights), start=1):
        packets = [packet for sight in sights for packet in _expose(sight, night)]
        if packets or settings.empty_nights:
            arranged = arrange_night(rng, packets, disorder)
            size += write_night(out_dir, settings.survey, night, arranged).stat().st_size
            alerts += len(arranged)
            nights += 1
        if progress is not None:
            progress(done, settings.n_nights)
    truth_path = out_dir / TRUTH_FILE
    write_truth(truth_path, [_truth(sight, settings) for sight in sights], settings.used_bands)
    return SimulationSummary(len(sights), alerts, nights, size, truth_path)


def make_folder(path: Path) -> None:
    """Make the output folder.

    Raises
    ------
    InputError
        When it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"output folder {path} cannot be made ({error.strerror}); name another"
        raise InputError(msg) from error


def observed_stars(
    settings: SimulationSettings,
) -> list[tuple[SimulatedObject, Exposures, Measurements]]:
    """Return every star with its field's exposures and what is measured of it on each, without any alert."""
    sights = _observe(settings, night_mjd(settings.start_date))
    return [(sight.star, sight.exposures, sight.measured) for sight in sights]


def _observe(settings: SimulationSettings, first_night: int) -> list[_Sight]:
    """Measure every star on every exposure of its field."""
    fields, stars = draw_population(settings)
    exposures = plan_fields(settings, fields, first_night)
    rebuilds = np.random.default_rng([settings.seed, 5]).uniform(0.4, 1.4, len(fields))
    open_stream = _stream_opener(settings)
    sights = []
    for star in stars:
        plan = exposures[star.field]
        rng = np.random.default_rng([settings.seed, 12, star.index])
        measured = measure(
            rng,
            settings.profile,
            plan,
            model_magnitudes(star, plan, settings.profile.exposure_seconds),
            # In three fields of five the reference is rebuilt before the end.
            rebuild_night=first_night + int(rebuilds[star.field] * settings.n_nights),
            outlier_fraction=settings.outlier_fraction,
        )
        stream = open_stream(star, fields[star.field], plan, measured, rng)
        sights.append(_Sight(star, plan, measured, stream))
    return sights


def plan_fields(settings: SimulationSettings, fields: list[Field], first_night: int) -> list[Exposures]:
    """Schedule every field under one weather."""
    clear = clear_nights(
        np.random.default_rng([settings.seed, 3]), settings.n_nights, settings.clear_fraction
    )
    return [
        plan_exposures(
            np.random.default_rng([settings.seed, 4, index]),
            settings.profile,
            pointing,
            first_night=first_night,
            clear=clear,
            bands=settings.used_bands,
            cadence_factor=settings.cadence_factor,
        )
        for index, pointing in enumerate(fields)
    ]


def _stream_opener(
    settings: SimulationSettings,
) -> Callable[[SimulatedObject, Field, Exposures, Measurements, np.random.Generator], PacketStream]:
    """Return what makes the packets of one star, all in the format of one survey."""
    gap, stamp = settings.min_alert_gap_days, settings.stamp_bytes
    if settings.survey == "lsst":
        lsst = LsstFormat(settings.lsst_schema, settings.framing)
        return lambda star, _, plan, measured, rng: LsstStream(
            lsst, star, plan, measured, rng, min_alert_gap_days=gap, stamp_bytes=stamp
        )
    ztf = ZtfFormat()
    return lambda star, pointing, plan, measured, rng: ZtfStream(
        ztf,
        star,
        plan,
        measured,
        rng,
        field_number=pointing.number,
        min_alert_gap_days=gap,
        stamp_bytes=stamp,
    )


def model_magnitudes(star: SimulatedObject, plan: Exposures, exposure_seconds: float) -> FloatArray:
    """Return the noise-free magnitude in the middle of each exposure, shape (n,)."""
    start_jd = plan.start_mjd_utc + MJD_ZERO_JD
    time_mjd = bmjd_tdb_from_utc_jd_start(start_jd, star.ra, star.dec, exposure_seconds)
    magnitudes = np.empty(len(plan))
    for band in np.unique(plan.band):
        inside = plan.band == band
        magnitudes[inside] = star.mean_mag[str(band)] + star.variable.variation(time_mjd[inside], str(band))
    return magnitudes


def _expose(sight: _Sight, night: int) -> Iterator[AlertPacket]:
    """Take the star's exposures of a night."""
    while sight.next_exposure < len(sight.exposures) and sight.exposures.night[sight.next_exposure] == night:
        index = sight.next_exposure
        sight.next_exposure += 1
        packet = sight.stream.expose(index)
        if packet is not None:
            sight.alerted.append(index)
            yield packet


def _truth(sight: _Sight, settings: SimulationSettings) -> Truth:
    star, plan, measured = sight.star, sight.exposures, sight.measured
    history_days = {"ztf": ZTF_HISTORY_DAYS, "lsst": LSST_HISTORY_DAYS}[settings.survey]
    carried = np.zeros(len(plan), dtype=np.bool_)
    for index in sight.alerted:
        first = np.searchsorted(plan.start_mjd_utc, plan.start_mjd_utc[index] - history_days)
        carried[first : index + 1] = True
    bands = {}
    for band in settings.used_bands:
        inside = plan.band == band
        model = measured.model_mag[inside]
        bands[band] = BandTruth(
            mean_mag=float(model.mean()) if model.size else float("nan"),
            amplitude=float(np.ptp(model)) if model.size else float("nan"),
            n_exposures=int(inside.sum()),
            n_detections=int((inside & measured.detected).sum()),
            n_in_alerts=int((inside & carried).sum()),
        )
    return Truth(
        object_id=star.object_id,
        kind=star.variable.kind,
        superclass=star.variable.superclass,
        period_days=star.variable.period_days,
        ra=star.ra,
        dec=star.dec,
        n_alerts=len(sight.alerted),
        seed=settings.seed,
        bands=bands,
    )
