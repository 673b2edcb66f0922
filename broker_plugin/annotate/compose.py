"""Put together window, period and score into what is published."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from broker_plugin.annotate.quality import quality_flags
from broker_plugin.model.scorer import Score
from broker_plugin.records.annotation import Annotation, Novelty, PeriodReport
from broker_plugin.records.match import CatalogueMatch
from broker_plugin.records.window import Window


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which model and which code made an annotation.

    Attributes
    ----------
    model_name, model_version : str
    model_digest : str
        sha256 of the bundle's manifest.
    code_version : str
        Of this package.
    classes : tuple of str
        In the order of ``Score.probabilities``.
    catalogue_name, catalogue_digest : str or None
        Of the catalogue that is asked by position.
    """

    model_name: str
    model_version: str
    model_digest: str
    code_version: str
    classes: tuple[str, ...]
    catalogue_name: str | None = None
    catalogue_digest: str | None = None


def compose_annotation(
    window: Window,
    period: PeriodReport,
    score: Score,
    provenance: Provenance,
    *,
    match: CatalogueMatch | None = None,
) -> Annotation:
    """Return the annotation of a scored window; see :class:`broker_plugin.records.annotation.Annotation`."""
    times = window.epochs["time_mjd"]
    return Annotation(
        survey=window.survey,
        object_id=window.object_id,
        band=window.band,
        ra=window.ra,
        dec=window.dec,
        window_id=window.window_id,
        alert_id=window.alert_id,
        alert_time_mjd=window.alert_time_mjd,
        n_epochs_total=window.n_epochs_total,
        first_epoch_mjd=float(times[0]),
        last_epoch_mjd=float(times[-1]),
        n_epochs=len(times),
        period=period,
        probabilities=dict(zip(provenance.classes, score.probabilities.tolist(), strict=True)),
        predicted_class=score.predicted_class,
        energy=score.energy,
        energy_percentile=score.percentile,
        p_value=score.p_value,
        novel_80=score.novel_80,
        novel_95=score.novel_95,
        novel=score.novel,
        responsible_component=score.responsible_component,
        euclidean=score.euclidean,
        cosine=score.cosine,
        mean_mag=score.mean_mag,
        std_mag=score.std_mag,
        quality_flags=quality_flags(window, period, score.phase, match=match),
        model_name=provenance.model_name,
        model_version=provenance.model_version,
        model_digest=provenance.model_digest,
        code_version=provenance.code_version,
        neighbours=score.neighbours,
        catalogue_name=provenance.catalogue_name,
        catalogue_digest=provenance.catalogue_digest,
        catalogue_match=match,
        band_means=window.band_means,
    )


def withdrawn_novelty(annotation: Annotation) -> Novelty:
    """Return what readers of the novelties are told of a withdrawal: there is no light curve to look at."""
    none, none_short = np.empty(0), np.empty(0, dtype=np.float32)
    return Novelty(annotation, none, none_short, none_short, none, none_short)


def compose_novelty(window: Window, annotation: Annotation, score: Score) -> Novelty:
    """Return the annotation with the light curve that it is about."""
    return Novelty(
        annotation=annotation,
        time_mjd=np.ascontiguousarray(window.epochs["time_mjd"]),
        mag=np.ascontiguousarray(window.epochs["mag"]),
        magerr=np.ascontiguousarray(window.epochs["magerr"]),
        phase=score.phase,
        reconstruction_mag=score.reconstruction_mag,
    )
