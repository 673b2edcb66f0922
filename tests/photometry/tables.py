"""Alerts built column by column, for tests of what is made of them."""

from __future__ import annotations

import math

import numpy as np

from broker_plugin.decode import Alert, lsst, ztf
from broker_plugin.decode.columns import BAND_NAMES, Columns

JD = 2459000.75
MJD = 59000.25


def table(columns: Columns, rows: list[dict[str, float]]) -> np.ndarray:
    found = np.full((len(rows), len(columns)), np.nan)
    for number, row in enumerate(rows):
        for name, value in row.items():
            found[number, columns.index[name]] = value
    return found


def ztf_source(**columns: float) -> dict[str, float]:
    """Return a detection that passes every cut."""
    usual = {"jd": JD, "fid": 2, "programid": 1, "isdiffpos": 1, "magpsf": 18.0, "sigmapsf": 0.1}
    reference = {"distnr": 0.3, "magnr": 17.0, "sigmagnr": 0.02, "rb": 0.9, "drb": 0.99, "nbad": 0}
    return usual | reference | columns


def ztf_forced(**columns: float) -> dict[str, float]:
    """Return a forced point that passes every cut."""
    usual = {"jd": JD, "fid": 2, "programid": 1, "forcediffimflux": 200.0, "forcediffimfluxunc": 20.0}
    rest = {"magzpsci": 26.0, "distnr": 0.3, "magnr": 17.0, "sigmagnr": 0.02, "procstatus": 0}
    return usual | rest | columns


def ztf_alert(
    sources: list[dict[str, float]] | None = None,
    forced: list[dict[str, float]] | None = None,
    *,
    solar_system_arcsec: float = math.nan,
    object_id: str = "ZTF18abcdefg",
    ra: float = 150.0,
    dec: float = 20.0,
) -> Alert:
    rows = [ztf_source()] if sources is None else sources
    return Alert(
        survey="ztf",
        schema_version="4.02",
        object_id=object_id,
        alert_id="1",
        ra=ra,
        dec=dec,
        solar_system_arcsec=solar_system_arcsec,
        sources=table(ztf.SOURCE_COLUMNS, rows),
        forced=table(ztf.FORCED_COLUMNS, forced or []),
    )


def lsst_source(band: str = "r", **columns: float) -> dict[str, float]:
    """Return a detection that passes every cut."""
    code = BAND_NAMES.index(band) if band in BAND_NAMES else math.nan
    usual = {"midpointMjdTai": MJD, "band": code, "psfFlux": 100.0, "psfFluxErr": 5.0}
    return usual | {"scienceFlux": 1000.0, "scienceFluxErr": 10.0} | columns


def lsst_alert(
    sources: list[dict[str, float]] | None = None, forced: list[dict[str, float]] | None = None
) -> Alert:
    rows = [lsst_source()] if sources is None else sources
    return Alert(
        survey="lsst",
        schema_version="10.0",
        object_id="12",
        alert_id="11",
        ra=10.0,
        dec=-30.0,
        solar_system_arcsec=math.nan,
        sources=table(lsst.SOURCE_COLUMNS, rows),
        forced=table(lsst.SOURCE_COLUMNS, forced or []),
    )
