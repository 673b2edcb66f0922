"""What to simulate: every choice, checked once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from broker_plugin.errors import ConfigurationError
from broker_plugin.simulate.kinds import KINDS
from broker_plugin.simulate.surveys import SURVEYS, SurveyProfile

DEFAULT_MIXTURE: Mapping[str, float] = MappingProxyType(
    {
        "CEPH": 8.0,
        "DSCT": 9.0,
        "EA": 9.0,
        "EB": 7.0,
        "EW": 10.0,
        "M": 11.0,
        "ROT": 7.0,
        "RRAB": 12.0,
        "RRC": 6.0,
        "RRD": 2.0,
        "SR": 9.0,
        "RCB": 3.0,
        "T_TAURI": 3.0,
        "NOVA": 2.0,
        "DIPPER": 2.0,
    }
)
"""Weights of the kinds: rare classes are more common than on the sky, so that a small run has them all."""

LSST_SCHEMA_VERSIONS = ("10.0", "11.0")
FRAMINGS = ("container", "registry")


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """Everything that decides what a simulation writes; equal settings give equal bytes.

    Attributes
    ----------
    survey : str
        ``"ztf"`` (schema 4.02) or ``"lsst"``.
    n_objects : int
    mixture : mapping of str to float
        Weights by kind (:data:`broker_plugin.simulate.kinds.KINDS`); need not sum to one.
    start_date : datetime.date
        UTC date of the first night.
    n_nights : int
    bands : tuple of str
        Empty for the survey's default.
    seed : int
    cadence_factor : float
        Visits per time over the survey's own; 1 is the wide survey, 8 is like an LSST deep field.
    clear_fraction : float
        Of the nights.
    n_fields : int
        Fields over which the objects are spread; 0 for one in every 25 objects.
    min_alert_gap_days : float
        A detection sooner after the star's last alert sends none: thins the stream, while the histories in
        the packets (30 days for ZTF) keep the light curves whole. 0 sends every alert, as the surveys do.
    duplicate_fraction : float
        Of the packets, how many lie twice in their night.
    out_of_order_fraction : float
        Of the packets, how many lie at another place of their night than time would have them.
    damaged_fraction : float
        Truncated extra packets per packet, for the dead letters.
    outlier_fraction : float
        Of the measurements, how many are off by many sigma.
    stamp_bytes : int
        Size of each of the three cut-outs; 0 leaves them out, about 13 000 is real.
    empty_nights : bool
        Write an archive without members for each night without an alert, as ZTF does.
    lsst_schema : str
        ``"10.0"`` or ``"11.0"``.
    framing : str
        ``"container"``, or ``"registry"`` for LSST as on the wire.

    Raises
    ------
    ConfigurationError
        When a value is out of range or a name unknown.
    """

    survey: str = "ztf"
    n_objects: int = 200
    mixture: Mapping[str, float] = field(default_factory=lambda: DEFAULT_MIXTURE)
    start_date: dt.date = dt.date(2023, 9, 1)
    n_nights: int = 365
    bands: tuple[str, ...] = ()
    seed: int = 0
    cadence_factor: float = 1.0
    clear_fraction: float = 0.72
    n_fields: int = 0
    min_alert_gap_days: float = 0.0
    duplicate_fraction: float = 0.01
    out_of_order_fraction: float = 0.02
    damaged_fraction: float = 0.0
    outlier_fraction: float = 0.003
    stamp_bytes: int = 0
    empty_nights: bool = False
    lsst_schema: str = "10.0"
    framing: str = "container"

    def __post_init__(self) -> None:
        _check_name("survey", self.survey, SURVEYS)
        for band in self.bands:
            _check_name("bands", band, self.profile.limit_mag)
        for kind in self.mixture:
            _check_name("mixture", kind, KINDS)
        _check_name("lsst_schema", self.lsst_schema, LSST_SCHEMA_VERSIONS)
        _check_name("framing", self.framing, FRAMINGS)
        if self.framing == "registry" and self.survey != "lsst":
            msg = "framing 'registry' with survey 'ztf': ZTF publishes containers; use framing 'container'"
            raise ConfigurationError(msg)
        _check_range("n_objects", self.n_objects, 1, 1_000_000)
        _check_range("n_nights", self.n_nights, 1, 20_000)
        _check_range("n_fields", self.n_fields, 0, 1_000)
        _check_range("seed", self.seed, 0, 2**63 - 1)
        _check_range("stamp_bytes", self.stamp_bytes, 0, 1_000_000)
        _check_range("cadence_factor", self.cadence_factor, 0.01, 100.0)
        _check_range("min_alert_gap_days", self.min_alert_gap_days, 0.0, 1e4)
        for name in ("clear_fraction", "duplicate_fraction", "out_of_order_fraction"):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        for name in ("damaged_fraction", "outlier_fraction"):
            _check_range(name, getattr(self, name), 0.0, 1.0)
        if min(self.mixture.values(), default=0.0) < 0 or sum(self.mixture.values()) <= 0:
            msg = f"mixture {dict(self.mixture)}: weights must not be negative and one must be above zero"
            raise ConfigurationError(msg)

    @property
    def profile(self) -> SurveyProfile:
        """Return the survey's constants."""
        return SURVEYS[self.survey]

    @property
    def used_bands(self) -> tuple[str, ...]:
        """Return the bands that are observed."""
        return self.bands or self.profile.default_bands


def demo_settings(seed: int = 1) -> SimulationSettings:
    """Return the settings of the demonstration: three ZTF seasons of 200 stars, thinned to a quick replay.

    Most objects pass 200 epochs in g and in r; a star sends an alert once in nine days at most, whose 30 days
    of history bring the exposures between.
    """
    return SimulationSettings(
        survey="ztf",
        n_objects=200,
        start_date=dt.date(2022, 1, 1),
        n_nights=1080,
        seed=seed,
        cadence_factor=1.0,
        min_alert_gap_days=9.0,
        damaged_fraction=0.0005,
    )


def _check_name(key: str, found: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    if found not in known:
        msg = f"{key} {found!r} is unknown; choose from {', '.join(known)}"
        raise ConfigurationError(msg)


def _check_range(key: str, found: float, lowest: float, highest: float) -> None:
    if not lowest <= found <= highest:
        msg = f"{key} = {found} is out of range; expected {lowest} to {highest}"
        raise ConfigurationError(msg)
