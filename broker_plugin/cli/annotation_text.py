"""An annotation as a line for a person."""

from __future__ import annotations

from broker_plugin.records.annotation import Annotation
from broker_plugin.records.object_annotation import ObjectAnnotation


def annotation_line(annotation: Annotation) -> str:
    """Return what matters for the decision to look closer, in one line.

    Novelties begin with ``NOVEL``, what is taken back with ``WITHDRAWN``, later revisions end with what has
    changed. The energy is followed by the share of training stars with a lower one
    and, if calibrated, the fraction of ordinary stars at least as extreme.
    """
    share = annotation.probabilities[annotation.predicted_class]
    p_value = "" if annotation.p_value is None else f", p {annotation.p_value:.2g}"
    period = annotation.period
    if period.value_days is None:
        period_text = f"no significant period (folded at {period.fold_days:.6g} d)"
    else:
        period_text = f"P {period.value_days:.6g} d"
    parts = [
        "WITHDRAWN" if annotation.withdrawn else "NOVEL" if annotation.novel else "     ",
        f"{annotation.survey} {annotation.object_id} {annotation.band}",
        f"{annotation.ra:9.5f} {annotation.dec:+9.5f}",
        f"MJD {annotation.alert_time_mjd:.4f}",
        f"{annotation.predicted_class:<4} {share:4.0%}",
        f"energy {annotation.energy:.2f} (above {annotation.energy_percentile:.1f} %{p_value})",
        period_text,
    ]
    if annotation.quality_flags:
        parts.append(f"[{' '.join(annotation.quality_flags)}]")
    if annotation.revision > 1:
        news = [change.replace("_", " ") for change in annotation.changes if change != "none"]
        parts.append(f"revision {annotation.revision}" + (f": {', '.join(news)}" if news else ""))
    return "  ".join(parts)


def object_line(combined: ObjectAnnotation) -> str:
    """Return the same of a whole object: its class from all bands, and in brackets that of each."""
    where = f"{combined.ra:9.5f} {combined.dec:+9.5f}  MJD {combined.alert_time_mjd:.4f}"
    if combined.withdrawn:
        return f"WITHDRAWN  {combined.survey} {combined.object_id}  {where}"
    share = combined.probabilities[combined.predicted_class]
    each = ", ".join(f"{band.band} {band.predicted_class}" for band in combined.bands)
    period = combined.period_days
    parts = [
        "NOVEL" if combined.novel else "     ",
        f"{combined.survey} {combined.object_id}",
        where,
        f"{combined.predicted_class:<4} {share:4.0%} ({each})",
        "no p-value" if combined.p_value is None else f"p {combined.p_value:.2g}",
        "no significant period" if period is None else f"P {period:.6g} d ({combined.period_agreement})",
    ]
    if combined.catalogue_match is not None:
        known = combined.catalogue_match
        parts.append(f"known as {known.star_id}" + (f" ({known.known_class})" if known.known_class else ""))
    if combined.quality_flags:
        parts.append(f"[{' '.join(combined.quality_flags)}]")
    if combined.revision > 1:
        parts.append(f"revision {combined.revision}")
    return "  ".join(parts)
