"""Other people's surveys become our layout, and what is wrong in them is named to the cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from broker_plugin.errors import InputError
from tests.shared import shared_path
from training.cli import main
from training.data import collect_stars, read_description
from training.data.fold_residual import fold_residual
from training.windows import read_windows

_PERIOD_DAYS = 0.61


def _epochs(seed: int, n: int = 210) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    hjd = 2_457_000 + np.sort(rng.uniform(0, 900, n))
    mag = 12 + 0.3 * np.sin(2 * np.pi * hjd / _PERIOD_DAYS) + rng.normal(0, 0.02, n)
    return pd.DataFrame({"hjd": hjd, "camera": "ba", "mag": mag.round(4), "mag_err": 0.02})


def _asassn(folder: Path) -> Path:
    """Write an ASAS-SN download: a catalogue, a CSV a star, upper limits among the epochs."""
    catalogue = pd.DataFrame(
        {
            "asassn_name": ["J0001", "J0002", "J0003", "J0004"],
            "raj2000": [1.0, 2.0, 3.0, 4.0],
            "dej2000": -10.0,
            "period": [_PERIOD_DAYS, _PERIOD_DAYS, "", _PERIOD_DAYS],
            "variable_type": ["RRAB", "EW", "YSO", "RRC"],
            "class_probability": [0.99, 0.95, 0.97, 0.4],
            "bp_rp": [0.5, "", 1.5, 99.99],
        }
    )
    catalogue.to_csv(folder / "asassn.csv", index=False)
    (folder / "curves").mkdir()
    for number in range(1, 5):
        epochs = _epochs(number).astype({"mag": str})
        epochs.loc[3, "mag"] = ">15.31"
        epochs.loc[3, "mag_err"] = 99.99
        epochs.to_csv(folder / "curves" / f"J000{number}.csv", index=False)
    path = folder / "survey.toml"
    path.write_text(
        'preset = "asassn"\ncatalogue.path = "asassn.csv"\nlight_curves.path = "curves"\n'
        "cuts.min_probability = 0.9\n"
    )
    return path


def test_an_asassn_download(tmp_path: Path) -> None:
    """Upper limits go, an unlikely class goes, an unknown type is NOVEL, missing colours are null."""
    out = tmp_path / "stars.parquet"
    result = CliRunner().invoke(main, ["collect", str(_asassn(tmp_path)), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "dropped 1: probability below 0.9" in result.output
    stars = pd.read_parquet(out).set_index("star_id")
    assert stars.superclass.to_dict() == {"J0001": "RRAB", "J0002": "ECL", "J0003": "NOVEL"}
    assert (stars.n_epochs == 209).all()
    assert stars.gaia_bp_rp["J0001"] == 0.5
    assert np.isnan(stars.gaia_bp_rp["J0002"])
    assert np.isnan(stars.period["J0003"])
    table = read_windows(out)
    assert len(table) == 3
    np.testing.assert_allclose(table.time_mjd[0, 0] + 2_400_000.5, stars.hjd["J0001"][0], rtol=0, atol=1e-6)


def test_the_fold_cut_spares_other_kinds(tmp_path: Path) -> None:
    """A star folded with a wrong period is dropped at 0.7; NOVEL need not fold."""
    path = _asassn(tmp_path)
    catalogue = pd.read_csv(tmp_path / "asassn.csv")
    catalogue.loc[1, "period"] = 0.4321
    catalogue.to_csv(tmp_path / "asassn.csv", index=False)
    path.write_text(path.read_text() + "cuts.max_fold_residual = 0.7\n")
    report = collect_stars(read_description(path), tmp_path / "stars.parquet")
    assert dict(report.by_class) == {"RRAB": 1, "NOVEL": 1}
    assert report.dropped["fold residual above 0.7 or no period"] == 1


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_one_table_of_epochs(tmp_path: Path, suffix: str) -> None:
    """Any survey: a catalogue and one long table, CSV or parquet, MJD times, integer ids, groups."""
    pd.DataFrame({"ID": [7, 8], "Kind": ["HADS", "weird"], "field": ["a", "a"], "Plx": ["1", "2"]}).to_csv(
        tmp_path / "cat.csv", index=False
    )
    long = pd.concat([_epochs(k).assign(ID=k, MJD=lambda t: t.hjd - 2_400_000.5) for k in (7, 8)])
    getattr(long, f"to_{suffix}")(tmp_path / f"epochs.{suffix}", index=False)
    (tmp_path / "classes.toml").write_text('HADS = "DSCT"\nweird = "NOVEL"\n')
    (tmp_path / "s.toml").write_text(f"""
survey = "MINE"
[catalogue]
path = "cat.csv"
columns = {{ star_id = "ID", class = "Kind", group = "field" }}
[light_curves]
path = "epochs.{suffix}"
columns = {{ star_id = "ID", time = "MJD", mag = "mag", magerr = "mag_err" }}
time_offset_days = 2400000.5
[classes]
file = "classes.toml"
""")
    report = collect_stars(read_description(tmp_path / "s.toml"), tmp_path / "out.parquet")
    assert dict(report.by_class) == {"DSCT": 1, "NOVEL": 1}
    table = read_windows(tmp_path / "out.parquet")
    assert len(set(table.group)) == 1
    np.testing.assert_allclose(table.time_mjd[0], _epochs(7).hjd[:200] - 2_400_000.5, rtol=0, atol=1e-6)


def test_asas_and_linear_folders(tmp_path: Path) -> None:
    """Whitespace files without headers; ASAS grades C and D are left out, 29.999 is no magnitude."""
    epochs = _epochs(1)
    rows = [
        f"{row.hjd - 2_450_000:.5f} {row.mag:.3f} 1 1 1 1 0.030 1 1 1 1 {'ABCD'[i % 4]} {i}"
        for i, row in enumerate(epochs.itertuples())
    ]
    (tmp_path / "asas").mkdir()
    (tmp_path / "asas" / "000110-1234.5").write_text("#  HJD MAG_0 ...\n" + "\n".join(rows))
    (tmp_path / "asas.cat").write_text("# id class period\n000110-1234.5 RRAB 0.61\n")
    (tmp_path / "asas.toml").write_text(
        'preset = "asas"\ncatalogue.path = "asas.cat"\nlight_curves.path = "asas"\ncuts.min_epochs = 50\n'
    )
    collect_stars(read_description(tmp_path / "asas.toml"), tmp_path / "asas.parquet")
    star = pd.read_parquet(tmp_path / "asas.parquet").iloc[0]
    assert star.n_epochs == 106
    np.testing.assert_allclose(star.hjd[:2], epochs.hjd[:2], rtol=0, atol=1e-5)

    (tmp_path / "linear").mkdir()
    (tmp_path / "linear" / "29848.dat").write_text(
        "\n".join(f"{t - 2_400_000.5:.6f} {m} 0.02" for t, m in zip(epochs.hjd, epochs.mag, strict=True))
    )
    (tmp_path / "linear.cat").write_text("29848 RRAB 0.61\n29849 RRC 0.3\n")
    (tmp_path / "linear.toml").write_text(
        'preset = "linear"\ncatalogue.path = "linear.cat"\nlight_curves.path = "linear"\n'
    )
    report = collect_stars(read_description(tmp_path / "linear.toml"), tmp_path / "linear.parquet")
    assert (report.written, dict(report.dropped)) == (1, {"no light curve": 1})


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("curves/J0001.csv", "ba,", "ba,x", r"J0001.csv: row 1, column 'mag': 'x.*expected a number"),
        ("curves/J0002.csv", "hjd", "jd", r"J0002.csv: column 'hjd' is missing; found jd, camera, mag"),
        ("asassn.csv", "J0002", "J0001", r"row 2, column 'asassn_name': 'J0001', which row 1 has, too"),
        ("asassn.csv", ",EW,", ",,", "class '' is not in the mapping"),
        ("survey.toml", "cuts.min_probability", "cuts.min_prob", r"survey.toml: key cuts.min_prob: Extra"),
        ("survey.toml", "asassn", "kepler", r"preset 'kepler'; expected one of asas, asassn, linear"),
        ("survey.toml", "0.9", "9.0", r"cuts.min_probability: .*less than or equal to 1 \(found 9.0\)"),
    ],
)
def test_errors_name_the_place(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    """File, row, column, value, and what is allowed."""
    path = _asassn(tmp_path)
    if "not in the mapping" in message:
        path.write_text(path.read_text() + 'classes.unknown = "error"\n')
    broken = tmp_path / file
    broken.write_text(broken.read_text().replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        collect_stars(read_description(path), tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_mapping_with_an_unknown_superclass(tmp_path: Path) -> None:
    """A superclass of one's own has no component in the mixture."""
    path = _asassn(tmp_path)
    (tmp_path / "classes.toml").write_text('EW = "BINARY"\n')
    path.write_text(path.read_text() + 'classes.file = "classes.toml"\n')
    with pytest.raises(InputError, match="EW = 'BINARY'; expected one of CEPH"):
        collect_stars(read_description(path), tmp_path / "out.parquet")


def test_fold_residual_against_the_supersmoother_package() -> None:
    """The column fold_residual of the real stars was made with the published supersmoother code."""
    stars = pd.read_parquet(
        shared_path("data/asas_variables.parquet"), columns=["hjd", "mag", "period", "fold_residual"]
    ).sample(60, random_state=1)
    ours = [fold_residual(s.hjd, s.mag.astype(float), s.period) for s in stars.itertuples()]
    difference = np.abs(np.array(ours) - stars.fold_residual)
    assert difference.median() < 0.005
    assert difference.max() < 0.05


def test_fold_residual_of_noise_and_of_a_clean_fold() -> None:
    """About 1 for noise, near 0 for a clean sine, NaN without a period."""
    epochs = _epochs(0)
    assert fold_residual(epochs.hjd.to_numpy(), epochs.mag.to_numpy(), _PERIOD_DAYS) < 0.15
    noise = np.random.default_rng(0).normal(size=len(epochs))
    assert 0.8 < fold_residual(epochs.hjd.to_numpy(), noise, _PERIOD_DAYS) < 1.1
    assert np.isnan(fold_residual(epochs.hjd.to_numpy(), noise, float("nan")))
