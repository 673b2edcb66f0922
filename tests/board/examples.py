"""Annotations with light curves of a chosen number of stars, as the stream publishes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from broker_plugin.records.annotation import Annotation, Novelty, PeriodCandidate, PeriodReport
from broker_plugin.records.codec import novelty_record
from broker_plugin.records.text import to_json
from tests.records.examples import ANNOTATION

CLASSES = ("CEPH", "DSCT", "ECL", "M", "ROT", "RRAB", "RRCD", "SR")
FLAGS = ("no_significant_period", "fewer_than_two_cycles", "phase_gap", "mostly_forced")
PROCESSED_MS = 1_767_225_600_000


def novelty(number: int = 1, window: int = 0, **changes: Any) -> Novelty:
    """Return a star's novelty; ``window`` counts its annotations, each 20 epochs later than the last."""
    rng = np.random.default_rng([number, 7])
    period_days = float(10 ** rng.uniform(-1, 2))
    time = 59000.0 + np.sort(rng.uniform(0, 400, 400))[20 * window : 20 * window + 200]
    phase = ((time - 59000.0) / period_days) % 1.0
    shape = 0.4 * np.sin(2 * np.pi * phase) + 0.15 * np.sin(4 * np.pi * phase + 1)
    mean = float(rng.uniform(14, 20))
    errors = rng.uniform(0.02, 0.05, len(time)).astype(np.float32)
    mag = (mean + shape + errors * rng.standard_normal(len(time))).astype(np.float32)
    shares = rng.dirichlet(np.full(8, 0.3))
    flags = tuple(flag for flag in FLAGS if rng.random() < 0.2)
    significant = "no_significant_period" not in flags
    candidates = (
        PeriodCandidate(period_days, -340.5, "peak"),
        PeriodCandidate(2 * period_days, -120.25, "double"),
        PeriodCandidate(0.99727, -80.125, "alias"),
    )
    annotation = replace(
        ANNOTATION,
        object_id=f"ZTF22{number:07d}",
        band="gr"[number % 2],
        ra=float(rng.uniform(0, 360)),
        dec=float(rng.uniform(-30, 80)),
        window_id=f"{number:08x}{window:024x}",
        alert_id=str(2**60 + number),
        alert_time_mjd=float(time[-1]),
        n_epochs_total=200 + 20 * window,
        first_epoch_mjd=float(time[0]),
        last_epoch_mjd=float(time[-1]),
        period=PeriodReport(period_days if significant else None, period_days, "search", -20.5, candidates),
        probabilities=dict(zip(CLASSES, shares.tolist(), strict=True)),
        predicted_class=CLASSES[int(shares.argmax())],
        energy=float(rng.gamma(3, 6)),
        energy_percentile=float(rng.uniform(80, 100)),
        p_value=None if rng.random() < 0.1 else float(rng.uniform(0, 0.2)),
        mean_mag=mean,
        std_mag=float(mag.std()),
        quality_flags=flags,
    )
    return Novelty(
        annotation=replace(annotation, **changes),
        time_mjd=time,
        mag=mag,
        magerr=errors,
        phase=phase,
        reconstruction_mag=(mean + 0.9 * shape).astype(np.float32),
    )


def record(
    number: int = 1, window: int = 0, *, processed_ms: int = PROCESSED_MS, **changes: Any
) -> dict[str, Any]:
    """Return a novelty as a reader of the topic gets it."""
    return novelty_record(novelty(number, window, **changes), processed_ms + 1000 * window)


def classification(number: int = 1, window: int = 0, **changes: Any) -> dict[str, Any]:
    """Return an annotation without light curve."""
    full = record(number, window, **changes)
    return {name: value for name, value in full.items() if name not in _COLUMNS}


def line(of: dict[str, Any]) -> str:
    """Return a record as a line of a file of an offline run."""
    return to_json({**of, "processed_at": "2026-01-01T00:00:00+00:00"}) + "\n"


def annotation(number: int, **changes: Any) -> Annotation:
    """Return the annotation alone."""
    return novelty(number, **changes).annotation


_COLUMNS = ("time_mjd", "mag", "magerr", "phase", "reconstruction_mag")
