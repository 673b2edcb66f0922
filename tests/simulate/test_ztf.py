"""A ZTF simulation, read as any consumer would read it, and through decode and photometry."""

from __future__ import annotations

import dataclasses
import datetime as dt
import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest

from broker_plugin.archive import count_packets, iter_packets
from broker_plugin.decode.alert import Alert, Malformed
from broker_plugin.decode.decoder import Decoder
from broker_plugin.photometry.cuts import QualityCuts
from broker_plugin.photometry.measure import measure
from broker_plugin.records.photometry import ObjectPhotometry
from broker_plugin.simulate import SimulationSettings, demo_settings, simulate
from broker_plugin.simulate.population import draw_population, share_kinds
from tests.shared import shared_path
from tests.simulate.conftest import ZTF_SETTINGS, Simulated

TINY = SimulationSettings(n_objects=4, n_nights=40, seed=5, n_fields=1, mixture={"RRAB": 1.0, "M": 1.0})


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def records(ztf: Simulated) -> list[dict[str, Any]]:
    return [record for packet in ztf.packets for record in fastavro.reader(io.BytesIO(packet.payload))]


@pytest.fixture(scope="module")
def unpacked(ztf: Simulated) -> list[dict[str, Any]]:
    return records(ztf)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        simulate(dataclasses.replace(TINY, seed=seed), tmp_path / name)

    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    assert digests(tmp_path / "a") != digests(tmp_path / "c")


def test_a_star_does_not_depend_on_how_many_others_there_are() -> None:
    one_kind = dataclasses.replace(TINY, mixture={"RRAB": 1.0})
    few = draw_population(one_kind)[1]
    many = draw_population(dataclasses.replace(one_kind, n_objects=9))[1]
    assert [star.variable.period_days for star in few] == [star.variable.period_days for star in many[:4]]


def test_summary_archives_and_truth_agree(ztf: Simulated) -> None:
    archives = sorted(ztf.folder.glob("ztf_public_*.tar.gz"))

    assert ztf.summary.nights == len(archives)
    assert ztf.summary.alerts == len(ztf.packets)
    assert ztf.summary.archive_bytes == sum(path.stat().st_size for path in archives)
    assert ztf.summary.objects == len(ztf.truth) == ZTF_SETTINGS.n_objects
    distinct = {packet.name for packet in ztf.packets}
    assert ztf.truth.n_alerts.sum() == len(distinct)
    assert len(distinct) < len(ztf.packets) < 1.1 * len(distinct)  # 3 % duplicates
    assert sorted(ztf.truth.kind) == sorted(share_kinds(ZTF_SETTINGS.mixture, ZTF_SETTINGS.n_objects))
    assert (ztf.truth.n_in_alerts_r <= ztf.truth.n_exposures_r).all()


def test_alerts_are_above_five_sigma_of_a_star_in_the_truth_table(
    ztf: Simulated, unpacked: list[dict[str, Any]]
) -> None:
    known = set(ztf.truth.object_id)
    for alert in unpacked:
        candidate = alert["candidate"]
        assert alert["objectId"] in known
        assert alert["candid"] == candidate["candid"]
        assert candidate["sigmapsf"] < 1.0857 / 5
        assert candidate["isdiffpos"] in ("t", "f")
        assert candidate["ndethist"] >= 1
        assert candidate["jdstarthist"] <= candidate["jd"]
    assert {alert["candidate"]["isdiffpos"] for alert in unpacked} == {"t", "f"}


def test_histories_hold_thirty_days_detections_and_nothing_seen(unpacked: list[dict[str, Any]]) -> None:
    detections = nothing = lost = 0
    for alert in unpacked:
        jd = alert["candidate"]["jd"]
        previous, forced = alert["prv_candidates"] or [], alert["fp_hists"]
        assert len(previous) == len(forced)
        for entry in previous:
            assert jd - 30.001 < entry["jd"] < jd
            detections += entry["candid"] is not None
            nothing += entry["candid"] is None
            assert (entry["candid"] is None) == (entry["magpsf"] is None) == (entry["isdiffpos"] is None)
            assert entry["diffmaglim"] is not None
        lost += sum(entry["forcediffimflux"] == -99999.0 for entry in forced)
    assert detections > 100
    assert nothing > 100
    assert lost > 10


def test_repeated_exposures_differ_in_their_last_digits(unpacked: list[dict[str, Any]]) -> None:
    """What a consumer cannot rely on: that the same exposure comes with the same floating-point numbers."""
    first = {alert["candid"]: alert["candidate"] for alert in unpacked}
    pairs = [
        (first[entry["candid"]], entry)
        for alert in unpacked
        for entry in alert["prv_candidates"] or []
        if entry["candid"] in first
    ]
    shifts = np.array([entry["jd"] - original["jd"] for original, entry in pairs])
    assert 0 < np.abs(shifts).max() < 2e-7
    assert any(original["magpsf"] != entry["magpsf"] for original, entry in pairs)
    assert all(abs(original["magpsf"] - entry["magpsf"]) < 1e-4 for original, entry in pairs)


def test_the_order_of_a_night_is_disturbed_and_duplicates_are_the_same_bytes(ztf: Simulated) -> None:
    by_name: dict[str, set[bytes]] = {}
    for packet in ztf.packets:
        by_name.setdefault(packet.name, set()).add(packet.payload)
    assert all(len(payloads) == 1 for payloads in by_name.values())
    ids = [int(packet.name.removesuffix(".avro")) for packet in ztf.packets]
    backwards = np.mean(np.diff(ids) < 0)
    assert 0.01 < backwards < 0.3


def test_apparent_magnitudes_follow_the_model_within_their_errors(ztf: Simulated) -> None:
    """Through decode and photometry, at the times these find: reference and barycentre included."""
    stars = {star.object_id: star for star in draw_population(ztf.settings)[1]}
    decoder = Decoder()
    alerts = [alert for packet in ztf.packets for alert in decoder.decode(packet.payload)]
    assert all(isinstance(alert, Alert) for alert in alerts)
    pulls: list[float] = []
    for result in measure([alert for alert in alerts if isinstance(alert, Alert)], QualityCuts()).results:
        if not isinstance(result, ObjectPhotometry):
            continue
        star = stars[result.object_id]
        for band, epochs in result.bands.items():
            model = star.mean_mag[band] + star.variable.variation(epochs["time_mjd"], band)
            pulls.extend((epochs["mag"] - model) / epochs["magerr"])

    size = np.abs(np.array(pulls))
    assert size.size > 2000
    # Errors include the reference's, common to a star's epochs: pulls are a little below a Gaussian's.
    assert 0.3 < np.median(size) < 0.8
    assert np.mean(size > 4) < 0.01
    assert abs(np.median(pulls)) < 0.3


def test_times_of_fast_stars_are_barycentric(tmp_path: Path) -> None:
    """Stars of two hours serve as clocks; without the light time they go wrong by minutes, which change."""
    fast = dataclasses.replace(TINY, n_objects=8, n_nights=200, mixture={"DSCT": 1.0}, outlier_fraction=0.0)
    simulate(fast, tmp_path)
    stars = {star.object_id: star for star in draw_population(fast)[1]}
    decoder = Decoder()
    alerts = [decoder.decode(packet.payload)[0] for packet in iter_packets([tmp_path])]
    results = measure([alert for alert in alerts if isinstance(alert, Alert)], QualityCuts()).results
    rows = []
    for result in results:
        assert isinstance(result, ObjectPhotometry)
        star = stars[result.object_id]
        for band, epochs in result.bands.items():
            time_mjd, second = epochs["time_mjd"], 1 / 86400
            residual = epochs["mag"] - star.mean_mag[band] - star.variable.variation(time_mjd, band)
            later = star.variable.variation(time_mjd + second, band)
            slope = (later - star.variable.variation(time_mjd - second, band)) / 2  # mag per second
            rows.append(np.stack([time_mjd, residual / epochs["magerr"], slope / epochs["magerr"]]))
    # Packets repeat exposures: each counts once.
    times, residuals, slopes = np.hstack(rows)
    once = np.unique(np.round(np.stack([times, slopes]), 6), axis=1, return_index=True)[1]

    months = np.floor(times[once] / 30)
    judged = 0
    for month in np.unique(months):
        inside = once[months == month]
        weight = np.sum(slopes[inside] ** 2)
        late_seconds = np.sum(residuals[inside] * slopes[inside]) / weight
        error_seconds = weight**-0.5
        if error_seconds < 30:
            judged += 1
            assert abs(late_seconds) < 4 * error_seconds + 3
    assert judged >= 4


def test_the_truth_table_counts_what_the_packets_carry(
    ztf: Simulated, unpacked: list[dict[str, Any]]
) -> None:
    carried: dict[str, set[float]] = {}
    for alert in unpacked:
        seen = carried.setdefault(alert["objectId"], set())
        entries = [alert["candidate"], *alert["fp_hists"]]
        seen.update(round(entry["jd"], 4) for entry in entries if entry["fid"] == 2)
    counted = dict(zip(ztf.truth.object_id, ztf.truth.n_in_alerts_r, strict=True))
    assert {name: len(carried.get(name, ())) for name in counted} == counted


def test_names_numbers_and_times_have_the_survey_s_form(
    ztf: Simulated, unpacked: list[dict[str, Any]]
) -> None:
    numbers = {alert["candid"] for alert in unpacked}
    assert len(numbers) == ztf.truth.n_alerts.sum()
    for alert in unpacked[:50]:
        candidate = alert["candidate"]
        assert alert["objectId"][:5] == "ZTF23"
        assert len(alert["objectId"]) == 12
        assert alert["candid"] // 10**6 == candidate["pid"]
        assert candidate["nid"] == int(candidate["jd"] - 2457754.5)


def test_field_names_and_types_are_those_of_a_real_packet(ztf: Simulated) -> None:
    """A schema 4.01 packet of ZTF: 4.02 differs in no name, and in no type that we fill."""
    real = next((shared_path("alerts/ztf")).glob("v4_*.avro"))

    def shape(data: bytes) -> Any:
        schema = fastavro.reader(io.BytesIO(data)).writer_schema
        types = {field["name"]: field["type"] for field in schema["fields"]}
        inner = {
            "candidate": types["candidate"],
            "prv_candidates": types["prv_candidates"][1]["items"],
            "fp_hists": types["fp_hists"][1]["items"],
            "cutout": types["cutoutScience"][1],
        }
        return [list(types)] + [
            [(field["name"], field["type"]) for field in record["fields"]] for record in inner.values()
        ]

    assert shape(ztf.packets[0].payload) == shape(real.read_bytes())


def test_a_gap_between_alerts_thins_the_stream_but_not_the_light_curves(
    tmp_path: Path, ztf: Simulated
) -> None:
    thin = simulate(dataclasses.replace(ZTF_SETTINGS, min_alert_gap_days=9.0), tmp_path)
    rows = thin.truth_path.read_text().splitlines()
    column = rows[0].split(",").index("n_in_alerts_r")
    carried = sum(int(row.split(",")[column]) for row in rows[1:])
    assert thin.alerts < 0.3 * ztf.summary.alerts
    assert carried > 0.85 * ztf.truth.n_in_alerts_r.sum()


def test_stamps_are_gzipped_fits_of_the_size_asked_for(tmp_path: Path) -> None:
    simulate(dataclasses.replace(TINY, stamp_bytes=4000), tmp_path)
    archive = next(tmp_path.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        member = tar.next()
        assert member is not None
        data = tar.extractfile(member)
        assert data is not None
        alert: Any = next(fastavro.reader(io.BytesIO(data.read())))
    for name in ("Science", "Template", "Difference"):
        stamp = alert[f"cutout{name}"]["stampData"]
        assert 3000 < len(stamp) < 5000
        assert gzip.decompress(stamp).startswith(b"SIMPLE  =                    T")


def test_damaged_packets_are_extra_and_dead_letters(tmp_path: Path) -> None:
    whole = simulate(TINY, tmp_path / "whole")
    broken = simulate(dataclasses.replace(TINY, damaged_fraction=0.5), tmp_path / "broken")
    decoder = Decoder()
    results = [decoder.decode(packet.payload)[0] for packet in iter_packets([tmp_path / "broken"])]
    malformed = sum(isinstance(result, Malformed) for result in results)
    assert malformed > 5
    assert broken.alerts - malformed == pytest.approx(whole.alerts, abs=3)  # duplicates fall elsewhere


def test_nights_without_alerts_are_empty_archives_when_asked_for(tmp_path: Path) -> None:
    summary = simulate(dataclasses.replace(TINY, empty_nights=True), tmp_path)
    counts = [count_packets([path]) for path in sorted(tmp_path.glob("*.tar.gz"))]
    assert summary.nights == TINY.n_nights == len(counts)
    assert 0 in counts
    assert (tmp_path / f"ztf_public_{TINY.start_date:%Y%m%d}.tar.gz").exists()


def test_the_demonstration_is_what_the_documentation_says() -> None:
    settings = demo_settings(3)
    assert settings.seed == 3
    assert settings.n_nights == 1080
    assert settings.start_date == dt.date(2022, 1, 1)
    assert {"RCB", "T_TAURI", "NOVA", "DIPPER"} <= set(settings.mixture)
