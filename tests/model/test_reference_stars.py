"""The training stars nearest to a window."""

from __future__ import annotations

import numpy as np
import pytest

from broker_plugin.model import Scorer, ScoringWindow
from broker_plugin.model.reference_stars import NeighbourSearch, ReferenceStars, remoteness

CLASSES = ("A", "B")


def test_nearest_stars_by_hand() -> None:
    """A star counts once, with its nearest window; distances are in standard deviations."""
    z = np.array([[0, 0], [0, 4], [8, 0], [8, 4]], dtype=np.float32)  # deviations 4 and 2
    stars = ReferenceStars(z, np.array(["one", "two", "three", "two"]), np.array([0, 1, 0, 1]))
    found = NeighbourSearch(stars, CLASSES).nearest(np.array([[0.0, 1.0]]), 3)[0]
    assert [(n.star_id, n.star_class) for n in found] == [("one", "A"), ("two", "B"), ("three", "A")]
    np.testing.assert_allclose([n.distance for n in found], [0.5, 1.5, np.hypot(2.0, 0.5)], rtol=1e-6)


def test_tables_that_do_not_fit() -> None:
    """Rows of different numbers, or a z that is not finite."""
    with pytest.raises(ValueError, match="shapes"):
        ReferenceStars(np.zeros((3, 2), np.float32), np.array(["a"] * 2), np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="finite"):
        ReferenceStars(np.full((1, 2), np.nan, np.float32), np.array(["a"]), np.zeros(1, np.int64))


def test_a_score_names_its_neighbours(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """Five different stars, nearest first, and the same in any batch."""
    together = scorer.score(windows)
    for window, score in zip(windows[:5], together[:5], strict=True):
        assert len({neighbour.star_id for neighbour in score.neighbours}) == 5
        distances = [neighbour.distance for neighbour in score.neighbours]
        assert distances == sorted(distances)
        assert {neighbour.star_class for neighbour in score.neighbours} <= set(scorer.bundle.manifest.classes)
        alone = scorer.score([window])[0].neighbours
        assert [n.star_id for n in alone] == [n.star_id for n in score.neighbours]


def test_a_training_window_is_its_own_neighbour(scorer: Scorer) -> None:
    """The search is over the stored z themselves."""
    stars = scorer.bundle.reference_stars
    assert stars is not None
    search = NeighbourSearch(stars, scorer.bundle.manifest.classes)
    for row in (0, len(stars.z) // 2):
        nearest = search.nearest(stars.z[row : row + 1].astype(np.float64), 1)[0][0]
        assert nearest.distance < 1e-4
        assert nearest.star_class == scorer.bundle.manifest.classes[stars.label[row]]


@pytest.mark.parametrize("spread", [1e-3, 1.0, 1e4, 1e18])
def test_nearest_stars_are_those_of_a_full_comparison(spread: float) -> None:
    """Among the stars, far outside, and where the squares leave float32: none is lost to rounding."""
    rng = np.random.default_rng(0)
    n = 3001
    names = np.array([str(i // 3) for i in range(n)])
    stars = ReferenceStars(rng.normal(size=(n, 20)).astype(np.float32), names, np.arange(n) % 2)
    points = stars.z[rng.integers(n, size=40)] + spread * rng.normal(size=(40, 20))
    found = NeighbourSearch(stars, CLASSES).nearest(points, 5)
    scaled = np.asarray(stars.z / stars.scale(), np.float32)
    for point, neighbours in zip(points, found, strict=True):
        squares = np.sum((scaled - np.asarray(point / stars.scale(), np.float32)) ** 2, axis=1)
        rows = np.argsort(squares, kind="stable")[:40]
        assert [neighbour.star_id for neighbour in neighbours] == list(dict.fromkeys(names[rows]))[:5]


@pytest.mark.parametrize("windows_of_own", [1, 4, 200])
def test_own_windows_are_no_neighbours(windows_of_own: int) -> None:
    """The fifth nearest *other* star, however many windows the star itself has beside it."""
    rng = np.random.default_rng(5)
    others = rng.normal(size=(40, 3)).astype(np.float32)
    own = (1e-3 * rng.normal(size=(windows_of_own, 3))).astype(np.float32)
    names = np.array([f"other{i // 2}" for i in range(40)] + ["own"] * windows_of_own)
    stars = ReferenceStars(np.vstack([others, own]), names, np.zeros(len(names), np.int64))
    search = NeighbourSearch(stars, CLASSES)
    found = search.distance(own, own=np.array(["own"] * windows_of_own))
    scaled = others / stars.scale()
    for point, distance in zip(own / stars.scale(), found, strict=True):
        by_star = np.sqrt(np.sum((scaled - point) ** 2, axis=1)).reshape(20, 2).min(axis=1)
        np.testing.assert_allclose(distance, np.sort(by_star)[4], rtol=1e-5)


def test_few_stars() -> None:
    """The last that there is; without any other star there is no distance."""
    stars = ReferenceStars(np.array([[0.0], [1.0]], np.float32), np.array(["a", "b"]), np.zeros(2, np.int64))
    search = NeighbourSearch(stars, CLASSES)
    np.testing.assert_allclose(search.distance(np.array([[0.0]])), 2.0)  # the deviation is one half
    np.testing.assert_allclose(search.distance(np.array([[0.0]]), own=np.array(["a"])), 2.0)
    alone = NeighbourSearch(ReferenceStars(stars.z[:1], stars.star_id[:1], stars.label[:1]), CLASSES)
    with pytest.raises(ValueError, match="no training star but a"):
        alone.distance(np.array([[0.0]]), own=np.array(["a"]))


def test_remoteness_is_a_logarithm_with_a_floor() -> None:
    """Twice as far is ln 2 more; a window that lies on five training windows stays finite."""
    near, far, on_top = remoteness(np.array([1.0, 2.0, 0.0]))
    np.testing.assert_allclose([near, far], [0.0, np.log(2.0)])
    assert np.isfinite(on_top)


def test_the_energy_is_the_mixture_and_the_neighbours(scorer: Scorer, windows: list[ScoringWindow]) -> None:
    """As the manifest says, window by window."""
    weight = scorer.bundle.manifest.neighbour_weight
    assert weight > 0
    for score in scorer.score(windows[:8]):
        expected = scorer.bundle.mixture.energy(score.z[None])[0]
        expected += weight * np.log(score.neighbours[-1].distance)
        np.testing.assert_allclose(score.energy, expected, rtol=1e-9)
