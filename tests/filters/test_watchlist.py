"""Files of objects and positions: what they mean, and where they are wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.filters import FilterSpec, Verdict, Watchlist, build_filter, read_watchlist
from broker_plugin.filters.spec import WatchlistSpec
from broker_plugin.filters.watchlist import Row
from tests.filters.examples import annotation
from tests.filters.test_filter import separation_arcsec


def read(tmp_path: Path, text: str, radius: float = 2.0) -> tuple[Watchlist, list[str]]:
    path = tmp_path / "list.csv"
    path.write_text(text)
    return read_watchlist(path, radius)


def test_ids_one_a_line(tmp_path) -> None:
    """The file that everybody has already; blanks, comments, a byte order mark and Windows' line ends."""
    path = tmp_path / "ids.txt"
    path.write_bytes(b"\xef\xbb\xbfZTF18abcdefg\r\n\r\n# mine\r\n 9223372036854775807 \r\n")
    watchlist, problems = read_watchlist(path)
    assert problems == []
    assert watchlist.n_rows == 2
    assert watchlist.holds_object("ztf", "ZTF18abcdefg")
    assert watchlist.holds_object("lsst", str(2**63 - 1))
    assert not watchlist.holds_object("ztf", "ZTF18abcdef")
    assert not watchlist.has_positions


def test_survey_of_an_id(tmp_path) -> None:
    """A number may be an object of two surveys."""
    watchlist, problems = read(tmp_path, "survey,object_id,note\nlsst,42,mine\n,43,any\n")
    assert problems == []
    assert watchlist.holds_object("lsst", "42")
    assert not watchlist.holds_object("ztf", "42")
    assert watchlist.holds_object("ztf", "43")


def test_positions_with_radii_of_their_own(tmp_path) -> None:
    """1 arcsec = 1/3600 degree in declination; a radius in the row wins."""
    watchlist, problems = read(tmp_path, "name,RA,Dec,radius_arcsec\na,10,20,\nb,30,40,10\n")
    assert problems == []
    assert watchlist.holds_position(10, 20 + 1.9 / 3600)
    assert not watchlist.holds_position(10, 20 + 2.1 / 3600)
    assert watchlist.holds_position(30, 40 + 9.9 / 3600)
    assert not watchlist.holds_position(30, 40 + 10.1 / 3600)


def test_all_wrong_lines_are_named(tmp_path) -> None:
    """With their numbers in the file, comments counted; the right ones are kept."""
    text = "# mine\nra,dec\n1,2\n361,0\nx,0\n\n5,-91\n7,\n8,9\n"
    watchlist, problems = read(tmp_path, text)
    assert [problem.partition(": ")[0].rpartition(" ")[2] for problem in problems] == ["4", "5", "7", "8"]
    assert watchlist.n_rows == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "names no object and no position"),
        ("object_id\n", "names no object and no position"),
        ("alpha,delta\n1,2\n", "line 1: found 'alpha, delta', expected a header"),
        ("object_id,ra,dec\n,,\n", "line 2: neither an object id nor a position"),
        ("ra,dec\n" + "x,y\n" * 30, "10 more lines are wrong"),
    ],
)
def test_file_of_no_use(tmp_path, text, expected) -> None:
    """Said in words, never an empty list that lets nothing through."""
    _, problems = read(tmp_path, text)
    assert any(expected in problem for problem in problems), problems
    assert len(problems) <= 21


def test_missing_or_binary_file(tmp_path) -> None:
    """The path is named."""
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    for name in ("none.csv", "b.csv"):
        _, (problem,) = read_watchlist(tmp_path / name)
        assert str(tmp_path / name) in problem


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.floats(0, 360, exclude_max=True), st.floats(-90, 90), st.floats(0.1, 3600)),
        min_size=1,
        max_size=30,
    ),
    st.data(),
)
def test_tree_agrees_with_looking_at_every_row(positions, data) -> None:
    """Near one of the rows, anywhere on the sky; what lies within 1e-6 of a border may go either way."""
    watchlist = Watchlist(Row(None, None, position) for position in positions)
    ra0, dec0, _ = data.draw(st.sampled_from(positions))
    offset = data.draw(st.floats(-0.02, 0.02))
    dec = max(-90.0, min(90.0, dec0 + offset))
    ra = (ra0 + data.draw(st.floats(-0.02, 0.02)) / max(math.cos(math.radians(dec)), 1e-3)) % 360
    distances = np.array([separation_arcsec(ra, dec, r, d) for r, d, _ in positions])
    radii = np.array([radius for _, _, radius in positions])
    if np.any(np.abs(distances - radii) < 1e-6 * radii + 1e-6):
        return
    assert watchlist.holds_position(ra, dec) == bool(np.any(distances <= radii))


def test_clause_takes_either(tmp_path) -> None:
    """An id, or a position; an annotation without a position may still be named."""
    path = tmp_path / "both.csv"
    path.write_text("object_id,ra,dec\nZTF18abcdefg,,\n,100,50\n")
    wanted = build_filter("w", FilterSpec(watchlist=WatchlistSpec(file=path)))
    assert wanted.verdict(annotation(ra=math.nan)) is Verdict.PASSES
    assert wanted.verdict(annotation(object_id="x", ra=100, dec=50)) is Verdict.PASSES
    assert wanted.verdict(annotation(object_id="x", ra=100, dec=50.1)) is Verdict.FAILS
    assert wanted.verdict(annotation(object_id="x", ra=math.nan)) is Verdict.MISSING
