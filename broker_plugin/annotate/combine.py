"""One verdict from all bands of an object: the rule of combination, version 1.

1. **Classes**: the weighted geometric mean of the bands' calibrated probabilities, a band's weight being the
   root of its p-value: a window that is strange for its class is believed less. It is a mean and no product,
   since the bands of a star share shape, period and mistakes: on simulated stars a product is over-confident
   and no more often right.
2. **Novelty**: the Cauchy combination of the bands' p-values (Liu & Xie 2020, JASA 115, 393), scaled up by
   what dependence can make it too small.
3. **Period**: of the largest group of bands whose periods are equal or simple multiples, that of most bands,
   and of those the most significant one.

What this does is measured on simulated stars: ``python -m benchmarks.combined_bands``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from broker_plugin.annotate.periods import relation, tolerance_of
from broker_plugin.features.external import colours
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.object_annotation import BandOpinion, ObjectAnnotation

OBJECT_FLAGS = {
    "one_band": "one band alone has an annotation",
    "bands_disagree": "the bands' most probable classes differ",
    "periods_disagree": "the bands' significant periods are neither equal nor simple multiples",
    "mixed_models": "the bands were not judged by one model; other classes than the newest's have no say",
}
"""Every flag that a combined annotation can carry, and what it means."""

_LEAST_PROBABILITY = 1e-3
"""No band can rule a class out by itself, however sure it is."""

_SAME_PERIOD = 0.01
_LARGEST_P = 0.999  # Cauchy's tangent of exactly 1 is minus infinity and would silence every other band
_DEPENDENCE = 0.1
"""Cauchy's p-value is too small by up to 8 % for two bands and 22 % for six, whatever the correlation of the
normal variables behind them (simulated, at p = 0.05): 1 + 0.1 log2 K is above that, and 1 for one band."""


@dataclass(frozen=True, slots=True)
class CombineRule:
    """What can be chosen.

    Attributes
    ----------
    novel_p_value : float
        Objects with a combined p-value of at most this are novel.
    """

    novel_p_value: float = 0.05


def combine(
    annotation: Annotation, held: ObjectAnnotation | None, rule: CombineRule, code_version: str
) -> ObjectAnnotation | str:
    """Return the object's next combined annotation, or in a word why there is none.

    Parameters
    ----------
    annotation : Annotation
        Of one band, as published.
    held : ObjectAnnotation or None
        The object's last combined annotation.
    rule : CombineRule
    code_version : str

    Returns
    -------
    ObjectAnnotation or str
        ``"repeated"``: it is combined already; ``"late"``: older than what is; ``"unknown"``: it withdraws
        what was never combined.
    """
    opinions = {} if held is None else {opinion.band: opinion for opinion in held.bands}
    refused = _why_not(annotation, opinions.get(annotation.band))
    if refused is not None:
        return refused
    if annotation.withdrawn:
        del opinions[annotation.band]
    else:
        opinions[annotation.band] = opinion_of(annotation)
    bands = tuple(opinions[band] for band in sorted(opinions))
    probabilities = pooled_probabilities(_of_one_model(bands, annotation))
    period_days, agreement = agreed_period(bands)
    p_value = combined_p_value([band.p_value for band in bands if band.p_value is not None])
    is_novel = all(band.novel for band in bands) if p_value is None else p_value <= rule.novel_p_value
    return ObjectAnnotation(
        survey=annotation.survey,
        object_id=annotation.object_id,
        ra=annotation.ra,
        dec=annotation.dec,
        alert_id=annotation.alert_id,
        alert_time_mjd=annotation.alert_time_mjd,
        bands=bands,
        probabilities=probabilities,
        predicted_class=max(probabilities, key=lambda name: probabilities[name], default=""),
        p_value=p_value,
        novel=bool(bands) and is_novel,
        period_days=period_days,
        period_agreement=agreement,
        colours=colours(annotation.band_means or {}),
        catalogue_match=annotation.catalogue_match,
        quality_flags=_flags(bands, agreement),
        revision=1 if held is None else held.revision + 1,
        supersedes=None if held is None else held.combined_id,
        withdrawn=not bands,
        code_version=code_version,
    )


def opinion_of(annotation: Annotation) -> BandOpinion:
    """Return what is combined of a band's annotation."""
    period = annotation.period
    return BandOpinion(
        band=annotation.band,
        annotation_id=annotation.annotation_id,
        window_id=annotation.window_id,
        revision=annotation.revision,
        alert_time_mjd=annotation.alert_time_mjd,
        first_epoch_mjd=annotation.first_epoch_mjd,
        last_epoch_mjd=annotation.last_epoch_mjd,
        n_epochs_total=annotation.n_epochs_total,
        predicted_class=annotation.predicted_class,
        probabilities=annotation.probabilities,
        energy=annotation.energy,
        energy_percentile=annotation.energy_percentile,
        p_value=annotation.p_value,
        novel=annotation.novel,
        period_days=period.value_days,
        fold_days=period.fold_days,
        period_method=period.method,
        log10_false_alarm=period.log10_false_alarm,
        mean_mag=annotation.mean_mag,
        std_mag=annotation.std_mag,
        quality_flags=annotation.quality_flags,
        model_name=annotation.model_name,
        model_version=annotation.model_version,
        model_digest=annotation.model_digest,
    )


def pooled_probabilities(bands: Sequence[BandOpinion]) -> dict[str, float]:
    """Return the classes' probabilities from bands with the same classes; empty without a band."""
    if not bands:
        return {}
    weights = [1.0 if band.p_value is None else math.sqrt(band.p_value) for band in bands]
    total = math.fsum(weights)
    names = list(bands[0].probabilities)
    logs = [
        math.fsum(
            weight / total * math.log(max(band.probabilities[name], _LEAST_PROBABILITY))
            for weight, band in zip(weights, bands, strict=True)
        )
        for name in names
    ]
    highest = max(logs)
    raw = [math.exp(value - highest) for value in logs]
    return {name: value / math.fsum(raw) for name, value in zip(names, raw, strict=True)}


def combined_p_value(p_values: Sequence[float]) -> float | None:
    """Return one p-value of several that may depend on each other; None of none.

    Parameters
    ----------
    p_values : sequence of float
        In (0, 1], each valid by itself.
    """
    if not p_values:
        return None
    if len(p_values) == 1:
        return p_values[0]
    tangents = [math.tan((0.5 - min(p, _LARGEST_P)) * math.pi) for p in p_values]
    cauchy = 0.5 - math.atan(math.fsum(tangents) / len(tangents)) / math.pi
    return min(1.0, (1.0 + _DEPENDENCE * math.log2(len(p_values))) * cauchy)


def agreed_period(bands: Sequence[BandOpinion]) -> tuple[float | None, str]:
    """Return the period in days and how the bands agree on it, a key of ``PERIOD_AGREEMENTS``."""
    significant = [(band, band.period_days) for band in bands if band.period_days is not None]
    if len(significant) < 2:
        return (significant[0][1], "single") if significant else (None, "none")

    ranks = []
    for band, days in significant:
        relations = [_relation(band, days, other, theirs) for other, theirs in significant]
        same = relations.count("same")
        ranks.append((same + relations.count("multiple"), same, -_false_alarm(band), days))
    related, same, _, days = max(ranks)
    if related == 1:
        return days, "disagree"
    if related < len(significant):
        return days, "majority"
    return days, "agree" if same == related else "harmonic"


def _relation(band: BandOpinion, days: float, other: BandOpinion, theirs: float) -> str:
    spans = min(_span(band), _span(other))
    return relation(days, theirs, tolerance_of(max(days, theirs), spans, _SAME_PERIOD))


def _span(band: BandOpinion) -> float:
    return band.last_epoch_mjd - band.first_epoch_mjd


def _false_alarm(band: BandOpinion) -> float:
    """Return log10 of the false-alarm probability; a catalogue's period stands above every search."""
    return -math.inf if band.period_method == "catalogue" else band.log10_false_alarm


def _why_not(annotation: Annotation, held: BandOpinion | None) -> str | None:
    if "late" in annotation.changes:
        return "late"
    if held is None:
        return "unknown" if annotation.withdrawn else None
    if annotation.revision == held.revision and annotation.annotation_id == held.annotation_id:
        return "repeated"
    # Revision 0: nobody counted, and the topic's order decides.
    return "late" if 0 < annotation.revision < held.revision else None


def _of_one_model(bands: Sequence[BandOpinion], annotation: Annotation) -> list[BandOpinion]:
    """Return the bands whose model has the classes of the newest annotation's; of none, those of any band."""
    classes = set(annotation.probabilities)
    chosen = [band for band in bands if set(band.probabilities) == classes]
    return chosen or [band for band in bands if set(band.probabilities) == set(bands[0].probabilities)]


def _flags(bands: Sequence[BandOpinion], agreement: str) -> tuple[str, ...]:
    holds: Mapping[str, bool] = {
        "one_band": len(bands) == 1,
        "bands_disagree": len({band.predicted_class for band in bands}) > 1,
        "periods_disagree": agreement in {"disagree", "majority"},
        "mixed_models": len({band.model_digest for band in bands}) > 1,
    }
    return tuple(flag for flag in OBJECT_FLAGS if holds[flag])
