"""Each kind of archive, as its service writes it: times, magnitudes, cuts, ids, what is wrong with a file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from broker_plugin.app.bootstrap_source import ArchiveSource, Batch
from broker_plugin.bootstrap import ReadOptions
from broker_plugin.bootstrap.objects import read_object_table
from broker_plugin.errors import ConfigurationError, InputError
from broker_plugin.photometry import QualityCuts, bmjd_tdb_from_mjd_tai, bmjd_tdb_from_utc_jd_start
from broker_plugin.photometry.archive_times import TimeScale
from broker_plugin.photometry.magnitudes import difference_to_apparent, forced_to_apparent
from broker_plugin.records.epoch import EpochArray, Origin
from tests.bootstrap import archives
from tests.bootstrap.archives import DEC, OBJECT, RA

MJD = 58204.3464081
JD = MJD + 2_400_000.5


def own_table(folder: Path, text: str = f"object_id,ra,dec\n{OBJECT},{RA},{DEC}\n") -> Path:
    path = folder / "objects.csv"
    path.write_text(text)
    return path


def read(form: str, path: Path, objects: Path | None = None, start_row: int = 0, **options: Any) -> Batch:
    """Return a file's only batch."""
    table = None if objects is None else read_object_table(objects)
    source = ArchiveSource(form, QualityCuts(), ReadOptions(**options), objects=table)
    (unit,) = source.units([path])
    (batch,) = source.batches(unit, start_row)
    return batch


def only(batch: Batch, band: str = "r") -> EpochArray:
    """Return the epochs of a batch's only object."""
    (photometry,) = batch.photometry
    assert photometry.object_id == OBJECT
    return photometry.bands[band]


def test_release_as_irsa_gives_it(tmp_path: Path) -> None:
    """A time is that of the alert of the exposure; bit 15 of catflags, in hex or not, leaves it out."""
    path = archives.irsa(
        tmp_path / "lc.csv",
        archives.irsa_row(MJD),
        archives.irsa_row(MJD + 1, flags=4),
        archives.irsa_row(MJD + 2, flags=32768),
        archives.irsa_row(MJD + 3, flags="0x8000"),
        archives.irsa_row(MJD + 4, mag=""),
        archives.irsa_row(MJD + 5, band="zg"),
    )
    batch = read("ztf-dr", path, own_table(tmp_path))
    assert batch.rejected == {"catflags": 2, "no_flux": 1}
    epochs = only(batch)
    expected = bmjd_tdb_from_utc_jd_start(np.array([JD, JD + 1]), RA, DEC)
    assert np.abs(epochs["time_mjd"] - expected).max() < 1e-9
    assert epochs["mag"].tolist() == [15.0, 15.0]
    assert set(epochs["origin"]) == {int(Origin.PREVIOUS)}
    assert set(epochs["version"]) == {0}
    assert len(only(batch, "g")) == 1


def test_release_with_heliocentric_times_only(tmp_path: Path) -> None:
    """Without mjd, hjd leads to the same exposure: astropy's heliocentric time of the same start."""
    from astropy.coordinates import EarthLocation, SkyCoord
    from astropy.time import Time
    from astropy.utils import iers

    place = EarthLocation.from_geocentric(0, 0, 0, unit="m")
    start = Time(MJD, format="mjd", scale="utc", location=place)
    star = SkyCoord(RA, DEC, unit="deg")
    with iers.conf.set_temp("auto_download", False), iers.conf.set_temp("auto_max_age", None):
        hjd = (start + start.light_travel_time(star, "heliocentric")).jd
    frame = {"oid": [7], "hjd": [hjd], "mag": [15.0], "magerr": [0.02], "catflags": [0], "filtercode": ["zr"]}
    path = tmp_path / "lc.parquet"
    pd.DataFrame(frame).to_parquet(path)
    objects = own_table(tmp_path, f"object_id,source_id,ra,dec\n{OBJECT},7,{RA},{DEC}\n")
    (epoch,) = only(read("ztf-dr", path, objects))
    assert abs(epoch["time_mjd"] - bmjd_tdb_from_utc_jd_start(np.array([JD]), RA, DEC)[0]) < 0.1 / 86400


def test_release_in_bulk(tmp_path: Path) -> None:
    """Parquet of the bulk download: a row a light curve, arrays within."""
    frame = pd.DataFrame(
        {
            "objectid": [473203300001234],
            "filterid": [2],
            "fieldid": [473],
            "rcid": [8],
            "objra": [RA],
            "objdec": [DEC],
            "nepochs": [3],
            "hmjd": [[MJD, MJD + 1, MJD + 2]],
            "mag": [[15.0, 15.1, 15.2]],
            "magerr": [[0.01, 0.01, 0.01]],
            "clrcoeff": [[0.0, 0.0, 0.0]],
            "catflags": [[0, 32768, 0]],
        }
    )
    path = tmp_path / "bulk.parquet"
    frame.to_parquet(path)
    assert only(read("ztf-dr", path, own_table(tmp_path)))["mag"].tolist() == pytest.approx([15.0, 15.2])


def test_ids_of_their_own_need_a_table(tmp_path: Path) -> None:
    """An oid is no object of the stream."""
    path = archives.irsa(tmp_path / "lc.csv", archives.irsa_row(MJD))
    with pytest.raises(ConfigurationError, match="--objects"):
        read("ztf-dr", path)


def test_an_object_that_nobody_knows(tmp_path: Path) -> None:
    """Two arcsec away: told by its id, not loaded; by name it is found."""
    path = archives.irsa(tmp_path / "lc.csv", archives.irsa_row(MJD))
    away = own_table(tmp_path, f"object_id,ra,dec\n{OBJECT},{RA},{DEC + 2 / 3600}\n")
    batch = read("ztf-dr", path, away)
    assert (batch.photometry, batch.unmatched) == ((), {"473203300001234"})
    named = own_table(tmp_path, f"object_id,source_id\n{OBJECT},473203300001234\n")
    assert len(only(read("ztf-dr", path, named))) == 1


@pytest.mark.parametrize("commented", [False, True])
def test_forced_photometry_service(tmp_path: Path, commented: bool) -> None:
    """Difference fluxes become apparent magnitudes as those of an alert do; the position finds the object."""
    path = archives.service(
        tmp_path / "forcedphotometry_req00373571_lc.txt",
        archives.service_row(JD),
        archives.service_row(JD + 1, status="57"),
        archives.service_row(JD + 2, status="61"),
        archives.service_row(JD + 3, status="56,57"),
        archives.service_row(JD + 4, flux="null"),
        archives.service_row(JD + 5, infobits=33554432),
        archives.service_row(JD + 6, distance=3.0),
        archives.service_row(JD + 7, flux=-200.0, band="ZTF_g"),
        commented=commented,
    )
    batch = read("ztf-forced", path, own_table(tmp_path))
    assert batch.rejected == {"procstatus": 2, "no_flux": 1, "bad_science_image": 1, "no_reference_star": 1}
    epochs = only(batch)
    mag, magerr = forced_to_apparent(*(np.array([x]) for x in (1500.0, 50.0, 26.2, 16.0, 0.02)))
    assert epochs["mag"].tolist() == pytest.approx([mag[0]] * 2)
    assert epochs["magerr"].tolist() == pytest.approx([magerr[0]] * 2)
    assert (
        np.abs(epochs["time_mjd"] - bmjd_tdb_from_utc_jd_start(np.array([JD, JD + 1]), RA, DEC)).max() < 1e-7
    )
    assert set(epochs["origin"]) == {int(Origin.FORCED)}
    assert len(only(batch, "g")) == 1


def test_lasair(tmp_path: Path) -> None:
    """Candidates are detections told again, others are limits; forced photometry ranks below."""
    forced = {
        "jd": JD + 9,
        "fid": 2,
        "forcediffimflux": 100.0,
        "forcediffimfluxunc": 5.0,
        "magzpsci": 26.2,
        "programid": 1,
    }
    forced |= {"magnr": 16.0, "sigmagnr": 0.02, "distnr": 0.3, "procstatus": "0"}
    path = archives.lasair(
        tmp_path / "lasair.json",
        archives.candidate(JD),
        archives.candidate(JD + 1, sign="f"),
        archives.candidate(JD + 2, drb=0.1),
        {"jd": JD + 3, "fid": 2, "diffmaglim": 20.1},
        forced=[forced],
    )
    batch = read("lasair", path)
    assert batch.rejected == {"low_drb": 1, "non_detection": 1}
    (first, second) = batch.photometry
    signs, values = np.array([1.0, -1.0]), (np.full(2, x) for x in (17.0, 0.05, 16.0, 0.02))
    mag, magerr = difference_to_apparent(signs, *values)
    assert first.bands["r"]["mag"].tolist() == pytest.approx(mag.tolist())
    assert first.bands["r"]["magerr"].tolist() == pytest.approx(magerr.tolist())
    assert set(first.bands["r"]["origin"]) == {int(Origin.PREVIOUS)}
    assert first.alert_id.isdigit()
    assert second.bands["r"]["origin"].tolist() == [int(Origin.FORCED)]


def test_fink_json_and_parquet(tmp_path: Path) -> None:
    """The same alerts in either form lead to the same epochs; isdiffpos comes as a letter."""
    path = archives.fink(
        tmp_path / "fink.json", archives.candidate(JD), archives.candidate(JD + 1, magpsf=None)
    )
    batch = read("fink", path)
    assert batch.rejected == {"non_detection": 1}
    table = tmp_path / "fink.parquet"
    pd.DataFrame(json.loads(path.read_text())).to_parquet(table)
    assert only(read("fink", table)).tobytes() == only(batch).tobytes()


def test_alerce_without_the_reference_star(tmp_path: Path) -> None:
    """Its apparent magnitude, the two errors put together in quadrature; sentinels of 100 are no errors."""
    path = archives.alerce(
        tmp_path / f"{OBJECT}.json",
        archives.detection(MJD),
        archives.detection(MJD + 1, sigmapsf_corr=100.0),
        archives.detection(MJD + 2, corrected=False),
        archives.detection(MJD + 3, rb=0.2),
    )
    batch = read("alerce", path)
    assert batch.rejected == {"no_reference_star": 1, "low_rb": 1}
    epochs = only(batch)
    assert epochs["mag"].tolist() == pytest.approx([15.63, 15.63])
    assert epochs["magerr"].tolist() == pytest.approx(
        [math.sqrt(2 * 0.0142**2 - 0.01**2), math.sqrt(2) * 0.0142]
    )
    assert set(epochs["origin"]) == {int(Origin.PREVIOUS)}
    assert (
        np.abs(epochs["time_mjd"] - bmjd_tdb_from_utc_jd_start(np.array([JD, JD + 1]), RA, DEC)).max() < 1e-7
    )


def test_the_error_that_alerce_implies_is_ours() -> None:
    """From magnitudes of difference and reference: ALeRCE's pair of errors leads back to the quadrature."""
    from broker_plugin.bootstrap.alerce_errors import corrected_error

    rng = np.random.default_rng(1)
    magpsf, magnr = rng.uniform(15, 19, 500), rng.uniform(14, 17, 500)
    sigmapsf, sigmagnr = rng.uniform(0.02, 0.2, 500), rng.uniform(0.001, 0.004, 500)
    mag, magerr = difference_to_apparent(np.ones(500), magpsf, sigmapsf, magnr, sigmagnr)
    d = 10 ** (-0.4 * magpsf) * sigmapsf / 10 ** (-0.4 * mag)
    r = 10 ** (-0.4 * magnr) * sigmagnr / 10 ** (-0.4 * mag)
    known = d > r
    assert known.sum() > 100
    error = np.where(known, np.sqrt(np.abs(d**2 - r**2)), np.nan)
    ours = corrected_error(error, d)
    assert np.allclose(ours[known], magerr[known], rtol=1e-12)
    assert np.all(ours[~known] <= magerr[~known])


def test_alerce_with_the_reference_star(tmp_path: Path) -> None:
    """Its second interface, and forced photometry: extra_fields hold what an alert holds; our arithmetic."""
    own = {
        "oid": OBJECT,
        "mag": 17.0,
        "e_mag": 0.05,
        "extra_fields": {"magnr": 16.0, "sigmagnr": 0.02, "distnr": 0.3},
    }
    v2 = {k: v for k, v in archives.detection(MJD).items() if k not in ("magpsf", "sigmapsf")} | own
    forced = {**v2, "mjd": MJD + 1, "procstatus": "0"}
    path = archives.alerce(
        tmp_path / "lc.json", v2, forced=[forced, {**forced, "mjd": MJD + 2, "procstatus": "63"}]
    )
    batch = read("alerce", path)
    assert batch.rejected == {"procstatus": 1}
    found = {int(p.bands["r"]["origin"][0]): p.bands["r"] for p in batch.photometry}
    mag, magerr = difference_to_apparent(*(np.array([x]) for x in (1.0, 17.0, 0.05, 16.0, 0.02)))
    for origin in (Origin.PREVIOUS, Origin.FORCED):
        (epoch,) = found[int(origin)]
        assert (epoch["mag"], epoch["magerr"]) == (pytest.approx(mag[0]), pytest.approx(magerr[0]))


def test_alerce_does_not_say_which_object(tmp_path: Path) -> None:
    """Neither in the file nor in its name: a clear error; --object-id says it."""
    path = archives.alerce(tmp_path / "lightcurve.json", archives.detection(MJD))
    with pytest.raises(InputError, match="--object-id"):
        read("alerce", path)
    assert len(only(read("alerce", path, object_id=OBJECT))) == 1


def lsst_frame(**columns: Any) -> pd.DataFrame:
    frame = {"diaObjectId": [2**63 - 1] * 2, "band": ["r", "g"], "ra": [RA] * 2, "dec": [DEC] * 2} | columns
    return pd.DataFrame(frame)


def test_lsst_dia_sources(tmp_path: Path) -> None:
    """The scienceFlux is the star's flux; a 64-bit id stays whole; solar-system bodies are left out."""
    frame = lsst_frame(
        diaSourceId=[11, 12],
        midpointMjdTai=[60300.1, 60300.2],
        psfFlux=[100.0, 100.0],
        psfFluxErr=[10.0, 10.0],
        scienceFlux=[36308.0, -5.0],
        scienceFluxErr=[363.0, 10.0],
        isDipole=[False, False],
        pixelFlags_bad=[False, False],
    )
    path = tmp_path / "DiaSource.parquet"
    moving = frame.assign(diaObjectId=0)
    pd.concat([frame, moving]).to_parquet(path)
    batch = read("lsst", path)
    (photometry,) = batch.photometry
    assert (photometry.object_id, photometry.alert_id) == (str(2**63 - 1), "12")
    assert batch.rejected == {"flux_not_positive": 1, "no_object": 2}
    (epoch,) = photometry.bands["r"]
    assert epoch["mag"] == pytest.approx(20.0, abs=1e-3)
    assert epoch["time_mjd"] == pytest.approx(
        bmjd_tdb_from_mjd_tai(np.array([60300.1]), RA, DEC)[0], abs=1e-9
    )
    assert epoch["origin"] == int(Origin.PREVIOUS)


def test_lsst_forced_sources_by_visit(tmp_path: Path) -> None:
    """DP1's forced table knows the visit only; the table of visits knows the time; a flagged flux is none."""
    frame = lsst_frame(
        visit=[2024110800250, 2024110800251],
        psfFlux=[36308.0, 36308.0],
        psfFluxErr=[363.0, 363.0],
        psfFlux_flag=[False, True],
        psfDiffFlux=[100.0, 100.0],
        psfDiffFluxErr=[10.0, 10.0],
        detector=[4, 4],
    )
    path = tmp_path / "forced.parquet"
    frame.to_parquet(path)
    with pytest.raises(InputError, match="--visits"):
        read("lsst", path)
    visits = tmp_path / "Visit.csv"
    visits.write_text("visit,expMidptMJD,band\n2024110800250,60623.25,r\n2024110800251,60623.26,g\n")
    batch = read("lsst", path, visits=visits)
    (photometry,) = batch.photometry
    assert photometry.bands["r"]["origin"].tolist() == [int(Origin.FORCED)]
    assert photometry.bands["r"]["mag"][0] == pytest.approx(20.0, abs=1e-3)
    assert batch.rejected == {"no_flux": 1}


def plain(path: Path, *rows: str, header: str = "survey,object_id,band,time,mag,magerr,ra,dec") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("scale", "time"),
    [
        (TimeScale.MJD_UTC, MJD + 15 / 86400),
        (TimeScale.JD_UTC, JD + 15 / 86400),
        (TimeScale.MJD_TAI, MJD + (15 + 37) / 86400),
        (TimeScale.BMJD_TDB, float(bmjd_tdb_from_utc_jd_start(np.array([JD]), RA, DEC)[0])),
        (TimeScale.BJD_TDB, float(bmjd_tdb_from_utc_jd_start(np.array([JD]), RA, DEC)[0]) + 2_400_000.5),
    ],
)
def test_plain_in_every_time_scale(tmp_path: Path, scale: TimeScale, time: float) -> None:
    """One moment, written in five ways, is one exposure."""
    path = plain(tmp_path / "p.csv", f"ztf,{OBJECT},r,{time!r},15.0,0.02,{RA},{DEC}")
    (epoch,) = only(read("plain", path, time_scale=scale))
    assert abs(epoch["time_mjd"] - bmjd_tdb_from_utc_jd_start(np.array([JD]), RA, DEC)[0]) < 1e-5 / 10


def test_plain_starts_of_exposures(tmp_path: Path) -> None:
    """Half of the exposure is added."""
    path = plain(tmp_path / "p.csv", f"ztf,{OBJECT},r,{JD!r},15.0,0.02,{RA},{DEC}")
    (epoch,) = only(read("plain", path, time_scale=TimeScale.JD_UTC, start_of_seconds=30.0))
    assert abs(epoch["time_mjd"] - bmjd_tdb_from_utc_jd_start(np.array([JD]), RA, DEC)[0]) < 1e-8


def test_bad_rows_are_named(tmp_path: Path) -> None:
    """File, row, value and what was expected; the rows around them are used."""
    path = plain(
        tmp_path / "p.csv",
        f"ztf,{OBJECT},r,58000.1,15.0,0.02,{RA},{DEC}",
        f"ztf,{OBJECT},V,58000.2,15.0,0.02,{RA},{DEC}",
        f"ztf,{OBJECT},r,58000.3,bright,0.02,{RA},{DEC}",
        f"ztf,{OBJECT},r,58000.4,15.0",
        f"ztf,ZTF/18,r,58000.5,15.0,0.02,{RA},{DEC}",
        f"ztf,{OBJECT},r,58000.6,15.0,,{RA},{DEC}",
    )
    batch = read("plain", path, time_scale=TimeScale.MJD_UTC)
    assert [str(bad).removeprefix(f"{path}, ") for bad in sorted(batch.bad, key=lambda bad: bad.row)] == [
        "row 2: band is 'V', expected one of u, g, r, i, z, y",
        "row 3: mag is 'bright', expected a number",
        "row 4: the row is '5 values', expected 8 as in the heading",
        "row 5: object_id is 'ZTF/18', expected a name without a slash",
    ]
    assert len(only(batch)) == 1
    assert batch.rejected == {"no_flux": 1}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("survey,object_id,band,time,mag,magerr,filter", ["unknown column 'filter'", "allows", "object_id"]),
        ("survey,object_id,band,time,mag,mag_err", ["needs the column magerr", "found survey"]),
        ("survey,objectid,band,time,mag,magerr", ["needs the column object_id"]),
    ],
)
def test_columns_that_nobody_knows(tmp_path: Path, header: str, words: list[str]) -> None:
    """The file, the column, what is allowed."""
    path = plain(tmp_path / "p.csv", header=header)
    path.write_text(path.read_text() + ",".join("1" for _ in header.split(",")) + "\n")
    with pytest.raises(InputError) as caught:
        read("plain", path, time_scale=TimeScale.MJD_UTC)
    for word in [str(path), *words]:
        assert word in str(caught.value)


def test_a_column_that_may_be_passed_over(tmp_path: Path) -> None:
    """Only if somebody says so."""
    header = "survey,object_id,band,time,mag,magerr,ra,dec,airmass"
    path = plain(tmp_path / "p.csv", f"ztf,{OBJECT},r,58000.1,15.0,0.02,{RA},{DEC},1.2", header=header)
    assert len(only(read("plain", path, time_scale=TimeScale.MJD_UTC, ignore_columns=True))) == 1


def test_an_object_without_a_position(tmp_path: Path) -> None:
    """Barycentric times need one: told as a reason, not guessed; a table of objects gives it."""
    path = plain(
        tmp_path / "p.csv",
        f"ztf,{OBJECT},r,58000.1,15.0,0.02",
        header="survey,object_id,band,time,mag,magerr",
    )
    assert read("plain", path, time_scale=TimeScale.MJD_UTC).rejected == {"no_position": 1}
    for text in (
        f"object_id,source_id,ra,dec\n{OBJECT},{OBJECT},{RA},{DEC}\n",
        f"object_id,ra,dec\n{OBJECT},{RA},{DEC}\n",
    ):
        table = own_table(tmp_path, text)
        assert len(only(read("plain", path, table, time_scale=TimeScale.MJD_UTC))) == 1


@pytest.mark.parametrize(
    "form", ["ztf-dr", "ztf-forced", "lsst", "alerce", "lasair", "fink", "plain", "photometry"]
)
def test_a_file_of_something_else(tmp_path: Path, form: str) -> None:
    """Every format says which file it cannot read."""
    path = tmp_path / "noise.csv"
    path.write_bytes(b"\x00\x01\xff noise")
    with pytest.raises(InputError, match=r"noise\.csv"):
        read(form, path, own_table(tmp_path), time_scale=TimeScale.MJD_UTC)


def test_from_a_row_on(tmp_path: Path) -> None:
    """The rest of a file is what a whole reading brings behind that row; bad rows keep their numbers."""
    rows = [archives.irsa_row(MJD + i, mag="x" if i == 7 else 15.0) for i in range(10)]
    path = archives.irsa(tmp_path / "lc.csv", *rows)
    rest = read("ztf-dr", path, own_table(tmp_path), start_row=4)
    assert (rest.rows, rest.end_row, [bad.row for bad in rest.bad]) == (6, 10, [8])
    assert only(rest).tobytes() == only(read("ztf-dr", path, own_table(tmp_path)))[4:].tobytes()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,ra,dec\nA,1,2\n", "expected object_id"),
        ("object_id,ra,dec,epoch\nA,1,2,3\n", "unknown column 'epoch'"),
        ("object_id,ra,dec\nA,400,2\n", "row 1: ra is"),
    ],
)
def test_a_table_of_objects_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    """File, and column or row."""
    with pytest.raises(InputError, match=words):
        read_object_table(own_table(tmp_path, text))
