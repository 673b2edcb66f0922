"""What is computed for the pictures: periodogram, plane, neighbours; and the SVG itself."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker_plugin.board.curve import CURVE_DTYPE, curve_of_novelty
from broker_plugin.board.embedding import Plane, plane_of
from broker_plugin.board.model import PageModel
from broker_plugin.board.periodogram import periodogram
from broker_plugin.board.sky import links, separation_arcsec, sexagesimal
from broker_plugin.model import default_bundle_path, load_bundle
from broker_plugin.model.reference_stars import ReferenceStars
from broker_plugin.period import PeriodSettings
from broker_plugin.plots.svg import Mark, PlanePoint, folded_svg, light_curve_svg, plane_svg, spectrum_svg
from broker_plugin.plots.svg.axes import Scale
from tests.board.examples import novelty, record


def test_the_periodogram_is_that_of_astropy() -> None:
    """Same power at the same frequency, and the highest peak is the star's period."""
    from astropy.timeseries import LombScargle

    one = novelty(3)
    found = periodogram(curve_of_novelty(record(3)), PeriodSettings())
    assert found is not None
    errors = np.hypot(one.magerr, np.median(one.magerr)).astype(np.float64)
    oracle = LombScargle(one.time_mjd - one.time_mjd[0], one.mag.astype(np.float64), errors)
    expected = oracle.power(1 / found.period_days, method="slow")

    assert np.allclose(found.power, expected, rtol=0, atol=1e-4)  # the search's non-uniform FFT: eps 1e-6
    assert (np.diff(found.period_days) > 0).all()
    highest = found.period_days[np.argmax(found.power)]
    assert highest == pytest.approx(one.annotation.period.fold_days, rel=0.01)


@pytest.mark.parametrize("mag", [np.full(200, 15.0), np.full(200, np.nan)])
def test_a_light_curve_without_variation_has_no_periodogram(mag) -> None:
    """Nothing to search."""
    curve = np.zeros(200, dtype=CURVE_DTYPE)
    curve["time_mjd"], curve["mag"], curve["magerr"] = np.arange(200), mag, 0.01

    assert periodogram(curve, PeriodSettings()) is None


def test_the_plane_keeps_distances_within_a_class() -> None:
    """Points one standard deviation apart within a class are one unit apart in the plane."""
    bundle = load_bundle(default_bundle_path())
    plane, mixture = plane_of(bundle), bundle.mixture
    within = np.einsum("k,kij->ij", mixture.weights, mixture.covariances)
    rng = np.random.default_rng(5)
    standard = rng.multivariate_normal(np.zeros(len(within)), within, 20_000)
    points = plane.project(standard * mixture.z_scale + mixture.z_mean)

    assert np.cov(points.T) == pytest.approx(np.eye(2), abs=0.06)  # 4 standard errors of 20 000 points
    centres = np.array([component.centre for component in plane.components])
    spread = centres - mixture.weights @ centres
    assert spread.std(axis=0)[0] >= spread.std(axis=0)[1] * 0.5


def test_training_stars_lie_with_their_class_and_are_found() -> None:
    """Stars drawn from the components: most lie nearest to their own centre; the nearest is itself."""
    bundle = load_bundle(default_bundle_path())
    mixture, rng = bundle.mixture, np.random.default_rng(6)
    label = np.repeat(np.arange(len(mixture.weights)), 500)
    z = np.array([rng.multivariate_normal(mixture.means[k], mixture.covariances[k]) for k in label])
    raw = (z * mixture.z_scale + mixture.z_mean).astype(np.float32)
    stars = ReferenceStars(raw, np.array([f"s{n}" for n in range(len(label))]), label)
    plane = Plane(mixture, bundle.manifest.classes, stars)

    assert len(plane.star_points) <= 3000
    assert set(plane.star_classes) == set(label)
    right = [
        plane.nearest_components(raw[n].astype(np.float64), 1)[0].star_class == bundle.manifest.classes[k]
        for n, k in enumerate(label[:: len(label) // 200])
        for n in [n * (len(label) // 200)]
    ]
    assert np.mean(right) > 0.5  # chance is an eighth


def test_the_page_scores_as_the_stream_does() -> None:
    """Phase and reconstruction of the page's model lie on the window's epochs, and a second look is free."""
    model = PageModel(default_bundle_path())
    curve = curve_of_novelty(record(3))
    first = model.examine("w", curve, 2.0)

    assert first is not None
    assert first is model.examine("w", curve, 2.0)
    assert first.score.reconstruction_mag.shape == (200,)
    assert np.isfinite(first.point).all()
    assert model.examine("short", curve[:50], 2.0) is None


@given(
    st.floats(1e-3, 1e5),
    st.lists(st.floats(-30, 30) | st.just(float("nan")), min_size=3, max_size=30),
)
def test_any_light_curve_gives_a_picture(period, values) -> None:
    """Constant, wild, with holes: well-formed SVG, no NaN in a path, no style attributes."""
    mag = np.array([15.0, *values], dtype=np.float32)
    time = 59000.0 + np.arange(len(mag)) * 0.37
    error = np.full(len(mag), 0.01, dtype=np.float32)
    for svg in (
        light_curve_svg(time, mag, error, None, "g"),
        folded_svg((time / period) % 1, mag, error, mag + 0.1, band="<r>", period_days=period),
    ):
        tree = ET.fromstring(svg)
        assert tree.get("role") == "img"
        assert "nan" not in svg.split("aria-label")[0] + "".join(e.get("d", "") for e in tree.iter())
        assert all("style" not in e.attrib for e in tree.iter())


def test_the_spectrum_marks_chosen_over_rejected() -> None:
    """The chosen one is drawn last, and candidates outside of the axis are left out."""
    marks = [
        Mark(1.0, "chosen: 1 d", chosen=True),
        Mark(2.0, "x", chosen=False),
        Mark(1e9, "y", chosen=False),
    ]
    svg = spectrum_svg(np.array([0.1, 1.0, 10.0]), np.array([0.1, 0.9, 0.2]), marks)

    assert svg.count('class="rejected"') == 1
    assert svg.index('class="rejected"') < svg.index('class="chosen"')
    assert "chosen period 1 d" in svg


@pytest.mark.parametrize(("here", "far"), [((0.5, 0.5), False), ((900.0, -3.0), True)])
def test_a_far_object_is_shown_at_the_edge_with_where_it_lies(here, far) -> None:
    """A novelty far out does not shrink the known classes to a dot."""
    outline = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    region = PlanePoint("ECL", 2, (0.5, 0.5), outline)
    svg = plane_svg([region], np.empty((0, 2)), np.empty(0, dtype=np.int64), here)

    assert ("far out: (900, -3)" in svg) == far


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_few_and_inside(first, width) -> None:
    """Any range."""
    ticks = Scale(first, first + width).ticks(6)

    assert len(ticks) <= 16
    assert all(first - width * 1e-6 <= tick <= first + width * (1 + 1e-6) for tick in ticks)


def test_separations_are_those_of_astropy() -> None:
    """Small and large, across RA 0 and at a pole."""
    from astropy import units as u
    from astropy.coordinates import angular_separation

    rng = np.random.default_rng(8)
    for _ in range(50):
        ra, ra_0 = rng.uniform(0, 360, 2)
        dec, dec_0 = rng.uniform(-90, 90, 2)
        degrees = np.radians([ra, dec, ra_0, dec_0])
        expected = (angular_separation(*degrees) * u.rad).to_value(u.arcsec)
        assert separation_arcsec(ra, dec, ra_0, dec_0) == pytest.approx(expected, rel=1e-9)
    assert separation_arcsec(359.9999, 0, 0.0001, 0) == pytest.approx(0.72)


@pytest.mark.parametrize(
    ("ra", "dec", "text"),
    [
        (0.0, -0.0001, "00:00:00.00 -00:00:00.4"),
        (359.9999999, 89.99999, "00:00:00.00 +90:00:00.0"),
        (229.65924, -3.57314, "15:18:38.22 -03:34:23.3"),
    ],
)
def test_sexagesimal_carries(ra, dec, text) -> None:
    """Rounding up to the next minute, degree, day; minus zero."""
    assert sexagesimal(ra, dec) == text


def test_links_go_by_id_where_the_broker_knows_it() -> None:
    """ZTF by name; LSST by its id where there is a portal for it, else by position."""
    ztf = {link.name: link.url for link in links("ztf", "ZTF18abc", 10.5, -3.25)}
    lsst = {link.name: link.url for link in links("lsst", "170032915988086813", 10.5, -3.25)}

    assert ztf["ALeRCE"] == "https://alerce.online/object/ZTF18abc"
    assert lsst["ALeRCE"].startswith("https://alerce.online/?ra=10.500000&dec=-3.250000")
    assert lsst["Fink"] == "https://lsst.fink-portal.org/170032915988086813"
    assert "action=conesearch" in ztf["Fink cone"]
    assert ztf["Lasair"] == "https://lasair-ztf.lsst.ac.uk/objects/ZTF18abc/"
    assert "Coord=10.500000+-3.250000" in ztf["Simbad"]
    assert "target=10.500000+-3.250000" in ztf["Aladin Lite"]
