"""Rubin/LSST alerts (lsst/alert_packet, schemas 3.0 to 11.1): what is read, how an alert is made of it."""

from __future__ import annotations

import math
import re

import numpy as np

from broker_plugin.decode.alert import Alert, RejectedError
from broker_plugin.decode.columns import Column, Columns, Kind
from broker_plugin.decode.selection import Scanned, Wanted, bad_field

SOURCE_COLUMNS = Columns(
    (
        Column("midpointMjdTai", aliases=("midPointTai",)),
        Column("band", kind=Kind.BAND, aliases=("filterName",)),
        Column("psfFlux"),  # of the difference, nJy
        Column("psfFluxErr", low=0.0),
        Column("scienceFlux", aliases=("totFlux",)),  # of the star, nJy
        Column("scienceFluxErr", low=0.0, aliases=("totFluxErr",)),
        Column("templateFlux"),
        Column("templateFluxErr", low=0.0),
        Column("reliability", low=-1e-6, high=1.0 + 1e-6),
        Column("isDipole"),
        Column("timeWithdrawnMjdTai", low=0.0),
    )
)
"""Columns of diaSource, of the previous diaSources, and of the forced sources."""

_DEC_NAMES = ("dec", "decl")

WANTED = {
    "diaSource": Wanted(SOURCE_COLUMNS, ("diaSourceId", "diaObjectId", "ra", *_DEC_NAMES)),
    "prvDiaSources": Wanted(SOURCE_COLUMNS),
    "prvDiaForcedSources": Wanted(SOURCE_COLUMNS),
    "diaObject": Wanted(values=("diaObjectId", "ra", *_DEC_NAMES)),
}

_VERSION = re.compile(r"lsst\.v(\d+)_(\d+)\.")


def version_of(record_name: str) -> str:
    """Return ``"9.0"`` for ``"lsst.v9_0.alert"``; the name itself where it says no version."""
    found = _VERSION.match(record_name)
    return f"{found[1]}.{found[2]}" if found else record_name


def alert_from(found: Scanned, schema_version: str) -> Alert:
    """Make the alert.

    Raises
    ------
    MalformedError
        ``bad_field`` where it lacks what every alert has.
    RejectedError
        ``no_object``: a solar-system object, which has no diaObject (null, or the id 0).
    """
    source_id = found.integer("diaSource", "diaSourceId")
    if source_id is None:
        raise bad_field(source_id, "diaSource.diaSourceId", "an integer of 64 bits")
    own = found.table("diaSource", SOURCE_COLUMNS)
    time_mjd = float(own[0, SOURCE_COLUMNS.index["midpointMjdTai"]])
    if math.isnan(time_mjd):
        raise bad_field(time_mjd, "diaSource.midpointMjdTai", "a Modified Julian Date")
    # Samples leave the source's own diaObjectId null while the object beside it has one: that goes first.
    object_id = found.integer("diaObject", "diaObjectId")
    where = "diaObject" if object_id else "diaSource"
    object_id = object_id or found.integer("diaSource", "diaObjectId")
    if not object_id:
        detail = f"diaSource {source_id} belongs to no diaObject"
        raise RejectedError(detail, survey="lsst", reason="no_object")
    ra, dec = found.position(where, _DEC_NAMES)
    return Alert(
        survey="lsst",
        schema_version=schema_version,
        object_id=str(object_id),
        alert_id=str(source_id),
        ra=ra,
        dec=dec,
        solar_system_arcsec=math.nan,
        sources=np.concatenate([own, found.table("prvDiaSources", SOURCE_COLUMNS)]),
        forced=found.table("prvDiaForcedSources", SOURCE_COLUMNS),
    )
