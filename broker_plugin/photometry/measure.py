"""A batch of alerts -> the photometry of each object, or why there is none.

All the measurements of a batch go through the arithmetic together: an alert brings some fifty of them,
too few for numpy to be fast on. No alert's result depends on the others in its batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from broker_plugin.decode.alert import Alert, Rejected
from broker_plugin.decode.columns import BAND_NAMES
from broker_plugin.photometry import lsst, ztf
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.photometry.epochs import (
    REASONS,
    USED,
    Epochs,
    IntArray,
    ReasonBook,
    concatenate,
    in_order_once,
)
from broker_plugin.photometry.times import SECONDS_PER_DAY
from broker_plugin.records.epoch import WITHDRAWN_MAG, EpochArray, FloatArray, Origin, make_epochs
from broker_plugin.records.photometry import ObjectPhotometry

_MS_PER_DAY = 1000.0 * SECONDS_PER_DAY


@dataclass(frozen=True, slots=True)
class Measured:
    """What a batch of alerts led to.

    Attributes
    ----------
    results : tuple of ObjectPhotometry or Rejected
        One for each alert, in order.
    epochs_used : mapping of (str, Origin) to int
        Epochs in the results, by survey and origin.
    epochs_rejected : mapping of str to int
        Epochs that are not, by reason (:data:`broker_plugin.photometry.epochs.REASONS`).
    """

    results: tuple[ObjectPhotometry | Rejected, ...]
    epochs_used: Mapping[tuple[str, Origin], int]
    epochs_rejected: Mapping[str, int]


def measure(alerts: Sequence[Alert], cuts: QualityCuts) -> Measured:
    """Measure the alerts of a batch.

    What the survey has withdrawn is an epoch, too, see :class:`broker_plugin.records.epoch.Origin`. An alert
    is rejected whole as ``solar_system`` (a known body lies near), or as ``no_usable_epoch``: every
    one of its epochs failed a cut, or its own time is no time. Without the alert's own time nobody could tell
    whether its values are newer than those of another alert.
    """
    rejected = {i: _solar_system(alert) for i, alert in enumerate(alerts) if _near_body(alert, cuts)}
    numbers = [i for i in range(len(alerts)) if i not in rejected]
    epochs = _all_epochs([alerts[i] for i in numbers], numbers, cuts)
    if epochs is None:
        return Measured(tuple(rejected[i] for i in range(len(alerts))), {}, {})
    own = _own_times(epochs, len(alerts))
    epochs = _with_withdrawals(_with_last_reasons(epochs, own, cuts), own)
    kept, dropped = in_order_once(epochs)
    epochs.reason[dropped] = REASONS.index("duplicate_exposure") + 1

    bands = _bands_by_alert(epochs, kept, own)
    results = [
        rejected[i] if i in rejected else _result(alert, float(own[i]), bands.get(i, {}))
        for i, alert in enumerate(alerts)
    ]
    return Measured(tuple(results), _count_used(alerts, epochs, kept), _count_rejected(epochs))


def _near_body(alert: Alert, cuts: QualityCuts) -> bool:
    limit = cuts.solar_system_arcsec
    return limit is not None and 0.0 <= alert.solar_system_arcsec <= limit


def _solar_system(alert: Alert) -> Rejected:
    detail = f"{alert.object_id}: a known solar-system object at {alert.solar_system_arcsec:.1f} arcsec"
    return Rejected(alert.survey, "solar_system", detail)


def _all_epochs(alerts: Sequence[Alert], numbers: Sequence[int], cuts: QualityCuts) -> Epochs | None:
    parts: list[Epochs] = []
    for survey, readers in (("ztf", (ztf.source_epochs, ztf.forced_epochs)), ("lsst", (lsst.epochs_of,))):
        chosen = [(alert, i) for alert, i in zip(alerts, numbers, strict=True) if alert.survey == survey]
        if chosen:
            some, theirs = [alert for alert, _ in chosen], [i for _, i in chosen]
            parts.extend(read(some, theirs, cuts) for read in readers)
    return concatenate(parts) if parts else None


def _own_times(epochs: Epochs, alerts: int) -> FloatArray:
    """Return the barycentric time of each alert's own exposure; NaN where it is none."""
    own = np.full(alerts, np.nan)
    detections = epochs.origin == int(Origin.DETECTION)
    own[epochs.alert[detections]] = epochs.time_mjd[detections]
    return own


def _with_last_reasons(epochs: Epochs, own: FloatArray, cuts: QualityCuts) -> Epochs:
    """Apply the cuts that are the same for all surveys."""
    book = ReasonBook(len(epochs.alert))
    book.codes[:] = epochs.reason
    book.note("time_out_of_range", np.isnan(own[epochs.alert]))
    book.note("flux_not_positive", np.isnan(epochs.mag))
    book.note("magnitude_out_of_range", ~((epochs.mag > cuts.min_mag) & (epochs.mag < cuts.max_mag)))
    book.note("magerr_out_of_range", ~((epochs.magerr > 0.0) & (epochs.magerr < cuts.max_magerr)))
    return replace(epochs, reason=book.codes)


def _with_withdrawals(epochs: Epochs, own: FloatArray) -> Epochs:
    """Make of what the survey has withdrawn epochs that say so: the light curve may hold it already."""
    withdrawn = epochs.reason == REASONS.index("withdrawn") + 1
    withdrawn &= ~np.isnan(own[epochs.alert])
    if not withdrawn.any():
        return epochs
    of_source = withdrawn & (epochs.origin != int(Origin.FORCED))
    return replace(
        epochs,
        mag=np.where(withdrawn, WITHDRAWN_MAG, epochs.mag),
        magerr=np.where(withdrawn, WITHDRAWN_MAG, epochs.magerr),
        origin=np.where(of_source, int(Origin.WITHDRAWN), epochs.origin),
        reason=np.where(withdrawn, USED, epochs.reason),
    )


def _bands_by_alert(
    epochs: Epochs,
    kept: IntArray,
    own: FloatArray,
) -> dict[int, dict[str, EpochArray]]:
    """Pack the kept rows, which are in order of alert, band and time."""
    alert, band = epochs.alert[kept], epochs.band[kept]
    packed = make_epochs(
        epochs.time_mjd[kept],
        epochs.mag[kept],
        epochs.magerr[kept],
        origin=epochs.origin[kept],
        version=np.rint(own[alert] * _MS_PER_DAY),
    )
    packed.setflags(write=False)
    edges = np.flatnonzero((np.diff(alert) != 0) | (np.diff(band) != 0)) + 1
    starts = [0, *edges.tolist()] if len(kept) else []
    ends = [*edges.tolist(), len(kept)]
    bands: dict[int, dict[str, EpochArray]] = {}
    for start, end in zip(starts, ends, strict=False):
        bands.setdefault(int(alert[start]), {})[BAND_NAMES[int(band[start])]] = packed[start:end]
    return bands


def _result(alert: Alert, own_time: float, bands: dict[str, EpochArray]) -> ObjectPhotometry | Rejected:
    if not bands:
        count = len(alert.sources) + len(alert.forced)
        return Rejected(
            alert.survey, "no_usable_epoch", f"{alert.object_id}: none of {count} epochs is usable"
        )
    return ObjectPhotometry(
        survey=alert.survey,
        object_id=alert.object_id,
        alert_id=alert.alert_id,
        alert_time_mjd=own_time,
        ra=alert.ra,
        dec=alert.dec,
        bands=bands,
    )


def _count_used(alerts: Sequence[Alert], epochs: Epochs, kept: IntArray) -> dict[tuple[str, Origin], int]:
    is_lsst = np.array([alert.survey == "lsst" for alert in alerts])[epochs.alert[kept]]
    counts: Counter[tuple[str, Origin]] = Counter()
    for survey, chosen in (("ztf", ~is_lsst), ("lsst", is_lsst)):
        for origin, count in enumerate(np.bincount(epochs.origin[kept][chosen], minlength=len(Origin))):
            if count:
                counts[survey, Origin(origin)] = int(count)
    return dict(counts)


def _count_rejected(epochs: Epochs) -> dict[str, int]:
    counts = np.bincount(epochs.reason, minlength=len(REASONS) + 1)
    return {reason: int(counts[i]) for i, reason in enumerate(REASONS, start=USED + 1) if counts[i]}
