"""Known periods from a file, or an error that names what is wrong in it."""

from __future__ import annotations

import pandas as pd
import pytest

from broker_plugin.app.catalogue import load_period_catalogue
from broker_plugin.errors import InputError


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_periods_by_survey_and_object(tmp_path, suffix) -> None:
    """A 64-bit id of LSST keeps every digit in both formats."""
    table = pd.DataFrame(
        {
            "survey": ["ztf", "lsst"],
            "object_id": ["ZTF18abcdefg", str(2**63 - 1)],
            "period_days": [0.5, 12.25],
        }
    )
    path = tmp_path / f"periods{suffix}"
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)

    assert load_period_catalogue(path) == {
        ("ztf", "ZTF18abcdefg"): 0.5,
        ("lsst", "9223372036854775807"): 12.25,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("survey,object_id\nztf,a\n", "lacks column 'period_days'"),
        ("survey,object_id,period_days\nztf,a,1\nztf,b,-2\n", "row 2: period_days is -2"),
        ("survey,object_id,period_days\nztf,a,\n", "row 1: period_days is nan"),
        ("survey,object_id,period_days\nztf,a,inf\n", "row 1: period_days is inf"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, words) -> None:
    """File, row, column and value."""
    path = tmp_path / "periods.csv"
    path.write_text(text)

    with pytest.raises(InputError, match=words) as error:
        load_period_catalogue(path)
    assert str(path) in str(error.value)


def test_missing_file_is_named(tmp_path) -> None:
    """A typo in the path."""
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        load_period_catalogue(tmp_path / "nowhere.csv")
