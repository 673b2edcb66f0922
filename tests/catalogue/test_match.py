"""Positions find the catalogue's nearest star, wherever on the sky, and nothing else."""

from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord, match_coordinates_sky
from astropy_healpix import HEALPix
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.catalogue.build import build_catalogue
from broker_plugin.catalogue.catalogue import Catalogue, check_catalogue, describe, open_catalogue
from broker_plugin.catalogue.cells import depth_for
from broker_plugin.errors import InputError

ARCSEC = 1 / 3600


def catalogue(folder: Path, ra, dec, **columns) -> Catalogue:
    source, out = folder / "stars.parquet", folder / "stars.arrow"
    pd.DataFrame({"ra": ra, "dec": dec, **columns}).to_parquet(source)
    build_catalogue(source, out)
    return open_catalogue(out)


def test_what_is_known_and_what_is_not(tmp_path) -> None:
    """Every column comes back as it went in; what the catalogue does not know is None, never a number."""
    found = catalogue(
        tmp_path,
        [10.0, 20.0],
        [-5.0, 60.0],
        star_id=[2**63 - 1, 7],
        **{"class": ["RRAB", None]},
        period=[0.5, np.nan],
        gaia_abs_g_mag=[0.6, np.nan],
        gaia_bp_rp=[np.nan, 1.5],
    ).match([10.0, 20.0, 30.0], [-5.0 + ARCSEC, 60.0, 0.0], 1.5)

    first, second, third = found
    assert (first.star_id, first.known_class, first.period_days) == (str(2**63 - 1), "RRAB", 0.5)
    assert (first.gaia_abs_g_mag, first.gaia_bp_rp, first.wise_w_rp) == (0.6, None, None)
    assert first.separation_arcsec == pytest.approx(1.0, abs=1e-6)
    assert (second.star_id, second.known_class, second.period_days) == ("7", None, None)
    assert (second.gaia_abs_g_mag, second.gaia_bp_rp) == (None, 1.5)
    assert third is None


def test_the_nearest_wins_and_the_second_is_told(tmp_path) -> None:
    """Two stars within the radius: ambiguous; with a smaller radius one is left, and is not."""
    stars = catalogue(tmp_path, [10.0, 10.0], [0.4 * ARCSEC, -1.2 * ARCSEC], star_id=["near", "far"])
    (both,) = stars.match([10.0], [0.0], 1.5)
    (one,) = stars.match([10.0], [0.0], 1.0)
    assert (both.star_id, both.ambiguous) == ("near", True)
    assert (one.star_id, one.ambiguous) == ("near", False)


HEALPIX_CORNERS = HEALPix(nside=1, order="nested").boundaries_lonlat(np.arange(12), step=1)
"""Where three cells meet, or four of three sizes: the hardest places for a search by cells."""


def hard_places() -> list[tuple[float, float]]:
    """Poles, RA 0, the corners of HEALPix' base cells, and places in general."""
    lon, lat = (np.asarray(axis.to_value(u.deg)).ravel() for axis in HEALPIX_CORNERS)
    corners = list(zip(lon.tolist(), lat.tolist(), strict=True))
    special = [
        (0.0, 90.0),
        (123.0, -90.0),
        (0.0, 0.0),
        (359.9999999, 12.0),
        (180.0, 41.8103149),
        (77.7, 89.99),
    ]
    return [*corners, *special]


@settings(max_examples=60, deadline=None)
@given(
    place=st.one_of(
        st.sampled_from(hard_places()),
        st.tuples(st.floats(0, 360, exclude_max=True), st.floats(-90, 90)),
    ),
    radius=st.floats(0.05, 60.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_a_search_of_all_stars(tmp_path_factory, place, radius, seed) -> None:
    """Around any place, with any radius: the nearest star, and whether there is a second, as in astropy."""
    rng = np.random.default_rng(seed)
    centre = SkyCoord(*place, unit="deg")
    around = centre.directional_offset_by(
        rng.uniform(0, 360, 40) * u.deg, 3 * radius * np.sqrt(rng.random(40)) * u.arcsec
    )
    asked = centre.directional_offset_by(
        rng.uniform(0, 360, 8) * u.deg, 2 * radius * np.sqrt(rng.random(8)) * u.arcsec
    )
    stars = catalogue(tmp_path_factory.mktemp("c"), around.ra.deg % 360, around.dec.deg)

    index, distance, _ = match_coordinates_sky(asked, around)
    second = match_coordinates_sky(asked, around, nthneighbor=2)[1]
    for found, i, first, next_one in zip(
        stars.match(asked.ra.deg, asked.dec.deg, radius), index, distance.arcsec, second.arcsec, strict=True
    ):
        if min(abs(first - radius), abs(next_one - radius)) < 1e-6:
            continue  # on the circle itself a last bit decides
        if first > radius:
            assert found is None
        else:
            assert found is not None
            assert found.star_id == str(i + 1)  # without ids the row numbers are the ids
            assert found.separation_arcsec == pytest.approx(first, abs=1e-6)
            assert found.ambiguous == (next_one < radius)


def test_cells_are_wide_enough_for_every_radius() -> None:
    """At the depth for a radius, the narrowest cell (near the poles) is wider than the radius."""
    for radius in np.geomspace(0.01, 60, 30):
        nside = 1 << depth_for(radius, 24)
        grid = HEALPix(nside=nside, order="nested")
        corner = SkyCoord(
            *(axis.ravel() for axis in grid.boundaries_lonlat(np.array([0, nside**2 - 1]), step=1))
        )
        corner = corner.reshape(2, 4)
        edges = [corner[:, k].separation(corner[:, (k + 1) % 4]).arcsec for k in range(4)]
        assert np.min(edges) > radius


def test_a_place_that_is_none_has_no_match(tmp_path) -> None:
    """A window without a position (nan), or one beyond a pole, is no reason to fail; 360 is 0."""
    stars = catalogue(tmp_path, [0.0], [0.0])
    nothing, beyond, turn = stars.match([np.nan, 0.0, 360.0], [0.0, 91.0, 0.0], 1.0)
    assert (nothing, beyond) == (None, None)
    assert turn is not None
    assert stars.match([], [], 1.0) == []


def test_equal_tables_make_equal_files(tmp_path) -> None:
    """The digest names the content: the order of rows does not matter, a value does."""
    ra, dec = np.array([10.0, 200.0]), np.array([-5.0, 60.0])
    first = catalogue(tmp_path, ra, dec, star_id=["a", "b"])
    bytes_then = first.path.read_bytes()
    again = catalogue(tmp_path, ra[::-1], dec[::-1], star_id=["b", "a"])
    assert again.path.read_bytes() == bytes_then
    assert again.digest == first.digest
    assert catalogue(tmp_path, ra, dec, star_id=["a", "c"]).digest != first.digest
    assert catalogue(tmp_path, ra, dec + 1e-9, star_id=["a", "b"]).digest != first.digest


def test_damage_is_found_by_the_check(tmp_path) -> None:
    """One bit of a magnitude: opening does not notice, the check does."""
    stars = catalogue(tmp_path, [10.0], [0.0], gaia_bp_rp=[1.25])
    check_catalogue(stars)
    damaged = bytearray(stars.path.read_bytes())
    at = damaged.index(np.float64(1.25).tobytes())
    damaged[at] ^= 1
    stars.path.write_bytes(damaged)
    with pytest.raises(InputError, match="is damaged"):
        check_catalogue(open_catalogue(stars.path))


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be opened"), (b"ra,dec\n1,2\n", "cannot be opened"), (b"", "cannot be opened")],
)
def test_what_is_no_catalogue_is_told_with_the_cure(tmp_path, content, words) -> None:
    """A missing file, a table that was not built, an empty file."""
    path = tmp_path / "stars.arrow"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as error:
        open_catalogue(path)
    assert str(path) in str(error.value)
    assert "catalogue build" in str(error.value)


def test_half_a_file_is_told(tmp_path) -> None:
    """A copy that broke off."""
    stars = catalogue(tmp_path, np.linspace(0, 359, 500), np.zeros(500))
    stars.path.write_bytes(stars.path.read_bytes()[:4000])
    with pytest.raises(InputError, match="cannot be opened"):
        open_catalogue(stars.path)


def test_counts_of_what_is_known(tmp_path) -> None:
    """What `catalogue check` prints."""
    stars = catalogue(
        tmp_path, [1, 2, 3], [0, 0, 0], **{"class": ["ECL", "ECL", None]}, period=[1.0, 0.0, np.nan]
    )
    assert describe(stars) == {"stars": 3, "period": 1, "class": 2, "classes": {"ECL": 2}}
