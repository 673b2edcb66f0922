"""Tables as astronomers have them: what is wrong is named with file, row, column and value."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from broker_plugin.catalogue.source import read_source
from broker_plugin.errors import InputError


def write(folder, text: str):
    path = folder / "stars.csv"
    path.write_text(text)
    return path


def test_csv_and_parquet_say_the_same(tmp_path) -> None:
    """Long ids, leading zeros, empty cells."""
    path = write(tmp_path, "star_id,ra,dec,period,class\n007,1,2,,EW\n5000000000000000001,3.5,-4,0.25,\n")
    table = pd.DataFrame(
        {
            "star_id": ["007", "5000000000000000001"],
            "ra": [1.0, 3.5],
            "dec": [2.0, -4.0],
            "period": [None, 0.25],
            "class": ["EW", None],
        }
    )
    table.to_parquet(tmp_path / "stars.parquet")
    from_csv, from_parquet = read_source(path), read_source(tmp_path / "stars.parquet")
    assert from_csv.keys() == from_parquet.keys()
    for name in from_csv:
        np.testing.assert_array_equal(from_csv[name], from_parquet[name])
    assert from_csv["star_id"].to_pylist() == ["007", "5000000000000000001"]
    assert from_csv["class"].to_pylist() == ["EW", ""]
    np.testing.assert_array_equal(from_csv["period"].to_numpy(), [np.nan, 0.25])


def test_own_names_and_stand_ins(tmp_path) -> None:
    """A catalogue with RAJ2000, and 99.999 for a colour that is not known."""
    path = write(tmp_path, "RAJ2000,DEJ2000,P,BPRP\n1,2,0,99.999\n2,3,4.5,0.75\n")
    columns = read_source(
        path,
        rename={"ra": "RAJ2000", "dec": "DEJ2000", "period": "P", "gaia_bp_rp": "BPRP"},
        missing=[99.999],
    )
    np.testing.assert_array_equal(columns["period"].to_numpy(), [np.nan, 4.5])
    np.testing.assert_array_equal(columns["gaia_bp_rp"].to_numpy(), [np.nan, 0.75])
    assert columns["star_id"].to_pylist() == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ra,declination\n1,2\n", r"column 'dec' is missing; found ra, declination; .*--column dec=NAME"),
        ("ra,dec\n", "no rows"),
        ("ra,dec\n1,2\n361,0\n", r"row 2, column ra: found 361.0, expected 0 to 360"),
        ("ra,dec\n1,\n", r"row 1, column dec: found nan"),
        ("ra,dec\n1,2\n10:20:30,3\n", r"row 2, column ra: found '10:20:30', expected a number"),
        ("ra,dec,period\n1,2,-1\n", r"row 1, column period: found -1.0"),
        ("ra,dec,gaia_bp_rp\n1,2,99\n", r"column gaia_bp_rp: found 99.0, .* give --missing"),
        ("ra,dec,star_id\n1,2,a\n1,2,\n", r"row 2, column star_id: found '', expected an id"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words) -> None:
    """File, row, column, value, cure."""
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=words) as error:
        read_source(path)
    assert str(path) in str(error.value)


def test_rounded_ids_are_refused(tmp_path) -> None:
    """Ids of 64 bits that went through a column of floats are not ids any more."""
    pd.DataFrame({"ra": [1.0], "dec": [2.0], "star_id": [5e18]}).to_parquet(tmp_path / "s.parquet")
    with pytest.raises(InputError, match="double, which rounds long ids"):
        read_source(tmp_path / "s.parquet")


def test_unknown_names_and_missing_files(tmp_path) -> None:
    """A typo in --column, a file that is not there."""
    path = write(tmp_path, "ra,dec\n1,2\n")
    with pytest.raises(InputError, match="column 'periode' is not known; expected some of ra, dec"):
        read_source(path, rename={"periode": "P"})
    with pytest.raises(InputError, match="column 'P' is missing"):
        read_source(path, rename={"period": "P"})
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        read_source(tmp_path / "nowhere.csv")
