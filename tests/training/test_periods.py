"""Periods for training: found once, kept, resumed, never mixed up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from broker_plugin.errors import InputError
from broker_plugin.period import PeriodSettings, find_period
from broker_plugin.period.digest import search_digest
from training.periods import periods_for
from training.windows import read_windows


def test_found_periods_are_those_of_the_stream_and_are_kept(data: Path, tmp_path: Path) -> None:
    """The search on a window; the second time nothing is searched; more windows resume the same file."""
    table = read_windows(data)
    said: list[str] = []
    index = np.array([2, 5])
    first = periods_for(table, "search", tmp_path, index=index, progress=said.append)
    for i in index:
        report = find_period(table.time_mjd[i], table.mag[i], table.magerr[i], PeriodSettings())
        assert first.period_days[i] == report.fold_days
    assert np.isnan(first.period_days).sum() == len(table) - 2
    assert first.search_digest == search_digest()
    said.clear()
    again = periods_for(table, "search", tmp_path, index=index, progress=said.append)
    assert said == []
    np.testing.assert_array_equal(again.period_days, first.period_days)
    periods_for(table, "search", tmp_path, index=np.array([2, 5, 7]), progress=said.append)
    assert said[0].startswith("period search: 1 of 3 windows to do")


def test_a_file_of_periods_keeps_the_digest_of_its_search(data: Path, tmp_path: Path) -> None:
    """Training on what an earlier search found says so."""
    table = read_windows(data)
    path = tmp_path / "old.npz"
    periods = np.linspace(1, 2, len(table))
    np.savez(path, period_days=periods, data_digest=table.data_digest, search_digest="0123456789ab")
    found = periods_for(table, str(path), tmp_path)
    np.testing.assert_array_equal(found.period_days, periods)
    assert (found.source, found.search_digest) == ("search", "0123456789ab")


def test_periods_of_other_data_are_refused(data: Path, tmp_path: Path) -> None:
    """A file of periods belongs to one data set."""
    table = read_windows(data)
    path = tmp_path / "other.npz"
    np.savez(path, period_days=np.ones(len(table)), data_digest="feedbeef", search_digest="0")
    with pytest.raises(InputError, match="feedbeef"):
        periods_for(table, str(path), tmp_path)


def test_a_column_of_periods(data: Path, tmp_path: Path) -> None:
    """Catalogue periods; a star without one, or a column that is not there, is an error."""
    table = read_windows(data)
    found = periods_for(table, "period", tmp_path)
    np.testing.assert_array_equal(found.period_days, table.columns_period_days["period"])
    with pytest.raises(InputError, match="star star-1 has no 'period_blind'"):
        periods_for(table, "period_blind", tmp_path)
    with pytest.raises(InputError, match="no period column 'gaia'"):
        periods_for(table, "gaia", tmp_path)


def test_the_digest_follows_the_code_and_not_its_dress() -> None:
    """A comment, a docstring, an import or a line break finds no other period; a number may."""
    from broker_plugin.period.digest import _code_of

    plain = "def f(x):\n    return x * 2\n"
    dressed = (
        '"""Doc."""\nimport os\n\n\ndef f(x):  # why\n    """Doc."""\n'
        "    import sys\n\n    return (\n        x * 2\n    )\n"
    )
    assert _code_of(plain) == _code_of(dressed)
    assert _code_of(plain) != _code_of(plain.replace("2", "3"))
