"""Tables of Rubin's data releases (DP1 and its kin): DiaSource, ForcedSource, ForcedSourceOnDiaObject.

https://sdm-schemas.lsst.io/dp1.html. Times are MJD, TAI, of mid-exposure: in the table, or by the visit. In
a forced table ``psfFlux`` is the flux on the science image and ``psfDiffFlux`` that of the difference; in
DiaSource they are called ``scienceFlux`` and ``psfFlux``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from broker_plugin.bootstrap.convert import stacked
from broker_plugin.bootstrap.grouping import by_object, mean_or_nan
from broker_plugin.bootstrap.layout import Layout, Rows
from broker_plugin.bootstrap.pieces import Chunk, Differences, Piece
from broker_plugin.bootstrap.tables import iter_rows
from broker_plugin.decode.columns import BAND_NAMES
from broker_plugin.decode.lsst import SOURCE_COLUMNS
from broker_plugin.errors import InputError
from broker_plugin.records.epoch import FloatArray, Origin

_PLACE = (("ra", "coord_ra"), ("dec", "coord_dec"))
_TIME = ("midpointMjdTai", "expMidptMJD")

_DIA_SOURCE = Layout(
    "lsst",
    required=(("diaSourceId",), ("diaObjectId",), ("band",), ("psfFlux",), ("psfFluxErr",), ("scienceFlux",)),
    optional=(
        *_PLACE,
        _TIME,
        *((name,) for name in ("visit", "scienceFluxErr", "templateFlux", "templateFluxErr", "reliability")),
        *((name,) for name in ("isDipole", "timeWithdrawnMjdTai")),
    ),
    open=True,
)
_FORCED = Layout(
    "lsst",
    required=(("diaObjectId", "objectId"), ("band",), ("psfFlux",), ("psfFluxErr",)),
    optional=(
        *_PLACE,
        _TIME,
        *((name,) for name in ("visit", "psfDiffFlux", "psfDiffFluxErr", "psfFlux_flag", "psfDiffFlux_flag")),
    ),
    open=True,
)
_VISITS = Layout("lsst", required=(("visit", "visitId"), ("expMidptMJD", "midpointMjdTai")), open=True)
_BANDS = {name: float(code) for code, name in enumerate(BAND_NAMES)}


def read_visits(path: Path) -> dict[str, float]:
    """Return when each visit's exposure was half over, MJD TAI.

    Raises
    ------
    InputError
    """
    visits: dict[str, float] = {}
    for _, rows in iter_rows(path, [_VISITS]):
        visits.update(zip(rows.texts("visit"), rows.numbers("expMidptMJD").tolist(), strict=True))
        if rows.bad:
            raise InputError(str(next(iter(rows.bad.values()))))
    return visits


def tables(path: Path, start_row: int, *, visits: Mapping[str, float] | None) -> Iterator[Chunk]:
    """Read a table of either kind."""
    for layout, rows in iter_rows(path, [_DIA_SOURCE, _FORCED], start_row):
        start_row += rows.n
        yield _chunk(path, start_row, rows, visits, is_source=layout is _DIA_SOURCE)


def _chunk(path: Path, end: int, rows: Rows, visits: Mapping[str, float] | None, *, is_source: bool) -> Chunk:
    values = {"midpointMjdTai": _times(path, rows, visits), "band": rows.coded("band", _BANDS)}
    if is_source:
        values |= {
            name: rows.numbers(name)
            for name in SOURCE_COLUMNS.index
            if name not in ("midpointMjdTai", "band")
        }
    else:
        values |= {
            "scienceFlux": _unless(rows, "psfFlux"),
            "scienceFluxErr": rows.numbers("psfFluxErr"),
            "psfFlux": _unless(rows, "psfDiffFlux"),
            "psfFluxErr": rows.numbers("psfDiffFluxErr"),
        }
    ra, dec = rows.numbers("ra", "degrees"), rows.numbers("dec", "degrees")
    source_ids = rows.texts("diaSourceId")
    table = SOURCE_COLUMNS.clean(stacked(list(SOURCE_COLUMNS.index), values, rows.n))
    nothing = np.empty((0, len(SOURCE_COLUMNS)))
    pieces = []
    dropped: Counter[str] = Counter()
    for name, some in by_object(rows.texts("diaObjectId"), rows.good):
        if name in ("", "0"):  # of a body of the solar system
            dropped["no_object"] += len(some)
            continue
        newest = some[int(np.argmax(np.nan_to_num(values["midpointMjdTai"][some])))]
        content = (
            Differences(table[some], nothing)
            if is_source
            else Differences(nothing, table[some], Origin.FORCED)
        )
        alert_id = source_ids[newest] if is_source else "0"
        pieces.append(Piece("lsst", name, mean_or_nan(ra[some]), mean_or_nan(dec[some]), content, alert_id))
    return Chunk(end, rows.n, tuple(pieces), tuple(rows.bad.values()), dropped)


def _times(path: Path, rows: Rows, visits: Mapping[str, float] | None) -> FloatArray:
    if _TIME[0] in rows:
        return rows.numbers(_TIME[0])
    if visits is None or "visit" not in rows:
        msg = (
            f"{path} has no time ({' or '.join(_TIME)}): join it in the query, or keep its column visit and "
            "name the table of visits with --visits"
        )
        raise InputError(msg)
    times = np.full(rows.n, np.nan)
    for index, visit in enumerate(rows.texts("visit")):
        if visit in visits:
            times[index] = visits[visit]
        else:
            rows.note(index, "visit", visit, "a visit of the table of visits")
    return times


def _unless(rows: Rows, name: str) -> FloatArray:
    """Return a flux, NaN where its flag says that the measurement failed."""
    flux = rows.numbers(name)
    flux[np.nan_to_num(rows.numbers(f"{name}_flag", "true or false")) != 0] = np.nan
    return flux
