"""The list's filter: the same verdicts as everywhere, problems told, nothing executed that was typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.board import listing
from broker_plugin.board.intake import put_annotation
from broker_plugin.board.selection import SORTS, parse_selection
from broker_plugin.board.store import Store
from broker_plugin.filters import build_filter, parse_filter
from tests.board.examples import annotation, record

NUMBERS = range(1, 61)

CLAUSES = [
    "energy>=15",
    "energy<=30",
    "p<=0.05",
    "p>=0.01",
    "energy_percentile>=90",
    "class=ECL,M,RRAB",
    "probability>=0.5",
    "probability<=0.4",
    "mag=15..18",
    "std_mag>=0.3",
    "period=0.2..5",
    "n_epochs>=200",
    "band=g",
    "survey=ztf",
    "novel",
    "!novel",
    "flags=phase_gap",
    "flags!=no_significant_period",
    "flags!=mostly_forced,phase_gap",
    "cone=180,30,120deg",
    "cone=359.9,80,60deg",
    "cone=10,-25,3000arcmin",
]


def _about(clause: str) -> str:
    """Return what a clause is about, which a filter can say once."""
    return clause.lstrip("!")[:3]


@pytest.fixture(scope="module")
def sky(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Sixty light curves, some of them not novel."""
    store = Store(tmp_path_factory.mktemp("board") / "board.sqlite")
    with store.writing() as connection:
        for number in NUMBERS:
            put_annotation(connection, record(number, novel=number % 3 > 0))
    yield store
    store.close()


@settings(max_examples=60)
@given(chosen=st.lists(st.sampled_from(CLAUSES), min_size=1, max_size=4, unique_by=_about))
def test_the_list_and_the_outputs_agree_on_every_filter(sky: Store, chosen) -> None:
    """What `subscribe` and the outputs let through is what the page shows, clause by clause."""
    line = " ".join(chosen)
    parsed = parse_selection({"q": line, "novel": "all"})
    oracle = build_filter("oracle", parse_filter(line))
    expected = {
        f"ztf/{a.object_id}/{a.band}" for n in NUMBERS if oracle.passes(a := annotation(n, novel=n % 3 > 0))
    }

    with sky.reading() as connection:
        found = {row.values["key"] for row in listing.rows(connection, parsed.selection, 0, 1000)}

    assert not parsed.problems
    assert found == expected


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_cover_the_list_once_in_every_order(sky: Store, sort, order) -> None:
    """Scrolling through shows every light curve once; what has no value comes last in both directions."""
    selection = parse_selection({"novel": "all", "sort": sort, "order": order}).selection
    with sky.reading() as connection:
        total = listing.count(connection, selection)
        pages = [listing.rows(connection, selection, start, 7) for start in range(0, total, 7)]
    rows = [row for page in pages for row in page]
    column = SORTS[sort].split(".")[1]
    values = [row.values.get(column) for row in rows]
    known = [value for value in values if value is not None]

    assert [row.rank for row in rows] == list(range(1, total + 1))
    assert len({row.values["key"] for row in rows}) == total == 60
    assert values == known + [None] * (total - len(known))
    assert known == sorted(known, reverse=order == "desc")


def test_neighbours_are_those_of_the_list(sky: Store) -> None:
    """Going through with the keyboard visits the rows in their order."""
    selection = parse_selection({"q": "energy>=10", "sort": "period"}).selection
    with sky.reading() as connection:
        keys = [row.values["key"] for row in listing.rows(connection, selection, 0, 100)]
        places = [listing.place(connection, selection, key) for key in keys]

    assert [place.rank for place in places] == list(range(1, len(keys) + 1))
    assert [place.following for place in places] == [*keys[1:], None]
    assert [place.previous for place in places] == [None, *keys[:-1]]
    assert {place.total for place in places} == {len(keys)}


def test_what_left_the_list_keeps_its_neighbours(sky: Store) -> None:
    """Only unlabelled ones are shown, and the one on the screen has just been labelled."""
    everything = parse_selection({"q": "energy>=10"}).selection
    with sky.reading() as connection:
        keys = [row.values["key"] for row in listing.rows(connection, everything, 0, 100)]
        name = keys[3].split("/")[1]
        less = parse_selection({"q": "energy>=10", "name": name[:-1] + "x"}).selection
        outside = listing.place(connection, less, keys[3])
        unknown = listing.place(connection, everything, "ztf/nobody/r")

    assert (outside.rank, outside.total) == (None, 0)
    assert (unknown.rank, unknown.total, unknown.following) == (None, len(keys), None)


@pytest.mark.parametrize(
    ("parameters", "parameter", "text"),
    [
        ({"q": "energgy>=1"}, "q", "did you mean energy"),
        ({"q": "mag>=bright"}, "q", "is no number"),
        ({"q": "watchlist=/etc/passwd,2arcsec"}, "q", "the page reads none"),
        ({"q": "new_or_changed"}, "q", "one row for each light curve"),
        ({"novel": "maybe"}, "novel", "none of now, ever, all"),
        ({"label": "good"}, "label", "none of any, none, interesting"),
        ({"sort": "key; DROP TABLE objects"}, "sort", "none of energy"),
        ({"since": "tomorrow"}, "since", "is no time; expected 2026-11-23"),
    ],
)
def test_problems_name_what_was_found_and_what_is_allowed(parameters, parameter, text) -> None:
    """A typing error, a clause that a page cannot have, a hostile address."""
    problems = parse_selection(parameters).problems

    assert list(problems) == [parameter]
    assert text in problems[parameter]


def test_a_watchlist_file_is_never_opened(tmp_path, monkeypatch) -> None:
    """A web page that names files would tell which exist."""
    from broker_plugin.filters import watchlist

    monkeypatch.setattr(watchlist, "read_watchlist", lambda *_: pytest.fail("opened"))
    for line in (f"watchlist={tmp_path}", f"'watchlist={tmp_path}'", f'mag<=3 "watchlist"={tmp_path}'):
        assert parse_selection({"q": line}).problems


def test_times_are_days_moments_or_mjd() -> None:
    """A day as the end means its end."""
    first = parse_selection({"since": "2026-11-23", "until": "2026-11-23"}).selection
    second = parse_selection({"since": "2026-11-23T06:00", "until": "61367.5"}).selection

    assert (first.since_mjd, first.until_mjd) == (61367.0, 61368.0)
    assert (second.since_mjd, second.until_mjd) == (61367.25, 61367.5)


def test_a_selection_says_itself_in_its_address() -> None:
    """Links keep the filter; defaults do not clutter them."""
    said = {"q": "mag<=18", "label": "none", "sort": "p_value", "order": "asc", "novel": "ever"}

    assert parse_selection(said).selection.query() == said
    assert parse_selection({}).selection.query() == {}
    assert parse_selection(said).selection.query(fold="1.5")["fold"] == "1.5"
