"""Wrap real light curves into ZTF-format packets, such that ingest gives their magnitudes and times back.

Each epoch becomes a detection above a reference star one magnitude fainter than the faintest epoch.
Magnitudes come back to 1e-6 mag (float32 in the packet), errors to 1e-6 of themselves, times to 1e-9 d.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from broker_plugin.errors import InputError
from broker_plugin.photometry.magnitudes import POGSON
from broker_plugin.photometry.times import MJD_ZERO_JD, utc_jd_start_from_bmjd_tdb
from broker_plugin.records.epoch import FloatArray
from broker_plugin.simulate.generate import Progress, SimulationSummary, make_folder
from broker_plugin.simulate.identity import draw_distinct, ztf_night_id, ztf_object_id, ztf_pid
from broker_plugin.simulate.nights import Disorder, arrange_night, night_date, write_night
from broker_plugin.simulate.packets import AlertPacket
from broker_plugin.simulate.truth import TRUTH_FILE, BandTruth, Truth, write_truth
from broker_plugin.simulate.ztf_format import FILTER_IDS, HISTORY_DAYS, ZtfFormat

BAND = "r"
"""The band that the light curves are passed off as: ZTF has none of V, and a window has one band anyhow."""

_COLUMNS = ("star_id", "ra", "dec", "superclass", "period", "hjd", "mag", "magerr")
_REFERENCE_MAGERR = 1e-6  # zero would be read as missing; this adds nothing to any real error
_FIELD = 400
_CHANNELS = 64


@dataclass(frozen=True, slots=True)
class _Star:
    """A real star in its packets' terms; arrays in time order, shape (n,)."""

    index: int
    star_id: str
    object_id: str
    superclass: str
    period_days: float | None
    ra: float
    dec: float
    start_jd_utc: FloatArray
    mag: FloatArray
    magerr: FloatArray
    reference_mag: float


def simulate_from_parquet(
    parquet: Path,
    out_dir: Path,
    *,
    star_ids: Sequence[str] | None = None,
    n_stars: int | None = None,
    seed: int = 0,
    disorder: Disorder | None = None,
    progress: Progress | None = None,
) -> SimulationSummary:
    """Write real light curves as nights of ZTF-format alerts, with a truth table.

    Every epoch sends one alert; the previous epochs of the last 30 days are its previous candidates. The
    column ``hjd`` is taken as barycentric JD (TDB) of mid-exposure.

    Parameters
    ----------
    parquet : Path
        One row a star: star_id, ra, dec [deg, may be NaN], superclass, period [d], hjd[], mag[], magerr[].
    out_dir : Path
        Made if it does not exist.
    star_ids : sequence of str, optional
        The stars wanted, in this order.
    n_stars : int, optional
        How many to draw, spread evenly over the superclasses. Without either, all stars.
    seed : int
        For drawing stars and for the places of those that have none.
    disorder : Disorder, optional
        Default: none.
    progress : callable, optional
        Called after each night.

    Returns
    -------
    SimulationSummary

    Raises
    ------
    InputError
        When the file cannot be read, lacks a column, or a star that is asked for.
    """
    table = _choose(_read(parquet), parquet, star_ids, n_stars, seed)
    stars = _stars(table, seed)
    make_folder(out_dir)
    by_night: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for star in stars:
        for epoch, jd in enumerate(star.start_jd_utc):
            by_night[int(np.floor(jd - MJD_ZERO_JD))].append((star.index, epoch))
    form = ZtfFormat()
    streams = [_Stream(form, star) for star in stars]
    rng = np.random.default_rng([seed, 2])
    alerts = size = 0
    for done, night in enumerate(sorted(by_night), start=1):
        packets = [streams[index].expose(epoch) for index, epoch in by_night[night]]
        arranged = arrange_night(rng, packets, disorder or Disorder())
        size += write_night(out_dir, "ztf", night, arranged).stat().st_size
        alerts += len(arranged)
        if progress is not None:
            progress(done, len(by_night))
    truth_path = out_dir / TRUTH_FILE
    write_truth(truth_path, [_truth(star, seed) for star in stars], (BAND,))
    return SimulationSummary(len(stars), alerts, len(by_night), size, truth_path)


def _read(parquet: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(parquet)
    except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
        msg = f"{parquet} cannot be read as parquet: {str(error).splitlines()[0]}"
        raise InputError(msg) from error
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        msg = f"{parquet} lacks the columns {', '.join(missing)}; found {', '.join(map(str, table.columns))}"
        raise InputError(msg)
    return table.astype({"star_id": str})


def _choose(
    table: pd.DataFrame, parquet: Path, star_ids: Sequence[str] | None, n_stars: int | None, seed: int
) -> pd.DataFrame:
    """Return the rows that are wanted."""
    if star_ids is not None:
        known = table.drop_duplicates("star_id").set_index("star_id", drop=False)
        absent = [star_id for star_id in star_ids if star_id not in known.index]
        if absent:
            msg = f"{parquet} has no star {', '.join(absent[:5])} ({len(absent)} of {len(star_ids)} absent)"
            raise InputError(msg)
        return known.loc[list(star_ids)]
    if n_stars is None or n_stars >= len(table):
        return table
    # Turn by turn a random star of each class, until there are enough.
    order = np.random.default_rng([seed, 20]).permutation(len(table))
    shuffled = table.iloc[order]
    turn = shuffled.groupby("superclass").cumcount()
    chosen = shuffled.assign(_turn=turn).sort_values(["_turn", "superclass"], kind="stable")
    return chosen.head(n_stars).drop(columns="_turn")


def _stars(table: pd.DataFrame, seed: int) -> list[_Star]:
    numbers = draw_distinct(np.random.default_rng([seed, 10]), len(table), 26**7)
    stars = []
    for index, (row, number) in enumerate(zip(table.to_dict("records"), numbers, strict=True)):
        place = np.random.default_rng([seed, 11, index])
        ra, dec = float(row["ra"]), float(row["dec"])
        if not (np.isfinite(ra) and np.isfinite(dec)):
            ra, dec = float(place.uniform(0, 360)), float(np.rad2deg(np.arcsin(place.uniform(-0.8, 0.5))))
        order = np.argsort(np.asarray(row["hjd"], dtype=np.float64), kind="stable")
        bmjd = np.asarray(row["hjd"], dtype=np.float64)[order] - MJD_ZERO_JD
        mag = np.asarray(row["mag"], dtype=np.float64)[order]
        year = night_date(int(bmjd[0])).year
        stars.append(
            _Star(
                index=index,
                star_id=row["star_id"],
                object_id=ztf_object_id(number, year),
                superclass=row["superclass"],
                period_days=float(row["period"]) if np.isfinite(row["period"]) else None,
                ra=ra,
                dec=dec,
                start_jd_utc=utc_jd_start_from_bmjd_tdb(bmjd, ra, dec),
                mag=mag,
                magerr=np.asarray(row["magerr"], dtype=np.float64)[order],
                # The packet holds float32: rounded here, the difference can be taken from what is read.
                reference_mag=float(np.float32(mag.max() + 1.0)),
            )
        )
    return stars


class _Stream:
    """The packets of one real star."""

    def __init__(self, form: ZtfFormat, star: _Star) -> None:
        self._form = form
        self._star = star
        self._history: deque[tuple[float, bytes]] = deque()

    def expose(self, epoch: int) -> AlertPacket:
        """Return the packet of an epoch; the epochs have to come in order."""
        star = self._star
        start = float(star.start_jd_utc[epoch])
        while self._history and self._history[0][0] < start - HISTORY_DAYS:
            self._history.popleft()
        detection = self._detection(epoch)
        candid = int(detection["candid"])
        payload = self._form.packet(
            star.object_id,
            candid,
            candidate=self._form.candidate.encode(detection | self._context(epoch)),
            previous=[encoded for _, encoded in self._history],
            forced=None,
        )
        self._history.append((start, self._form.previous.encode(detection)))
        return AlertPacket(candid, start - MJD_ZERO_JD, payload)

    def _detection(self, epoch: int) -> dict[str, Any]:
        star = self._star
        start = float(star.start_jd_utc[epoch])
        pid = ztf_pid(start - MJD_ZERO_JD, star.index % _CHANNELS)
        total = 10 ** (-0.4 * star.mag[epoch])
        difference = total - 10 ** (-0.4 * star.reference_mag)
        return {
            "jd": start,
            "fid": FILTER_IDS[BAND],
            "pid": pid,
            "diffmaglim": star.reference_mag + 2.0,
            "programpi": "Archive",
            "programid": 1,
            "candid": self._form.next_candid(pid, positive=True),
            "isdiffpos": "t",
            "nid": ztf_night_id(start - MJD_ZERO_JD),
            "rcid": star.index % _CHANNELS,
            "field": _FIELD + star.index // _CHANNELS,
            "ra": star.ra,
            "dec": star.dec,
            "magpsf": -2.5 * float(np.log10(difference)),
            "sigmapsf": float(star.magerr[epoch] * total / difference),
            "distnr": 0.1,
            "magnr": star.reference_mag,
            "sigmagnr": _REFERENCE_MAGERR,
            "nbad": 0,
            "rb": 0.9,
            "drb": 0.99,
            "ranr": star.ra,
            "decnr": star.dec,
            "scorr": float(difference / (star.magerr[epoch] / POGSON * total)),
            "magzpsci": 26.2,
            "exptime": 30.0,
            "rbversion": "t17_f5_c3",
        }

    def _context(self, epoch: int) -> dict[str, Any]:
        star = self._star
        return {
            "ssdistnr": -999.0,
            "ssmagnr": -999.0,
            "ssnamenr": "null",
            "ndethist": epoch + 1,
            "ncovhist": epoch + 1,
            "jdstarthist": float(star.start_jd_utc[0]),
            "jdendhist": float(star.start_jd_utc[epoch]),
            "tooflag": 0,
            "nmtchps": 0,
            "rfid": (_FIELD + star.index // _CHANNELS) * 10**6 + 120_200 + star.index % _CHANNELS,
            "jdstartref": float(star.start_jd_utc[0]),
            "jdendref": float(star.start_jd_utc[0]),
            "nframesref": 15,
            "nmatches": 0,
            "drbversion": "d6_m7",
        }


def _truth(star: _Star, seed: int) -> Truth:
    count = star.mag.size
    band = BandTruth(float(star.mag.mean()), float(np.ptp(star.mag)), count, count, count)
    return Truth(
        object_id=star.object_id,
        kind=star.star_id,
        superclass=star.superclass,
        period_days=star.period_days,
        ra=star.ra,
        dec=star.dec,
        n_alerts=count,
        seed=seed,
        bands={BAND: band},
    )
