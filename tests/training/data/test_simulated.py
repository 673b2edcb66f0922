"""Simulated stars of other surveys are a table that evaluation reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from broker_plugin.model.conventions import CLASSES
from training.cli import main
from training.windows import NOVEL_LABEL, read_windows


@pytest.mark.parametrize("survey", ["ztf", "lsst"])
def test_a_table_that_evaluation_reads(survey: str, tmp_path: Path) -> None:
    """Known classes and kinds of none; both bands of a star are one group; the same seed, the same stars."""
    paths = [tmp_path / name / "stars.parquet" for name in ("first", "again")]
    for path in paths:
        options = ("--survey", survey, "--stars", "30", "--seed", "3", "--out", str(path))
        result = CliRunner().invoke(main, ["simulate", *options])
        assert result.exit_code == 0, result.output
    first, again = (pd.read_parquet(path) for path in paths)
    pd.testing.assert_frame_equal(first, again)

    table = read_windows(paths[0])
    assert len(table) > 10
    assert NOVEL_LABEL in table.label
    assert len(set(table.label.tolist())) > 4
    assert set(first.superclass) <= {*CLASSES, "NOVEL"}
    objects = first.star_id.str.rsplit("_", n=1).str[0]
    assert (first.groupby(objects).group.nunique() == 1).all()
    assert len(first) > objects.nunique()
    for row in first.itertuples():
        assert len(row.hjd) >= 200
        assert np.all(np.diff(row.hjd) > 0)
        assert np.isfinite(row.mag).all()
        assert ((row.magerr > 0) & (row.magerr < 0.3)).all()
