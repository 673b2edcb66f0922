"""What the plugin says of a window: class, novelty, and everything needed to judge both."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from broker_plugin.records.color import BandMean
from broker_plugin.records.epoch import Float32Array, FloatArray
from broker_plugin.records.match import CatalogueMatch

CHANGES = {
    "new": "the first of the object in this band",
    "class": "another class leads",
    "novelty": "the energy has crossed the novelty threshold",
    "period": "another period, or one where none was significant, or none any more",
    "period_multiple": "a simple multiple or fraction of the former period",
    "model": "another model",
    "epochs": "the survey has withdrawn epochs of the former one",
    "withdrawn": "the survey has withdrawn epochs of the former one, and too few are left",
    "none": "nothing changed; every window is published",
    "late": "older than the one in force, which stays; every window is published",
}
"""Why an annotation was published, and what each word means."""

_RETURNING = frozenset({"model", "epochs"})


@dataclass(frozen=True, slots=True)
class PeriodCandidate:
    """A period that the search compared, kept so that a reader can disagree; a higher score is better."""

    period_days: float
    score: float
    kind: str  # "peak", "half", "double", "third", "triple", "alias"


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """The period used, and how far to trust it.

    Attributes
    ----------
    value_days : float or None
        The period; None when no period is significant.
    fold_days : float
        The period that the light curve was folded with (the best candidate even when none is significant).
    method : str
        ``"catalogue"``, or the name of the search.
    log10_false_alarm : float
        log10 of the false-alarm probability of the highest peak.
    candidates : tuple of PeriodCandidate
        Best first.
    """

    value_days: float | None
    fold_days: float
    method: str
    log10_false_alarm: float
    candidates: tuple[PeriodCandidate, ...]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training star near a window in the network's embedding.

    Attributes
    ----------
    star_id : str
        As in the training data.
    star_class : str
        Its label.
    distance : float
        Euclidean, of its nearest window, in units of the training windows' standard deviations.
    """

    star_id: str
    star_class: str
    distance: float


@dataclass(frozen=True, slots=True)
class Annotation:
    """Classification and novelty of one window by one model.

    Attributes
    ----------
    survey, object_id, band, ra, dec, window_id, alert_id, alert_time_mjd, n_epochs_total
        As in :class:`broker_plugin.records.window.Window`.
    first_epoch_mjd, last_epoch_mjd : float
        Ends of the window, barycentric MJD (TDB).
    n_epochs : int
        Epochs in the window.
    period : PeriodReport
    probabilities : dict of str to float
        Eight classes, summing to one.
    predicted_class : str
        The most probable.
    energy : float
        Sample energy (Zong et al. 2018, Eq. 6), float64; high means unlike the training stars.
    energy_percentile : float
        Where the energy lies among the training energies, 0 to 100.
    p_value : float or None
        Conformal p-value: the fraction of held-out known stars at least as extreme. None if not calibrated.
    novel_80, novel_95 : bool
        Energy at or above these percentiles of the training energies (Tsang & Schultz 2019).
    novel : bool
        Energy at or above the bundle's own threshold: the annotation goes to the novelties, too.
    responsible_component : str
        The mixture component with the highest responsibility for the window.
    euclidean, cosine : float
        Reconstruction error features (Eq. 2).
    mean_mag, std_mag : float
        Of the window, magnitudes.
    quality_flags : tuple of str
        Doubts, for instance ``"no_significant_period"``.
    model_name, model_version, model_digest, code_version : str
        Provenance.
    neighbours : tuple of Neighbour
        The nearest training stars, nearest first; empty if the bundle has none.
    revision : int
        1, 2, ... of the object in this band, the highest in force; 0 where nobody counted: records of older
        versions, and windows that came late.
    supersedes : str or None
        Id of the revision before; None for the first.
    changes : tuple of str
        Why it was published, of :data:`CHANGES`; empty in records of older versions.
    withdrawn : bool
        The annotation that it supersedes is taken back and none replaces it. Everything but the alert and
        these four fields repeats the former one, so that whoever chose that one is told.
    catalogue_name, catalogue_digest : str or None
        The local catalogue that was asked; None if there was none.
    catalogue_match : CatalogueMatch or None
        Its nearest star within the radius.
    band_means : mapping of str to BandMean, or None
        Mean magnitudes by band over the time of the window; None in records of older versions.
    """

    survey: str
    object_id: str
    band: str
    ra: float
    dec: float
    window_id: str
    alert_id: str
    alert_time_mjd: float
    n_epochs_total: int
    first_epoch_mjd: float
    last_epoch_mjd: float
    n_epochs: int
    period: PeriodReport
    probabilities: dict[str, float]
    predicted_class: str
    energy: float
    energy_percentile: float
    p_value: float | None
    novel_80: bool
    novel_95: bool
    novel: bool
    responsible_component: str
    euclidean: float
    cosine: float
    mean_mag: float
    std_mag: float
    quality_flags: tuple[str, ...]
    model_name: str
    model_version: str
    model_digest: str
    code_version: str
    neighbours: tuple[Neighbour, ...] = ()
    revision: int = 0
    supersedes: str | None = None
    changes: tuple[str, ...] = ()
    withdrawn: bool = False
    catalogue_name: str | None = None
    catalogue_digest: str | None = None
    catalogue_match: CatalogueMatch | None = None
    band_means: Mapping[str, BandMean] | None = None

    @property
    def annotation_id(self) -> str:
        """Return a deterministic id: the same window under the same model always has the same one.

        But for what can bring a window and a model together a second time, a return to an earlier model or a
        withdrawal: there the revision joins, or readers who know the id would pass the news over.
        """
        text = f"{self.survey}/{self.object_id}/{self.band}/{self.window_id}/{self.model_digest}"
        if self.withdrawn or not _RETURNING.isdisjoint(self.changes):
            text += f"/{self.revision}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Novelty:
    """An annotation above the threshold, with the light curve, so that a follow-up needs no second service.

    Or the one that supersedes such an annotation: it may say that the object is not novel any more, or that
    nothing is known of it; then, if ``annotation.withdrawn``, all columns are empty.

    Attributes
    ----------
    annotation : Annotation
    time_mjd : ndarray, shape (200,), float64
        In time order, barycentric MJD (TDB).
    mag, magerr : ndarray, shape (200,), float32
        In time order.
    phase : ndarray, shape (200,), float64
        Phase in [0, 1) of each epoch, in time order.
    reconstruction_mag : ndarray, shape (200,), float32
        The network's reconstruction of each epoch, in magnitudes, in time order.
    """

    annotation: Annotation
    time_mjd: FloatArray
    mag: Float32Array
    magerr: Float32Array
    phase: FloatArray
    reconstruction_mag: Float32Array
