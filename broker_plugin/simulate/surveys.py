"""What the simulator knows of each survey: site, bands, depth, rhythm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from broker_plugin.simulate.sky import CERRO_PACHON, PALOMAR, Site


@dataclass(frozen=True, slots=True)
class SurveyProfile:
    """Constants of a survey.

    Attributes
    ----------
    name : str
    site : Site
    default_bands : tuple of str
    exposure_seconds : float
    limit_mag : mapping of str to float
        5 sigma, point source, one exposure, dark and clear at the zenith; its keys are the possible bands.
    zero_point : mapping of str to float
        Magnitude of one count.
    interval_days : mapping of str to float
        Between visits of a field in a band, within its season.
    saturation_mag : float
    systematic_mag : float
        Error that no amount of light takes away.
    brightness : tuple of float
        Range of mean r magnitudes that are drawn.
    dec_range : tuple of float
        Of the fields' centres, degrees.
    field_width_deg : float
    """

    name: str
    site: Site
    default_bands: tuple[str, ...]
    exposure_seconds: float
    limit_mag: Mapping[str, float]
    zero_point: Mapping[str, float]
    interval_days: Mapping[str, float]
    saturation_mag: float
    systematic_mag: float
    brightness: tuple[float, float]
    dec_range: tuple[float, float]
    field_width_deg: float


ZTF = SurveyProfile(
    name="ztf",
    site=PALOMAR,
    default_bands=("g", "r"),
    exposure_seconds=30.0,
    limit_mag=MappingProxyType({"g": 20.8, "r": 20.6, "i": 19.9}),  # Bellm et al. 2019
    zero_point=MappingProxyType({"g": 26.3, "r": 26.2, "i": 25.6}),
    interval_days=MappingProxyType({"g": 2.0, "r": 2.0, "i": 4.0}),  # the public survey since 2020
    saturation_mag=12.5,
    systematic_mag=0.012,  # Masci et al. 2019: 0.8 to 2 % for bright stars
    brightness=(13.8, 17.6),
    dec_range=(-20.0, 60.0),
    field_width_deg=6.8,
)

LSST = SurveyProfile(
    name="lsst",
    site=CERRO_PACHON,
    default_bands=("u", "g", "r", "i", "z", "y"),
    exposure_seconds=30.0,
    limit_mag=MappingProxyType({"u": 23.8, "g": 24.5, "r": 24.0, "i": 23.4, "z": 22.7, "y": 22.0}),
    zero_point=MappingProxyType({"u": 26.5, "g": 28.3, "r": 28.1, "i": 27.8, "z": 27.4, "y": 26.5}),
    # Ten-year visits of the wide survey (u 56, g 80, r 184, i 184, z 160, y 160) over seasons of 180 d.
    interval_days=MappingProxyType({"u": 32.0, "g": 22.0, "r": 10.0, "i": 10.0, "z": 11.0, "y": 11.0}),
    saturation_mag=16.0,
    systematic_mag=0.005,
    brightness=(17.4, 21.4),
    dec_range=(-62.0, 0.0),
    field_width_deg=3.0,
)

SURVEYS: Mapping[str, SurveyProfile] = MappingProxyType({"ztf": ZTF, "lsst": LSST})
