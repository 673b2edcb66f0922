"""A combined annotation seen as one of a band, so that filters for the latter know what to do with it."""

from __future__ import annotations

import math

from broker_plugin.annotate.quality import QUALITY_FLAGS
from broker_plugin.records.annotation import Annotation, PeriodReport
from broker_plugin.records.object_annotation import ObjectAnnotation

_NAN = math.nan


def as_annotation(combined: ObjectAnnotation) -> Annotation:
    """Return what clauses about class, novelty, p-value, period, place and flags can judge.

    The band is the bands' names joined by ``+``. What has no meaning for several bands, energies and
    magnitudes, is NaN: a clause about it never passes. The flags are the object's and all the bands'.
    """
    bands = combined.bands
    flags = {flag for band in bands for flag in band.quality_flags}
    fold_days = combined.period_days or (bands[0].fold_days if bands else _NAN)
    return Annotation(
        survey=combined.survey,
        object_id=combined.object_id,
        band="+".join(band.band for band in bands),
        ra=combined.ra,
        dec=combined.dec,
        window_id=combined.combined_id,
        alert_id=combined.alert_id,
        alert_time_mjd=combined.alert_time_mjd,
        n_epochs_total=sum(band.n_epochs_total for band in bands),
        first_epoch_mjd=min((band.first_epoch_mjd for band in bands), default=_NAN),
        last_epoch_mjd=max((band.last_epoch_mjd for band in bands), default=_NAN),
        n_epochs=0,
        period=PeriodReport(combined.period_days, fold_days, "combined", _NAN, ()),
        probabilities=dict(combined.probabilities) or {combined.predicted_class: 0.0},
        predicted_class=combined.predicted_class,
        energy=_NAN,
        energy_percentile=_NAN,
        p_value=combined.p_value,
        novel_80=combined.novel,
        novel_95=combined.novel,
        novel=combined.novel,
        responsible_component="",
        euclidean=_NAN,
        cosine=_NAN,
        mean_mag=_NAN,
        std_mag=_NAN,
        quality_flags=(*combined.quality_flags, *(flag for flag in QUALITY_FLAGS if flag in flags)),
        model_name=bands[0].model_name if bands else "",
        model_version=bands[0].model_version if bands else "",
        model_digest=bands[0].model_digest if bands else "",
        code_version=combined.code_version,
        revision=combined.revision,
        supersedes=combined.supersedes,
        withdrawn=combined.withdrawn,
        catalogue_match=combined.catalogue_match,
    )
