"""One line says the same as the tables, or says all that is wrong with it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.errors import ConfigurationError
from broker_plugin.filters import FilterSpec, parse_filter
from broker_plugin.filters.spec import Cone, Range, WatchlistSpec


def test_every_clause(tmp_path) -> None:
    """Short names and long ones, units, quotes."""
    path = tmp_path / "my list.csv"
    path.write_text("ZTF18abcdefg\n")
    text = (
        "survey=ztf,lsst band=g,r class=RRAB,RRCD prob>=0.8 p<=0.01 energy>5 energy_percentile>=90 "
        "mag=15..18 std_mag<0.5 period=0.2..1 epochs>=300 !novel cone=229.66,-3.57,1.5arcmin cone=0,90,1deg "
        f"'watchlist={path},3' flags=mostly_forced flags!=phase_gap new_or_changed=yes"
    )
    assert parse_filter(text) == FilterSpec(
        surveys=("ztf", "lsst"),
        bands=("g", "r"),
        classes=("RRAB", "RRCD"),
        probability=Range(min=0.8),
        p_value=Range(max=0.01),
        energy=Range(min=5),
        energy_percentile=Range(min=90),
        mag=Range(min=15, max=18),
        std_mag=Range(max=0.5),
        period_days=Range(min=0.2, max=1),
        n_epochs=Range(min=300),
        novel=False,
        cones=(
            Cone(ra=229.66, dec=-3.57, radius_arcsec=90),
            Cone(ra=0, dec=90, radius_arcsec=3600),
        ),
        watchlist=WatchlistSpec(file=path, radius_arcsec=3),
        with_flags=("mostly_forced",),
        without_flags=("phase_gap",),
        new_or_changed=True,
    )


def test_two_limits_of_one_number() -> None:
    """Two clauses make a range."""
    assert parse_filter("mag>=15 mag<=18") == parse_filter("mag=15..18")


def test_all_that_is_wrong_at_once() -> None:
    """Every clause is named with what was expected."""
    text = "clas=RRAB mag>x cone=1,2 period=3..2 prob>=80 flags=odd !mag band=q watchlist=/nowhere"
    with pytest.raises(ConfigurationError) as caught:
        parse_filter(text)
    message = str(caught.value)
    for part in (
        *(
            "did you mean class?",
            "'x' is no number",
            "cone=ra,dec,radius",
            "nothing lies between",
            "from 0 to 1",
        ),
        *("no quality flag is called odd", "can be negated", "bands", "/nowhere cannot be read"),
    ):
        assert part in message, part


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "needs a clause"),
        ("mag=18", "mag=low..high"),
        ("mag=..", "mag=low..high"),
        ("mag>=1 mag>=2", "one min of mag"),
        ("class=", "classes=one,another"),
        ("novel novel", "novel once"),
        ("novel=perhaps", "novel=yes"),
        ("'mag", "No closing quotation"),
        ("mag>=inf", "finite"),
        ("18<mag", "expected name=value"),
        ("cone=1,2,3parsec", "is no angle"),
    ],
)
def test_single_mistakes(text, expected) -> None:
    """One line for a person."""
    with pytest.raises(ConfigurationError, match=expected):
        parse_filter(text)


@settings(max_examples=50)
@given(st.text(max_size=60))
def test_any_text_is_a_filter_or_a_clear_error(text) -> None:
    """Nothing else is raised, whatever somebody types."""
    with contextlib.suppress(ConfigurationError):
        assert parse_filter(text) != FilterSpec.model_construct()
