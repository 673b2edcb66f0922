"""Real ASAS stars: windows of 200 epochs against the period of the whole curve."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broker_plugin.period import find_period
from tests.period.curves import SETTINGS
from tests.shared import shared_path


@pytest.fixture(scope="module")
def stars():
    path = shared_path("data/asas_variables.parquet")
    columns = ["superclass", "period", "hjd", "mag", "magerr"]
    return pd.read_parquet(path, columns=columns)


@pytest.mark.parametrize(
    ("superclass", "exact", "up_to_two"),
    [("RRAB", 0.85, 0.85), ("RRCD", 0.75, 0.8), ("DSCT", 0.7, 0.8), ("ECL", 0.6, 0.8), ("CEPH", 0.75, 0.85)],
)
def test_recovery(stars, superclass, exact, up_to_two):
    """First windows of 40 stars: about 2.5 counting errors below the rates that the benchmark measures."""
    rows = stars[stars["superclass"] == superclass]
    rows = rows.iloc[np.linspace(0, len(rows) - 1, 40).astype(int)]
    ratios = []
    for row in rows.itertuples():
        mag, err = np.asarray(row.mag[:200]), np.asarray(row.magerr[:200])
        ratios.append(find_period(np.asarray(row.hjd[:200]), mag, err, SETTINGS).fold_days / row.period)
    ratio = np.array(ratios)

    right = np.abs(ratio - 1) < 0.01
    factor_two = right | (np.abs(ratio / 2 - 1) < 0.01) | (np.abs(2 * ratio - 1) < 0.01)
    assert right.mean() >= exact
    assert factor_two.mean() >= up_to_two
