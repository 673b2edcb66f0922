"""Real light curves in packets come back as they were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from broker_plugin.archive import iter_packets
from broker_plugin.decode.alert import Alert
from broker_plugin.decode.decoder import Decoder
from broker_plugin.errors import InputError
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.photometry.measure import measure
from broker_plugin.records.epoch import EpochArray, Origin
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.simulate import simulate_from_parquet
from tests.shared import shared_path


def made_up(path: Path, rows: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "star_id": [f"star{i}" for i in range(rows)],
            "ra": [np.nan if i == 1 else 40.0 * i for i in range(rows)],
            "dec": [np.nan if i == 1 else -30.0 + i for i in range(rows)],
            "superclass": [("ECL", "M", "SR")[i % 3] for i in range(rows)],
            "period": [np.nan if i == 2 else 1.5 for i in range(rows)],
            "hjd": [rng.permutation(2453000.5 + np.sort(rng.uniform(0, 90, 60))) for _ in range(rows)],
            "mag": [rng.uniform(8, 13, 60).astype(np.float32) for _ in range(rows)],
            "magerr": [rng.uniform(0.01, 0.3, 60).astype(np.float32) for _ in range(rows)],
        }
    )
    table.to_parquet(path)
    return table


def ingest(folder: Path) -> tuple[dict[str, EpochArray], list[ObjectPhotometry]]:
    """Return the detection of each alert, by object, in time order; and all that was measured."""
    decoder = Decoder()
    alerts = [decoder.decode(packet.payload)[0] for packet in iter_packets([folder])]
    measured = measure([alert for alert in alerts if isinstance(alert, Alert)], QualityCuts()).results
    results = [result for result in measured if isinstance(result, ObjectPhotometry)]
    assert len(results) == len(alerts)
    own: dict[str, list[EpochArray]] = {}
    for result in results:
        epochs = result.bands["r"]
        own.setdefault(result.object_id, []).append(epochs[epochs["origin"] == int(Origin.DETECTION)])
    return {name: np.sort(np.concatenate(parts), order="time_mjd") for name, parts in own.items()}, results


def check(table: pd.DataFrame, truth: pd.DataFrame, found: dict[str, EpochArray]) -> None:
    """Compare all columns of all stars.

    Magnitudes: the difference's magnitude is stored as float32, and so is the result: an error of up to
    4.8e-7 below mag 16 can move the result by one last digit, 9.5e-7. Times: twice the resolution of a JD.
    """
    by_star = table.set_index("star_id")
    for star_id, object_id in zip(truth.kind, truth.object_id, strict=True):
        star, epochs = by_star.loc[star_id], found[object_id]
        order = np.argsort(star.hjd)
        np.testing.assert_allclose(
            epochs["time_mjd"], np.asarray(star.hjd)[order] - 2400000.5, rtol=0, atol=1e-9
        )
        np.testing.assert_allclose(epochs["mag"], np.asarray(star.mag)[order], rtol=0, atol=9.6e-7)
        np.testing.assert_allclose(epochs["magerr"], np.asarray(star.magerr)[order], rtol=1e-6)


def test_made_up_stars_come_back(tmp_path: Path) -> None:
    """Unsorted times, a star without a place, one without a period."""
    table = made_up(tmp_path / "stars.parquet")

    summary = simulate_from_parquet(tmp_path / "stars.parquet", tmp_path / "out", seed=1)

    truth = pd.read_csv(summary.truth_path)
    found, results = ingest(tmp_path / "out")
    assert summary.alerts == 180
    assert summary.objects == 3
    assert np.isfinite(truth[["ra", "dec"]]).all(axis=None)
    assert np.isnan(truth.period_days[2])
    assert list(truth.superclass) == list(table.superclass)
    check(table, truth, found)
    # 60 epochs in 90 days: on average some 17 of the last 30 days come again.
    assert np.mean([len(result.bands["r"]) for result in results]) > 10


def test_real_stars_come_back(tmp_path: Path) -> None:
    path = shared_path("data/asas_variables.parquet")

    summary = simulate_from_parquet(path, tmp_path, n_stars=9, seed=2)

    truth = pd.read_csv(summary.truth_path)
    assert truth.superclass.nunique() == 9
    check(pd.read_parquet(path), truth, ingest(tmp_path)[0])


def test_chosen_stars_in_the_order_asked_and_the_same_bytes_again(tmp_path: Path) -> None:
    made_up(tmp_path / "stars.parquet", rows=6)
    wanted = ["star4", "star1"]
    for name in "ab":
        simulate_from_parquet(tmp_path / "stars.parquet", tmp_path / name, star_ids=wanted, seed=9)

    assert list(pd.read_csv(tmp_path / "a" / "truth.csv").kind) == wanted
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)


@pytest.mark.parametrize(
    ("star_ids", "message"), [(["nobody"], "no star nobody"), (["star0", "x"], "1 of 2")]
)
def test_a_star_that_is_not_there_is_named(tmp_path: Path, star_ids: Sequence[str], message: str) -> None:
    made_up(tmp_path / "stars.parquet")
    with pytest.raises(InputError, match=message):
        simulate_from_parquet(tmp_path / "stars.parquet", tmp_path / "out", star_ids=star_ids)


def test_files_that_are_no_light_curves_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no parquet")
    pd.DataFrame({"star_id": ["a"]}).to_parquet(tmp_path / "short.parquet")
    for name, message in (
        ("text", "cannot be read"),
        ("short", "lacks the columns ra"),
        ("absent", "absent"),
    ):
        with pytest.raises(InputError, match=message):
            simulate_from_parquet(tmp_path / f"{name}.parquet", tmp_path / "out")
