"""The truth table: what each simulated object really is."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TRUTH_FILE = "truth.csv"


@dataclass(frozen=True, slots=True)
class BandTruth:
    """One band of an object.

    Attributes
    ----------
    mean_mag : float
        Mean of the noise-free magnitudes at the times of the exposures; NaN without exposures.
    amplitude : float
        Their range, mag.
    n_exposures : int
        Exposures of the object's field.
    n_detections : int
        Above 5 sigma on the difference image.
    n_in_alerts : int
        Exposures that at least one alert carried: what a consumer of all the packets can know of.
    """

    mean_mag: float
    amplitude: float
    n_exposures: int
    n_detections: int
    n_in_alerts: int


@dataclass(frozen=True, slots=True)
class Truth:
    """One object; ``superclass`` is one of the eight classes or ``"NOVEL"``."""

    object_id: str
    kind: str
    superclass: str
    period_days: float | None
    ra: float
    dec: float
    n_alerts: int
    seed: int
    bands: dict[str, BandTruth]


def write_truth(path: Path, rows: Sequence[Truth], bands: Sequence[str]) -> None:
    """Write the table as CSV: one row an object; a band's columns end in its name; no period is empty."""
    fixed = ["object_id", "kind", "superclass", "period_days", "ra", "dec", "n_alerts", "seed"]
    names = ["mean_mag", "amplitude", "n_exposures", "n_detections", "n_in_alerts"]
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(fixed + [f"{name}_{band}" for band in bands for name in names])
        for row in rows:
            period = "" if row.period_days is None else f"{row.period_days:.8f}"
            values = [row.object_id, row.kind, row.superclass, period, f"{row.ra:.7f}", f"{row.dec:.7f}"]
            values += [str(row.n_alerts), str(row.seed)]
            for band in bands:
                truth = row.bands[band]
                values += [f"{truth.mean_mag:.4f}", f"{truth.amplitude:.4f}"]
                values += [str(truth.n_exposures), str(truth.n_detections), str(truth.n_in_alerts)]
            writer.writerow(values)
