"""The model beside the page: it scores a stored window again, for its place in the latent space.

An annotation carries class, energy and reconstruction, but not the latent vector. The page computes it with
the bundle at hand and says so when that is not the one that made the annotation.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from broker_plugin.board.curve import Curve
from broker_plugin.board.embedding import Plane, plane_of
from broker_plugin.errors import BundleError
from broker_plugin.features import screen
from broker_plugin.model import open_scorer
from broker_plugin.model.scorer import Score, Scorer

_KEPT = 64  # scores of windows that were looked at: going back and forth computes nothing anew


@dataclass(frozen=True, slots=True)
class Examined:
    """A window under the page's own model.

    Attributes
    ----------
    score : Score
    plane : Plane
    point : (float, float)
        Of the window, in the plane.
    name, version, digest : str
        Of the model.
    """

    score: Score
    plane: Plane
    point: tuple[float, float]
    name: str
    version: str
    digest: str


class PageModel:
    """A bundle that loads when it is first asked, once, however many ask at the same time.

    Parameters
    ----------
    path : Path
        The bundle's directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._loaded: tuple[Scorer, Plane] | None = None
        self._error: BundleError | None = None
        self._examine = lru_cache(_KEPT)(self._compute)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the bundle's classes; raises BundleError."""
        return tuple(self._load()[0].bundle.manifest.classes)

    def examine(
        self, window_id: str, curve: Curve, fold_days: float, external: Mapping[str, float] | None = None
    ) -> Examined | None:
        """Score a window; None for one that the network does not take.

        ``external`` is what was known of the star besides its epochs
        (:func:`broker_plugin.features.external.external_features`).

        Raises
        ------
        BundleError
            The bundle cannot be used; told again at every call, until a restart.
        """
        known = tuple(sorted((external or {}).items()))
        return self._examine(window_id, curve.tobytes(), fold_days, curve.dtype, known)

    def _compute(
        self,
        _window_id: str,
        packed: bytes,
        fold_days: float,
        layout: np.dtype,
        known: tuple[tuple[str, float], ...],
    ) -> Examined | None:
        scorer, plane = self._load()
        manifest = scorer.bundle.manifest
        curve = np.frombuffer(packed, layout)
        columns = (np.ascontiguousarray(curve[name]) for name in ("time_mjd", "mag", "magerr"))
        time, mag, magerr = columns
        if len(time) != manifest.conventions.network.sequence_length or screen(time, mag, magerr) is not None:
            return None
        with self._lock:  # one window at a time: the page is one person's, the cores belong to the stages
            score = scorer.score([(time, mag, magerr, fold_days, dict(known))])[0]
        x, y = plane.project(score.z[None])[0]
        return Examined(
            score, plane, (float(x), float(y)), manifest.name, manifest.version, scorer.bundle.digest
        )

    def _load(self) -> tuple[Scorer, Plane]:
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._loaded is None:
                try:
                    scorer = open_scorer(self._path, threads=1)
                except BundleError as error:
                    self._error = error
                    raise
                self._loaded = scorer, plane_of(scorer.bundle)
            return self._loaded
