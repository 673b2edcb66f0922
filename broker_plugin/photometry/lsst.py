"""LSST's measurements -> apparent magnitudes and the cuts that LSST's columns allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from broker_plugin.decode.alert import Alert
from broker_plugin.decode.lsst import SOURCE_COLUMNS
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.photometry.epochs import Epochs, ReasonBook, in_time_range
from broker_plugin.photometry.magnitudes import Flux, njy_to_ab, total_flux
from broker_plugin.photometry.times import bmjd_tdb_from_mjd_tai
from broker_plugin.records.epoch import FloatArray, Origin


def epochs_of(alerts: Sequence[Alert], numbers: Sequence[int], cuts: QualityCuts) -> Epochs:
    """Return detections, previous detections and forced photometry of LSST alerts.

    Parameters
    ----------
    alerts : sequence of Alert
        Of survey ``"lsst"``.
    numbers : sequence of int
        Their numbers in the batch.
    """
    table = np.concatenate([part for alert in alerts for part in (alert.sources, alert.forced)])
    columns: dict[str, FloatArray] = {name: table[:, i] for name, i in SOURCE_COLUMNS.index.items()}
    lengths = np.array([(len(alert.sources), len(alert.forced)) for alert in alerts], dtype=np.int64)
    of_alert = np.repeat(np.arange(len(alerts)), lengths.sum(axis=1))
    origin = np.repeat(np.tile([int(Origin.PREVIOUS), int(Origin.FORCED)], len(alerts)), lengths.ravel())
    starts = np.cumsum(lengths.sum(axis=1)) - lengths.sum(axis=1)
    origin[starts] = int(Origin.DETECTION)

    mjd_tai, band = columns["midpointMjdTai"], columns["band"]
    timed = in_time_range(mjd_tai)
    flux = total_flux(
        Flux(columns["scienceFlux"], columns["scienceFluxErr"]),
        Flux(columns["psfFlux"], columns["psfFluxErr"]),
        Flux(columns["templateFlux"], columns["templateFluxErr"]),
    )
    book = ReasonBook(len(table))
    book.note("time_out_of_range", ~timed)
    book.note("unknown_band", np.isnan(band))
    book.note("withdrawn", ~np.isnan(columns["timeWithdrawnMjdTai"]))
    if cuts.min_reliability is not None:
        book.note("low_reliability", columns["reliability"] < cuts.min_reliability)
    if cuts.reject_dipoles:
        book.note("dipole", columns["isDipole"] == 1.0)
    book.note("no_flux", np.isnan(flux.value) | np.isnan(flux.error))
    mag, magerr = njy_to_ab(flux)

    ra, dec = np.array([alert.ra for alert in alerts]), np.array([alert.dec for alert in alerts])
    time = np.full(len(table), np.nan)
    time[timed] = bmjd_tdb_from_mjd_tai(mjd_tai[timed], ra[of_alert[timed]], dec[of_alert[timed]])
    return Epochs(
        alert=np.asarray(numbers, dtype=np.int64)[of_alert],
        time_mjd=time,
        band=np.nan_to_num(band, nan=-1.0).astype(np.int64),
        mag=mag,
        magerr=magerr,
        origin=origin,
        reason=book.codes,
    )
