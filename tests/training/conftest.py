"""A small labelled data set in the layout of the real one, with shapes that a tiny network can learn."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

CLASSES = ("CEPH", "DSCT", "ECL", "M", "ROT", "RRAB", "RRCD", "SR")


def make_stars(seed: int, stars_per_class: int, n_novel: int) -> pd.DataFrame:
    """Return stars of every class: sines whose period and amplitude tell the class, and noise as NOVEL."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(stars_per_class * len(CLASSES) + n_novel):
        novel = number >= stars_per_class * len(CLASSES)
        k = number % len(CLASSES)
        n_epochs = int(rng.integers(200, 450))
        time = 2_452_000.0 + rng.uniform(0, 1500, n_epochs)  # not in time order
        period = float(10 ** (-1.2 + 0.5 * k) * rng.uniform(0.9, 1.1))
        curve = rng.normal(size=n_epochs) if novel else np.cos(2 * np.pi * time / period)
        mag = 11 + (0.1 + 0.15 * k) * curve + 0.02 * rng.normal(size=n_epochs)
        rows.append(
            {
                "star_id": f"star-{number}",
                "superclass": "NOVEL" if novel else CLASSES[k],
                "orig_class": "noise" if novel else CLASSES[k].lower(),
                "group": number // 2 if not novel else 10_000 + number,
                "period": period,
                "period_blind": period if number != 1 else np.nan,
                "hjd": time,
                "mag": mag.astype(np.float32),
                "magerr": np.full(n_epochs, 0.03, np.float32),
            }
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a parquet file of 160 stars of known classes and 6 of none."""
    path = tmp_path_factory.mktemp("data") / "stars.parquet"
    make_stars(0, 20, 6).to_parquet(path)
    return path
