"""An annotation as a line for a person."""

from __future__ import annotations

from broker_plugin.records.annotation import Annotation


def annotation_line(annotation: Annotation) -> str:
    """Return what matters for the decision to look closer, in one line.

    Novelties begin with ``NOVEL``. The energy is followed by the share of training stars with a lower one
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
        "NOVEL" if annotation.novel else "     ",
        f"{annotation.survey} {annotation.object_id} {annotation.band}",
        f"{annotation.ra:9.5f} {annotation.dec:+9.5f}",
        f"MJD {annotation.alert_time_mjd:.4f}",
        f"{annotation.predicted_class:<4} {share:4.0%}",
        f"energy {annotation.energy:.2f} (above {annotation.energy_percentile:.1f} %{p_value})",
        period_text,
    ]
    if annotation.quality_flags:
        parts.append(f"[{' '.join(annotation.quality_flags)}]")
    return "  ".join(parts)
