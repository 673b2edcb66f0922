"""Small archives as the services write them, made by hand around one star."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

IRSA_HEADER = (
    "oid,expid,hjd,mjd,mag,magerr,catflags,filtercode,ra,dec,chi,sharp,filefracday,field,ccdid,qid,limitmag,magzp,"
    "magzprms,clrcoeff,clrcounc,exptime,airmass,programid"
)
SERVICE_HEADER = (
    "index, field, ccdid, qid, filter, pid, infobitssci, sciinpseeing, scibckgnd, scisigpix, zpmaginpsci, "
    "zpmaginpsciunc, zpmaginpscirms, clrcoeff, clrcoeffunc, ncalmatches, exptime, adpctdif1, adpctdif2, "
    "diffmaglim, zpdiff, programid, jd, rfid, forcediffimflux, forcediffimfluxunc, forcediffimsnr, "
    "forcediffimchisq, forcediffimfluxap, forcediffimfluxuncap, forcediffimsnrap, aperturecorr, "
    "dnearestrefsrc, nearestrefmag, "
    "nearestrefmagunc, nearestrefchi, nearestrefsharp, refjdstart, refjdend, procstatus"
)
RA, DEC = 187.2779, 2.0524
OBJECT = "ZTF18aaaaaaa"


def irsa_row(
    mjd: float, mag: object = 15.0, *, oid: int = 473203300001234, flags: object = 0, band: str = "zr"
) -> str:
    """Return a line of the light curve service."""
    return (
        f"{oid},45030090,{mjd + 2400000.504},{mjd},{mag},0.0144,{flags},{band},{RA},{DEC},0.417,0.01,"
        "20180327300891,473,0x1,1,20.25,26.249,0.02,-0.057,3.8e-05,30,1.156,1"
    )


def irsa(path: Path, *rows: str) -> Path:
    """Write an answer of the light curve service."""
    path.write_text("\n".join([IRSA_HEADER, *rows]) + "\n")
    return path


def service_row(
    jd: float,
    flux: object = 1500.0,
    *,
    band: str = "ZTF_r",
    status: str = "0",
    infobits: int = 0,
    distance: float = 0.3,
) -> str:
    """Return a line of the forced photometry service."""
    return (
        f" 0 600 1 1 {band} 1 {infobits} 2.1 100.0 10.0 26.2 0.02 0.03 0.1 0.01 100 30.0 0.1 0.1 20.5 "
        f"26.2 1 {jd:.7f} 1 {flux} 50.0 30.0 1.1 1490.0 55.0 27.0 1.0 {distance} 16.0 0.02 "
        f"1.0 0.1 2458000.5 2458100.5 {status}"
    )


def service(path: Path, *rows: str, commented: bool = False) -> Path:
    """Write an answer of the forced photometry service; later versions comment the heading out."""
    head = [f"# Requested input R.A. = {RA} degrees", f"# Requested input Dec. = {DEC} degrees", "#"]
    path.write_text("\n".join([*head, ("# " if commented else "") + SERVICE_HEADER, *rows]) + "\n")
    return path


def candidate(jd: float, *, magpsf: float | None = 17.0, sign: Any = "t", **more: Any) -> dict[str, Any]:
    """Return an alert's candidate as Lasair and Fink show it."""
    fields = {"candid": 1500000000015000000 + round(jd * 1000) % 10**9, "jd": jd, "fid": 2, "magpsf": magpsf}
    fields |= {
        "sigmapsf": 0.05,
        "isdiffpos": sign,
        "magnr": 16.0,
        "sigmagnr": 0.02,
        "distnr": 0.3,
        "ra": RA,
        "dec": DEC,
    }
    return fields | {"rb": 0.9, "drb": 0.99, "nbad": 0, "programid": 1} | more


def lasair(path: Path, *candidates: dict[str, Any], forced: Any = ()) -> Path:
    """Write an object of Lasair."""
    found = {
        "objectId": OBJECT,
        "objectData": {"ramean": RA},
        "candidates": candidates,
        "forcedphot": list(forced),
    }
    path.write_text(json.dumps(found))
    return path


def fink(path: Path, *candidates: dict[str, Any]) -> Path:
    """Write an answer of Fink's object service."""
    rows = [{f"i:{name}": value for name, value in each.items()} for each in candidates]
    path.write_text(
        json.dumps([{"i:objectId": OBJECT, "d:tag": "valid", "v:constellation": "Vir"} | row for row in rows])
    )
    return path


def detection(mjd: float, **more: Any) -> dict[str, Any]:
    """Return a detection of ALeRCE's first interface: no numbers of the reference star."""
    fields = {
        "tid": "ztf",
        "mjd": mjd,
        "candid": "1500000000015000001",
        "fid": 2,
        "pid": 1,
        "diffmaglim": 20.5,
    }
    fields |= {
        "isdiffpos": 1,
        "nid": 1,
        "distnr": 0.3,
        "magpsf": 17.0,
        "sigmapsf": 0.05,
        "magpsf_corr": 15.63,
    }
    fields |= {
        "sigmapsf_corr": 0.01,
        "sigmapsf_corr_ext": 0.0142,
        "ra": RA,
        "dec": DEC,
        "rb": 0.9,
        "drb": 0.99,
    }
    return fields | {"has_stamp": True, "corrected": True, "dubious": False, "parent_candid": None} | more


def alerce(path: Path, *detections: dict[str, Any], forced: Any = ()) -> Path:
    """Write a light curve of ALeRCE."""
    content = {"detections": detections, "non_detections": [{"mjd": 58000.0, "fid": 1, "diffmaglim": 20.0}]}
    path.write_text(json.dumps(content | {"forced_photometry": list(forced)}))
    return path
