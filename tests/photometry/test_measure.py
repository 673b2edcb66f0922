"""Alerts to photometry: cuts with their counts, identity of exposures, independence from the batch."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.decode import Alert, Decoder, Rejected
from broker_plugin.photometry import QualityCuts, bmjd_tdb_from_mjd_tai, bmjd_tdb_from_utc_jd_start, measure
from broker_plugin.photometry.epochs import REASONS
from broker_plugin.records.epoch import EPOCH_DTYPE, Origin, is_withdrawn
from broker_plugin.records.photometry import ObjectPhotometry
from tests.decode import packets
from tests.photometry.tables import JD, MJD, lsst_alert, lsst_source, ztf_alert, ztf_forced, ztf_source

CUTS = QualityCuts()


def one(alert: Alert, cuts: QualityCuts = CUTS) -> ObjectPhotometry:
    (found,) = measure([alert], cuts).results
    assert isinstance(found, ObjectPhotometry), found
    return found


def test_a_ztf_alert_becomes_epochs_by_band():
    alert = ztf_alert(
        [
            ztf_source(),
            ztf_source(jd=JD - 2, fid=1),
            ztf_source(jd=JD - 1, fid=2),
            ztf_source(jd=JD - 3, fid=3),
        ],
        [ztf_forced(jd=JD - 1.5)],
    )
    found = one(alert)
    assert sorted(found.bands) == ["g", "i", "r"]
    red = found.bands["r"]
    assert red.dtype == EPOCH_DTYPE
    assert red["origin"].tolist() == [Origin.FORCED, Origin.PREVIOUS, Origin.DETECTION]
    expected = bmjd_tdb_from_utc_jd_start([JD - 1.5, JD - 1, JD], 150.0, 20.0)
    assert red["time_mjd"].tolist() == expected.tolist()
    assert found.alert_time_mjd == expected[2]
    assert set(red["version"]) == {round(expected[2] * 86_400_000)}
    assert (found.survey, found.object_id, found.alert_id) == ("ztf", "ZTF18abcdefg", "1")
    assert not red.flags.writeable


def test_magnitudes_of_a_real_packet():
    """The alert's own epoch, and one exposure by detection and, without that, by forced photometry.

    The arithmetic is in test_magnitudes. The detection in r at 2460225.9424769: 17.8050 less 19.5206,
    10^(-0.4 * 17.805) - 10^(-0.4 * 19.5206) = 7.5509e-8 - 1.5550e-8 = 5.9959e-8, magnitude 18.0554.
    """
    (alert,) = Decoder().decode(packets.ztf_files()["v4_2475433850215010008"])
    found = one(alert)
    green, red = found.bands["g"], found.bands["r"]
    (own,) = green[green["origin"] == Origin.DETECTION]
    assert own["mag"] == pytest.approx(18.4974, abs=1e-4)
    assert own["magerr"] == pytest.approx(0.0582, abs=1e-4)
    assert own["time_mjd"] == found.alert_time_mjd
    (time,) = bmjd_tdb_from_utc_jd_start([2460225.9424769], found.ra, found.dec)
    (detected,) = red[np.abs(red["time_mjd"] - time) < 1e-6]
    assert (detected["origin"], detected["mag"]) == (Origin.PREVIOUS, pytest.approx(18.0554, abs=1e-4))
    red = one(dataclasses.replace(alert, sources=alert.sources[:1])).bands["r"]
    (forced,) = red[np.abs(red["time_mjd"] - time) < 1e-6]
    assert (forced["origin"], forced["mag"]) == (Origin.FORCED, pytest.approx(18.0577, abs=1e-4))
    assert forced["magerr"] == pytest.approx(0.0292, abs=1e-4)


def test_an_lsst_alert_becomes_epochs_by_band():
    alert = lsst_alert(
        [lsst_source(), lsst_source("u", midpointMjdTai=MJD - 1)],
        [lsst_source(midpointMjdTai=MJD - 2, scienceFlux=100.0, scienceFluxErr=20.0, psfFlux=math.nan)],
    )
    found = one(alert)
    assert list(found.bands) == ["u", "r"]
    assert found.bands["r"]["mag"] == pytest.approx([26.4, 23.9])
    assert found.bands["r"]["magerr"] == pytest.approx([0.21715, 0.010857], rel=1e-4)
    assert found.bands["r"]["origin"].tolist() == [Origin.FORCED, Origin.DETECTION]
    assert (
        found.bands["r"]["time_mjd"].tolist() == bmjd_tdb_from_mjd_tai([MJD - 2, MJD], 10.0, -30.0).tolist()
    )


ZTF_SOURCE_CASES = [
    ({"jd": 1480360995.0}, "time_out_of_range"),
    ({"jd": math.nan}, "time_out_of_range"),
    ({"jd": 0.0}, "time_out_of_range"),
    ({"fid": math.nan}, "unknown_band"),
    ({"magpsf": math.nan, "sigmapsf": math.nan, "rb": math.nan}, "non_detection"),
    ({"rb": 0.54}, "low_rb"),
    ({"drb": 0.19}, "low_drb"),
    ({"nbad": 1}, "bad_pixels"),
    ({"distnr": 1.4}, "no_reference_star"),
    ({"distnr": math.nan}, "no_reference_star"),
    ({"magnr": math.nan}, "no_reference_star"),
    ({"sigmagnr": math.nan}, "no_reference_star"),
    ({"isdiffpos": math.nan}, "no_flux"),
    ({"sigmapsf": math.nan}, "no_flux"),
    ({"isdiffpos": -1, "magpsf": 16.0}, "flux_not_positive"),
    ({"magnr": 5.0}, "magnitude_out_of_range"),
    ({"magnr": 31.0, "magpsf": 31.0}, "magnitude_out_of_range"),
    ({"sigmapsf": 5.0, "magpsf": 17.0}, "magerr_out_of_range"),
]


@pytest.mark.parametrize(("columns", "reason"), ZTF_SOURCE_CASES)
def test_an_unusable_ztf_detection_is_counted_and_the_others_stay(columns, reason):
    alert = ztf_alert([ztf_source(), ztf_source(**{"jd": JD - 1} | columns), ztf_source(jd=JD - 2)])
    found = measure([alert], CUTS)
    assert found.epochs_rejected == {reason: 1}
    assert found.epochs_used == {("ztf", Origin.DETECTION): 1, ("ztf", Origin.PREVIOUS): 1}
    assert len(found.results[0].bands["r"]) == 2


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"procstatus": 61}, "procstatus"),
        ({"procstatus": -1}, "procstatus"),
        ({"forcediffimflux": math.nan}, "no_flux"),
        ({"forcediffimfluxunc": math.nan}, "no_flux"),
        ({"magzpsci": math.nan}, "no_flux"),
        ({"magnr": math.nan}, "no_reference_star"),
        ({"distnr": 2.0}, "no_reference_star"),
        ({"forcediffimflux": -1e6}, "flux_not_positive"),
        ({"fid": math.nan}, "unknown_band"),
        ({"jd": 5.0}, "time_out_of_range"),
    ],
)
def test_an_unusable_forced_point_is_counted(columns, reason):
    found = measure([ztf_alert(None, [ztf_forced(**{"jd": JD - 1} | columns)])], CUTS)
    assert found.epochs_rejected == {reason: 1}
    assert found.epochs_used == {("ztf", Origin.DETECTION): 1}


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"midpointMjdTai": 1480360995.0}, "time_out_of_range"),
        ({"band": "X"}, "unknown_band"),
        ({"isDipole": 1.0}, "dipole"),
        ({"scienceFlux": math.nan}, "no_flux"),
        ({"scienceFluxErr": math.nan}, "no_flux"),
        ({"scienceFlux": -1.0}, "flux_not_positive"),
        ({"scienceFlux": 0.0}, "flux_not_positive"),
        ({"scienceFlux": 1e12}, "magnitude_out_of_range"),
        ({"scienceFluxErr": 1000.0}, "magerr_out_of_range"),
    ],
)
def test_an_unusable_lsst_source_is_counted(columns, reason):
    alert = lsst_alert([lsst_source(), lsst_source(**{"midpointMjdTai": MJD - 1} | columns)])
    found = measure([alert], CUTS)
    assert found.epochs_rejected == {reason: 1}
    assert found.epochs_used == {("lsst", Origin.DETECTION): 1}


def test_what_lsst_has_withdrawn_is_an_epoch_that_says_so():
    """A source takes its exposure with it, whatever else is wrong with it; forced photometry only itself."""
    gone = {"timeWithdrawnMjdTai": MJD}
    alert = lsst_alert(
        [lsst_source(), lsst_source(midpointMjdTai=MJD - 1, scienceFlux=math.nan, isDipole=1.0, **gone)],
        [lsst_source(midpointMjdTai=MJD - 1), lsst_source(midpointMjdTai=MJD - 2, **gone)],
    )

    epochs = one(alert).bands["r"]

    assert is_withdrawn(epochs).tolist() == [True, True, False]
    assert epochs["origin"].tolist() == [Origin.FORCED, Origin.WITHDRAWN, Origin.DETECTION]
    assert measure([alert], CUTS).epochs_rejected == {"duplicate_exposure": 1}
    own = one(lsst_alert([lsst_source(**gone)]))
    assert is_withdrawn(own.bands["r"]).tolist() == [True]
    assert math.isfinite(own.alert_time_mjd)


def test_without_its_own_time_an_alert_withdraws_nothing():
    """Nobody could tell whether it is newer than what it withdraws."""
    alert = lsst_alert([lsst_source(midpointMjdTai=5.0), lsst_source(timeWithdrawnMjdTai=MJD)])
    found = measure([alert], CUTS)
    assert found.epochs_rejected == {"time_out_of_range": 1, "withdrawn": 1}


@pytest.mark.parametrize("missing", [{"rb": math.nan}, {"drb": math.nan}, {"nbad": math.nan}])
def test_a_score_that_is_missing_passes(missing):
    assert len(one(ztf_alert([ztf_source(**missing)])).bands["r"]) == 1


def test_cuts_are_settings():
    alert = ztf_alert(
        [ztf_source(), ztf_source(jd=JD - 1, rb=0.3), ztf_source(jd=JD - 2, programid=2)],
        [ztf_forced(jd=JD - 3, procstatus=61)],
    )
    assert len(one(alert).bands["r"]) == 2
    loose = dataclasses.replace(CUTS, min_rb=0.2, procstatus=frozenset({0, 61}))
    assert len(one(alert, loose).bands["r"]) == 4
    public = measure([alert], dataclasses.replace(CUTS, programs=frozenset({1})))
    assert public.epochs_rejected == {"program": 1, "low_rb": 1, "procstatus": 1}
    sources = [lsst_source(reliability=0.4), lsst_source(midpointMjdTai=MJD - 1), lsst_source(isDipole=1.0)]
    picky = dataclasses.replace(CUTS, min_reliability=0.5, reject_dipoles=False)
    assert measure([lsst_alert(sources)], picky).epochs_rejected == {"low_reliability": 1}


@pytest.mark.parametrize(("arcsec", "near"), [(0.0, True), (5.0, True), (5.1, False), (math.nan, False)])
def test_an_alert_near_a_solar_system_object_is_rejected_whole(arcsec, near):
    alert = ztf_alert(solar_system_arcsec=arcsec)
    found = measure([alert], CUTS)
    assert isinstance(found.results[0], Rejected) is near
    assert found.epochs_used == ({} if near else {("ztf", Origin.DETECTION): 1})
    if near:
        assert found.results[0].reason == "solar_system"
    assert isinstance(one(alert, dataclasses.replace(CUTS, solar_system_arcsec=None)), ObjectPhotometry)


def test_an_alert_without_a_usable_epoch_is_rejected_with_its_epochs_counted():
    found = measure([ztf_alert([ztf_source(distnr=9.0), ztf_source(jd=JD - 1, rb=0.1)])], CUTS)
    (result,) = found.results
    assert (result.survey, result.reason) == ("ztf", "no_usable_epoch")
    assert found.epochs_rejected == {"no_reference_star": 1, "low_rb": 1}


def test_an_alert_whose_own_time_is_no_time_has_no_usable_epoch():
    """Its other epochs would carry a version out of all order. LSST's 7.4 sample is such a one."""
    (sample,) = Decoder().decode(packets.lsst_files()["fakeAlert_v7_4"])
    found = measure([sample, ztf_alert([ztf_source(jd=1e9), ztf_source()])], CUTS)
    assert [result.reason for result in found.results] == ["no_usable_epoch", "no_usable_epoch"]
    assert found.epochs_rejected == {"time_out_of_range": 5}


def test_a_detection_beats_a_forced_point_of_the_same_exposure():
    """Last digits differ from packet column to packet column; other bands and other nights do not count."""
    alert = ztf_alert(
        [ztf_source(), ztf_source(jd=JD - 1)],
        [ztf_forced(jd=JD + 3e-7), ztf_forced(jd=JD - 1 - 3e-7), ztf_forced(fid=1), ztf_forced(jd=JD - 2)],
    )
    found = measure([alert], CUTS)
    red = found.results[0].bands["r"]
    assert red["origin"].tolist() == [Origin.FORCED, Origin.PREVIOUS, Origin.DETECTION]
    assert found.results[0].bands["g"]["origin"].tolist() == [Origin.FORCED]
    assert found.epochs_rejected == {"duplicate_exposure": 2}


def test_a_rejected_detection_does_not_stand_in_the_way_of_the_forced_point():
    alert = ztf_alert([ztf_source(rb=0.1)], [ztf_forced()])
    assert one(alert).bands["r"]["origin"].tolist() == [Origin.FORCED]


def test_exposures_of_fifteen_seconds_are_not_one():
    alert = lsst_alert([lsst_source(), lsst_source(midpointMjdTai=MJD - 17 / 86400)])
    assert len(one(alert).bands["r"]) == 2


def test_an_empty_batch():
    found = measure([], CUTS)
    assert (found.results, found.epochs_used, found.epochs_rejected) == ((), {}, {})


ROWS = st.lists(
    st.builds(
        lambda day, fid, rb, mag, sign: ztf_source(jd=JD - day, fid=fid, rb=rb, magpsf=mag, isdiffpos=sign),
        st.integers(0, 3),
        st.sampled_from([1, 2, 3, math.nan]),
        st.sampled_from([0.9, 0.1, math.nan]),
        st.floats(14.0, 20.0),
        st.sampled_from([-1, 1]),
    ),
    min_size=1,
    max_size=5,
)
FORCED = st.lists(
    st.builds(
        lambda day, flux: ztf_forced(jd=JD - day, forcediffimflux=flux),
        st.integers(0, 3),
        st.floats(-9e3, 9e3),
    ),
    max_size=4,
)
ALERTS = st.one_of(
    st.builds(ztf_alert, ROWS, FORCED, solar_system_arcsec=st.sampled_from([math.nan, 1.0])),
    st.builds(
        lambda n: lsst_alert([lsst_source(midpointMjdTai=MJD - i) for i in range(n)]), st.integers(1, 3)
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ALERTS, max_size=5))
def test_batch_mates_change_nothing(alerts):
    """Each alert alone and all together: equal results; the counts add up."""
    together = measure(alerts, CUTS)
    alone = [measure([alert], CUTS) for alert in alerts]
    for ours, (theirs,) in zip(together.results, (each.results for each in alone), strict=True):
        assert_equal(ours, theirs)
    for name in ("epochs_used", "epochs_rejected"):
        sums: dict[object, int] = {}
        for each in alone:
            for key, count in getattr(each, name).items():
                sums[key] = sums.get(key, 0) + count
        assert getattr(together, name) == sums
    rows = sum(len(a.sources) + len(a.forced) for a in alerts if not a.solar_system_arcsec <= 5.0)
    assert sum(together.epochs_used.values()) + sum(together.epochs_rejected.values()) == rows


@settings(max_examples=50, deadline=None)
@given(ROWS, FORCED, st.randoms(use_true_random=False))
def test_the_order_within_a_packet_changes_nothing(sources, forced, random):
    shuffled = sources[1:]
    random.shuffle(shuffled)
    other_forced = list(forced)
    random.shuffle(other_forced)
    (one_way,) = measure([ztf_alert(sources, forced)], CUTS).results
    (other_way,) = measure([ztf_alert([sources[0], *shuffled], other_forced)], CUTS).results
    assert_equal(one_way, other_way)


@settings(max_examples=50, deadline=None)
@given(st.lists(ALERTS, min_size=1, max_size=3))
def test_what_comes_out_is_sound(alerts):
    for result in measure(alerts, CUTS).results:
        if isinstance(result, Rejected):
            continue
        assert result.bands
        for epochs in result.bands.values():
            assert len(epochs)
            assert (np.diff(epochs["time_mjd"]) >= 1e-5).all()
            assert np.isfinite(epochs["mag"]).all()
            assert ((epochs["magerr"] > 0) & (epochs["magerr"] < 1.0)).all()


def assert_equal(one_way: object, other_way: object) -> None:
    assert type(one_way) is type(other_way)
    if isinstance(one_way, Rejected):
        assert one_way == other_way
        return
    assert {b: e.tolist() for b, e in one_way.bands.items()} == {
        b: e.tolist() for b, e in other_way.bands.items()
    }
    assert dataclasses.replace(one_way, bands={}) == dataclasses.replace(other_way, bands={})


def test_every_reason_is_a_word_for_a_label():
    assert all(reason.replace("_", "").isalpha() for reason in REASONS)
    assert len(set(REASONS)) == len(REASONS)
