"""Annotations for filters: one to change, and any that there could be."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import strategies as st

from broker_plugin.annotate.quality import QUALITY_FLAGS
from broker_plugin.records.annotation import Annotation, PeriodReport
from tests.records.examples import ANNOTATION

CLASSES = ("CEPH", "DSCT", "ECL", "M", "ROT", "RRAB", "RRCD", "SR")

_SHARE = st.floats(0, 1)


def annotation(
    *, period_days: float | None = 0.5, probabilities: dict[str, float] | None = None, **changes: object
) -> Annotation:
    """Return an ordinary RR Lyrae star, but for what is given."""
    shares = dict.fromkeys(CLASSES, 0.01) | {"RRAB": 0.73, "RRCD": 0.2, "ECL": 0.02}
    shares = shares if probabilities is None else probabilities
    return replace(
        ANNOTATION,
        **{
            "period": PeriodReport(period_days, period_days or 0.4, "search", -8.0, ()),
            "probabilities": shares,
            "predicted_class": max(shares, key=shares.__getitem__),
            "novel": False,
            "p_value": 0.4,
            "quality_flags": (),
            "first_epoch_mjd": 57001.5,  # 1000 days: a window that resolves its periods
            **changes,
        },
    )


@st.composite
def annotations(draw: st.DrawFn) -> Annotation:
    """Draw what the network could say, with values missing here and there."""
    weights = draw(st.lists(st.floats(0.001, 1), min_size=8, max_size=8))
    return annotation(
        survey=draw(st.sampled_from(["ztf", "lsst"])),
        object_id=draw(st.sampled_from(["ZTF1", "ZTF2", "3"])),
        band=draw(st.sampled_from(list("gr"))),
        ra=draw(st.floats(0, 360, exclude_max=True)),
        dec=draw(st.floats(-90, 90)),
        probabilities=dict(zip(CLASSES, (w / math.fsum(weights) for w in weights), strict=True)),
        period_days=draw(st.none() | st.floats(0.03, 1000)),
        p_value=draw(st.none() | _SHARE),
        energy=draw(st.floats(-50, 1e4)),
        energy_percentile=draw(st.floats(0, 100)),
        mean_mag=draw(st.floats(6, 25) | st.just(math.nan)),
        std_mag=draw(st.floats(0, 3)),
        n_epochs_total=draw(st.integers(200, 5000)),
        novel=draw(st.booleans()),
        quality_flags=tuple(draw(st.lists(st.sampled_from(list(QUALITY_FLAGS)), unique=True))),
    )
