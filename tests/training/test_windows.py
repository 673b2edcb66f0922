"""Reading stars and cutting them into windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from broker_plugin.errors import InputError
from tests.shared import shared_path
from tests.training.conftest import CLASSES, make_stars
from training.windows import NOVEL_LABEL, read_windows


def test_windows_are_disjoint_chunks_in_time_order(data: Path) -> None:
    """The first 200 epochs in time, then the next; what is left over is dropped."""
    stars = pd.read_parquet(data).set_index("star_id")
    table = read_windows(data)
    expected = sum(len(hjd) // 200 for hjd in stars.hjd)
    assert len(table) == expected
    for index in range(0, len(table), 17):
        star = stars.loc[table.star_id[index]]
        order = np.argsort(star.hjd)[200 * table.chunk[index] : 200 * (table.chunk[index] + 1)]
        np.testing.assert_allclose(table.time_mjd[index], star.hjd[order] - 2_400_000.5, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(table.mag[index], star.mag[order])
        assert table.columns_period_days["period"][index] == star.period
        expected_label = NOVEL_LABEL if star.superclass == "NOVEL" else CLASSES.index(star.superclass)
        assert table.label[index] == expected_label


def test_a_window_that_cannot_be_scored_is_left_out(tmp_path: Path) -> None:
    """A NaN in the second chunk of a star takes that chunk only."""
    stars = make_stars(1, 1, 0)
    star = stars.iloc[0].copy()
    star["hjd"], star["magerr"] = np.arange(400.0), np.full(400, 0.03)
    mag = np.random.default_rng(0).normal(size=400)
    mag[300] = np.nan
    star["mag"] = mag
    pd.DataFrame([star]).to_parquet(tmp_path / "one.parquet")
    table = read_windows(tmp_path / "one.parquet")
    assert table.chunk.tolist() == [0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stars: stars.drop(columns="mag"), "column 'mag' is missing"),
        (lambda stars: stars.assign(superclass="QSO"), "row 0: superclass 'QSO'; expected one of CEPH"),
        (lambda stars: stars.assign(mag=[m[:-1] for m in stars.mag]), r"row 0 \(star_id star-0\) has"),
        (
            lambda stars: stars.assign(**{c: [v[:50] for v in stars[c]] for c in ("hjd", "mag", "magerr")}),
            "no star",
        ),
    ],
)
def test_bad_data_name_file_and_row(tmp_path: Path, change: object, message: str) -> None:
    """Missing columns, unknown classes, ragged rows and short stars are one clear line each."""
    path = tmp_path / "bad.parquet"
    change(make_stars(0, 1, 0)).to_parquet(path)  # type: ignore[operator]
    with pytest.raises(InputError, match=message) as caught:
        read_windows(path)
    assert "bad.parquet" in str(caught.value)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    """A CSV given by mistake."""
    (tmp_path / "stars.csv").write_text("star_id,mag\n")
    with pytest.raises(InputError, match="cannot be read as parquet"):
        read_windows(tmp_path / "stars.csv")


def test_counts_of_the_real_data() -> None:
    """15,766 windows of 8,113 stars, as the data's own description says."""
    table = read_windows(shared_path("data/asas_variables.parquet"))
    assert len(table) == 15_766
    assert len(set(table.star_id)) == 8_113
    counts = {name: int(np.sum(table.label == k)) for k, name in enumerate(CLASSES)}
    expected = {
        "ECL": 9502,
        "M": 2527,
        "RRAB": 1518,
        "DSCT": 835,
        "RRCD": 480,
        "SR": 428,
        "CEPH": 205,
        "ROT": 152,
    }
    assert counts == expected
    assert int(np.sum(table.label == NOVEL_LABEL)) == 119
