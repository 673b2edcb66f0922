"""ZTF alerts (ztf-avro-alert, schemas 3.0 to 4.02): what is read, and how an alert is made of it."""

from __future__ import annotations

import math
import re

import numpy as np

from broker_plugin.decode.alert import Alert
from broker_plugin.decode.columns import Column, Columns, Kind
from broker_plugin.decode.selection import Scanned, Wanted, bad_field

_NAME = re.compile(r"[!-.0-~]{1,64}")
"""Of an object: printable and without a slash, which ends the name in keys, so that no two are mixed up."""

_FAINTEST = 50.0  # above every real magnitude, below the sentinels 99 and 100
_JUST_NEGATIVE = -1e-6  # of scores and distances 0 is a value; -999 and -99999 are missing
_MAX_SCORE = 1.0 + 1e-6

_IDENTITY = (
    Column("jd"),  # start of exposure, UTC
    Column("fid", low=0.0, high=4.0),  # 1 g, 2 r, 3 i
    Column("programid", low=-1.0),
)
_REFERENCE = (
    Column("distnr", low=_JUST_NEGATIVE),  # arcsec to the nearest star of the reference image
    Column("magnr", low=0.0, high=_FAINTEST),
    Column("sigmagnr", low=0.0, high=_FAINTEST),
)

SOURCE_COLUMNS = Columns(
    (
        *_IDENTITY,
        Column("isdiffpos", kind=Kind.SIGN),
        Column("magpsf", low=0.0, high=_FAINTEST),
        Column("sigmapsf", low=0.0, high=_FAINTEST),
        *_REFERENCE,
        Column("rb", low=_JUST_NEGATIVE, high=_MAX_SCORE),
        Column("drb", low=_JUST_NEGATIVE, high=_MAX_SCORE),
        Column("nbad", low=-0.5),
    )
)
"""Columns of the candidate and of the previous candidates (difference photometry)."""

FORCED_COLUMNS = Columns(
    (
        *_IDENTITY,
        Column("forcediffimflux", missing=-99999.0),  # DN; a real flux can be negative and large
        Column("forcediffimfluxunc", low=0.0),
        Column("magzpsci", low=0.0, high=_FAINTEST),
        *_REFERENCE,
        Column("procstatus", kind=Kind.CODE),
    )
)
"""Columns of ``fp_hists`` (forced photometry)."""

WANTED = {
    "schemavsn": Wanted(values=("schemavsn",)),
    "objectId": Wanted(values=("objectId",)),
    "candid": Wanted(values=("candid",)),
    "candidate": Wanted(SOURCE_COLUMNS, ("ra", "dec", "ssdistnr")),
    "prv_candidates": Wanted(SOURCE_COLUMNS),
    "fp_hists": Wanted(FORCED_COLUMNS),
}


def alert_from(found: Scanned) -> Alert:
    """Make the alert.

    Raises
    ------
    MalformedError
        ``bad_field`` where it lacks what every alert has.
    """
    object_id = found.text("objectId", "objectId")
    if object_id is None or _NAME.fullmatch(object_id) is None:
        raise bad_field(object_id, "objectId", "a name such as 'ZTF18abcdefg'")
    candid = found.integer("candid", "candid")
    if candid is None:
        raise bad_field(candid, "candid", "an integer of 64 bits")
    own = found.table("candidate", SOURCE_COLUMNS)
    if len(own) != 1:
        raise bad_field(None, "candidate", "a record")
    start_jd = float(own[0, SOURCE_COLUMNS.index["jd"]])
    if math.isnan(start_jd):
        raise bad_field(start_jd, "candidate.jd", "a Julian date")
    ra, dec = found.position("candidate")
    distance = found.number("candidate", "ssdistnr")
    return Alert(
        survey="ztf",
        schema_version=found.text("schemavsn", "schemavsn") or "unversioned",
        object_id=object_id,
        alert_id=str(candid),
        ra=ra,
        dec=dec,
        solar_system_arcsec=distance if distance >= 0.0 else math.nan,
        sources=np.concatenate([own, found.table("prv_candidates", SOURCE_COLUMNS)]),
        forced=found.table("fp_hists", FORCED_COLUMNS),
    )
