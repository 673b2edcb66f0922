"""What ingest keeps of an alert, and where it finds the schemas of framed packets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from broker_plugin.config.sections import Section

OFF = "off"
"""How a file says that a cut is not made: TOML has no null."""


def _switch_off(value: Any) -> Any:
    return None if value == OFF else value


Cut = Annotated[float | None, BeforeValidator(_switch_off)]


class CutsConfig(Section):
    """Quality cuts: which measurements are good enough. A cut may be "off" where its default is not a must.

    Field by field the same as :class:`broker_plugin.photometry.QualityCuts`, which explains each and names
    whose value the default is; a test holds the two together.
    """

    min_rb: float = Field(0.55, description="ZTF real/bogus score, at least")
    min_drb: float = Field(0.2, description="ZTF deep-learning real/bogus score, at least")
    max_bad_pixels: int = Field(0, ge=0, description="ZTF nbad, at most")
    max_reference_distance_arcsec: float = Field(1.4, gt=0, description="ZTF distnr, below")
    procstatus: frozenset[int] = Field(
        frozenset({0, 57}), description="ZTF forced photometry codes that pass"
    )
    programs: frozenset[int] | None = Field(None, description="ZTF programid: 1 public; not set: all")
    solar_system_arcsec: Cut = Field(5.0, description='ZTF: no known asteroid within; "off": no cut')
    min_reliability: Cut = Field(None, description="LSST reliability, at least; not set: no cut")
    reject_dipoles: bool = Field(True, description="LSST isDipole")
    min_mag: float = Field(6.0, description="apparent magnitude, above")
    max_mag: float = Field(30.0, description="apparent magnitude, below")
    max_magerr: float = Field(1.0, gt=0, description="1-sigma error in magnitudes, below")


class IngestConfig(Section):
    """Decoding of alert packets."""

    schema_registry_url: str | None = Field(
        None, min_length=1, repr=False, description="schema registry, for ids that no known schema has"
    )
    schema_directory: Path | None = Field(
        None, description="directory of <id>.avsc files, for ids that no known schema has"
    )
    cuts: CutsConfig = Field(default_factory=CutsConfig)
