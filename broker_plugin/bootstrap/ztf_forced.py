"""Answers of ZTF's forced photometry service: a text file for each position asked for.

Masci et al. 2023, arXiv:2305.16279; https://irsa.ipac.caltech.edu/data/ZTF/docs/ztf_zfps_userguide.pdf.
``jd`` is the start of the exposure, fluxes are differences in DN at the zero point ``zpdiff``: what
``fp_hists`` of an alert holds, so the same code makes magnitudes of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from broker_plugin.bootstrap.convert import stacked
from broker_plugin.bootstrap.layout import Layout, Rows
from broker_plugin.bootstrap.pieces import Chunk, Differences, Piece
from broker_plugin.bootstrap.tables import open_text
from broker_plugin.decode.columns import code_of
from broker_plugin.decode.ztf import FORCED_COLUMNS, SOURCE_COLUMNS
from broker_plugin.errors import InputError
from broker_plugin.records.epoch import Origin

BAD_SCIENCE_IMAGE = 1 << 25
"""``infobitssci`` from here on: the user guide's cut for images that are not to be used."""

_LAYOUT = Layout(
    "ztf-forced",
    required=tuple(
        (name,)
        for name in (
            *("filter", "jd", "forcediffimflux", "forcediffimfluxunc", "zpdiff", "dnearestrefsrc"),
            *("nearestrefmag", "nearestrefmagunc", "procstatus"),
        )
    ),
    optional=(("infobitssci",), ("programid",)),
    ignored=(
        *("index", "field", "ccdid", "qid", "pid", "sciinpseeing", "scibckgnd", "scisigpix", "zpmaginpsci"),
        *(
            "zpmaginpsciunc",
            "zpmaginpscirms",
            "clrcoeff",
            "clrcoeffunc",
            "ncalmatches",
            "exptime",
            "adpctdif1",
        ),
        *("adpctdif2", "diffmaglim", "rfid", "forcediffimsnr", "forcediffimchisq", "forcediffimfluxap"),
        *("forcediffimfluxuncap", "forcediffimsnrap", "aperturecorr", "nearestrefchi", "nearestrefsharp"),
        *("refjdstart", "refjdend"),
    ),
)
_FILTERS = {"ZTF_g": 1.0, "ZTF_r": 2.0, "ZTF_i": 3.0}
_POSITION = re.compile(r"#\s*Requested input (R\.A\.|Dec\.)\s*=\s*([-+0-9.eE]+)")


def forced_service(
    path: Path, start_row: int, *, object_id: str | None, ignore_unknown: bool
) -> Iterator[Chunk]:
    """Read one answer; it is one chunk."""
    position: dict[str, float] = {}
    header: list[str] | None = None
    lines: list[list[str]] = []
    try:
        with open_text(path) as stream:
            for line in stream:
                found = _POSITION.match(line)
                if found:
                    position[found[1]] = float(found[2])
                cells = line.lstrip("# \t").split()
                if header is None and "forcediffimflux," in cells and "index," in cells:
                    header = [cell.strip(",") for cell in cells]
                elif header is not None and line.strip() and not line.startswith("#"):
                    lines.append(cells)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        msg = f"{path} cannot be read ({error}); fetch it again, or mend --format"
        raise InputError(msg) from error
    if header is None:
        msg = f"{path}: no heading 'index, field, ...'; expected an answer of ZTF's forced photometry service"
        raise InputError(msg)
    chosen = _LAYOUT.choose(path, header, ignore_unknown=ignore_unknown)
    lines = lines[start_row:]
    places = {ours: header.index(theirs) for ours, theirs in chosen.items()}
    rows = Rows(
        path,
        start_row,
        {
            name: [line[place] if place < len(line) else None for line in lines]
            for name, place in places.items()
        },
    )
    if lines:
        yield _chunk(path, start_row, rows, position, object_id)


def _chunk(path: Path, first: int, rows: Rows, position: dict[str, float], object_id: str | None) -> Chunk:
    values = {
        "jd": rows.numbers("jd"),
        "fid": rows.coded("filter", _FILTERS),
        "programid": rows.numbers("programid"),
        "forcediffimflux": rows.numbers("forcediffimflux"),
        "forcediffimfluxunc": rows.numbers("forcediffimfluxunc"),
        "magzpsci": rows.numbers("zpdiff"),
        "distnr": rows.numbers("dnearestrefsrc"),
        "magnr": rows.numbers("nearestrefmag"),
        "sigmagnr": rows.numbers("nearestrefmagunc"),
        "procstatus": np.array([code_of(text or None) for text in rows.texts("procstatus")]),
    }
    bits = np.nan_to_num(rows.numbers("infobitssci", "an integer"))
    good = rows.good
    usable = good & (bits < BAD_SCIENCE_IMAGE)
    table = FORCED_COLUMNS.clean(stacked(list(FORCED_COLUMNS.index), values, rows.n))[usable]
    piece = Piece(
        "ztf",
        object_id or path.name.split(".")[0],
        position.get("R.A.", float("nan")),
        position.get("Dec.", float("nan")),
        Differences(np.empty((0, len(SOURCE_COLUMNS))), table, Origin.FORCED),
    )
    dropped = Counter({"bad_science_image": int(np.sum(good & ~usable))})
    return Chunk(first + rows.n, rows.n, (piece,), tuple(rows.bad.values()), +dropped)
