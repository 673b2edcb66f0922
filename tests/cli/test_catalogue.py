"""``catalogue`` as an astronomer uses it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from broker_plugin.cli.main import main

STARS = "ID,RAJ2000,DEJ2000,Type,Per\nV1,10,20,EW,0.4\nV2,359.99999,-89.9,,\n"
COLUMNS = [
    f"--column={pair}" for pair in ("star_id=ID", "ra=RAJ2000", "dec=DEJ2000", "class=Type", "period=Per")
]


def call(*arguments):
    return CliRunner().invoke(main, ["catalogue", *map(str, arguments)])


@pytest.fixture
def built(tmp_path):
    (tmp_path / "stars.csv").write_text(STARS)
    result = call(
        "build", tmp_path / "stars.csv", "--out", tmp_path / "stars.arrow", "--name", "mine", *COLUMNS
    )
    assert result.exit_code == 0, result.output
    return tmp_path / "stars.arrow"


def test_built_and_checked(built) -> None:
    """How many stars, and of how many of them what is known."""
    result = call("check", built)
    assert result.exit_code == 0
    assert "catalogue mine, 2 stars" in result.output
    assert "period          1 of 2 (50%)" in result.output
    assert "EW            1" in result.output


def test_asked_at_a_position(built) -> None:
    """A star and what is not known of it; nothing; the radius decides."""
    near = call("match", built, "--ra", 10, "--dec", 20.0002)
    assert "V1  0.720 arcsec away" in near.output
    assert "period_days     0.4" in near.output
    assert "gaia_bp_rp      not known" in near.output
    assert call("match", built, "--ra", 10, "--dec", 20.001).output == "no star within 1.5 arcsec\n"
    assert "V1  3.600 arcsec" in call("match", built, "--ra", 10, "--dec", 20.001, "--radius", 5).output


def test_the_configured_catalogue(built, tmp_path) -> None:
    """Without a FILE it is the configuration's, with its radius; without both it is an error that says so."""
    (tmp_path / "c.toml").write_text(f'[catalogue]\nfile = "{built}"\nradius_arcsec = 5.0\n')
    result = call("match", "--ra", 10, "--dec", 20.001, "--config", tmp_path / "c.toml")
    assert "V1  3.600 arcsec" in result.output
    nothing = call("match", "--ra", 10, "--dec", 20)
    assert nothing.exit_code != 0
    assert "set catalogue.file" in nothing.output


def test_unused_columns_are_told(tmp_path) -> None:
    """A period that is called P is not seen: better said than wondered about."""
    (tmp_path / "stars.csv").write_text("ra,dec,P\n1,2,0.5\n")
    result = call("build", tmp_path / "stars.csv", "--out", tmp_path / "stars.arrow")
    assert result.exit_code == 0
    assert "not used: P" in result.output
    wrong = call("build", tmp_path / "stars.csv", "--out", tmp_path / "stars.arrow", "--column", "period")
    assert "expected OURS=YOURS" in wrong.output
