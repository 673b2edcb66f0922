"""``manifest.json``: what a bundle says of itself. Unknown and missing fields are errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from broker_plugin.model.conventions import Conventions

FORMAT_VERSION = 1
"""Raised when a field changes its meaning; a bundle of another format is refused."""

_STRICT: dict[str, object] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Energies at or above which a window is novel.

    Attributes
    ----------
    percentile_80, percentile_95 : float
        These percentiles of the training energies (Tsang & Schultz 2019).
    novel : float
        The bundle's own: what reaches the novelties topic.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT

    percentile_80: float
    percentile_95: float
    novel: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bundle comes from.

    Attributes
    ----------
    created_by : str
        The command's name.
    data_name, data_digest : str
        File name and sha256 of the training data.
    period_source, search_digest : str
        Whence the periods of mixture and calibration: ``"search"`` or a column; digest of the search.
    seed : int
        Of the training run.
    versions : dict of str to str
        Of the libraries.
    settings : dict of str to (str, int, float or bool)
        Of the training run.
    calibration_name, calibration_digest : str
        File and sha256 of the windows that thresholds and p-values rest on, where they are not the training
        data's own held-out stars.
    parent_digest : str
        Of the manifest of the bundle that was calibrated anew.
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT

    created_by: str
    data_name: str
    data_digest: str
    period_source: str
    search_digest: str
    seed: int
    versions: dict[str, str]
    settings: dict[str, str | bool | int | float]
    calibration_name: str = ""
    calibration_digest: str = ""
    parent_digest: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole manifest.

    Attributes
    ----------
    format_version : int
    name, version : str
        Of the model.
    classes : tuple of str
        In index order; component k of the mixture carries the name of class k.
    conventions : Conventions
    thresholds : Thresholds
    n_calibration : int
        Held-out energies behind the p-values; 0 when there are none.
    provenance : Provenance
    sha256 : dict of str to str
        Of every other file of the bundle.
    probability_temperature : float
        The logarithms of the network's probabilities are divided by it; fitted to held-out known windows.
    neighbour_weight : float
        The energy is that of the mixture and so many times the logarithm of the distance of the fifth
        nearest training star (:mod:`broker_plugin.model.reference_stars`); 0: the mixture alone (paper).
    """

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT

    format_version: int
    name: str
    version: str
    classes: tuple[str, ...]
    conventions: Conventions
    thresholds: Thresholds
    n_calibration: int
    provenance: Provenance
    sha256: dict[str, str]
    probability_temperature: float = 1.0
    neighbour_weight: float = 0.0
