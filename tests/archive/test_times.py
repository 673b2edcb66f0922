"""The alerts' own clocks, and archives sorted by them."""

from __future__ import annotations

import datetime as dt
import io
import random
import tarfile
from pathlib import Path

import fastavro
import pytest

from broker_plugin.archive import AlertClock, iter_packets, packet_time
from broker_plugin.simulate import SimulationSettings, simulate
from tests.shared import shared_path


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two nights' packets in one archive without order, with a broken one among them."""
    folder = tmp_path_factory.mktemp("nights")
    simulate(SimulationSettings(n_objects=8, n_nights=12, seed=2, n_fields=1), folder / "plain")
    packets = list(iter_packets([folder / "plain"]))
    random.Random(1).shuffle(packets)
    (folder / "shuffled").mkdir()
    with tarfile.open(folder / "shuffled" / "night.tar.gz", "w:gz") as archive:
        for number, packet in enumerate(packets):
            payloads = [packet.payload, packet.payload[:50]] if number == 3 else [packet.payload]
            for payload in payloads:
                info = tarfile.TarInfo(f"{number}.avro" if payload is payloads[0] else "broken.avro")
                info.size = len(payload)
                archive.addfile(info, io.BytesIO(payload))
    return folder / "shuffled"


def test_times_of_real_packets_are_those_that_fastavro_reads() -> None:
    clock = AlertClock()
    for path in sorted(shared_path("alerts/ztf").glob("*.avro")):
        payload = path.read_bytes()
        alert = next(fastavro.reader(io.BytesIO(payload)))
        assert clock.time(payload) == pytest.approx(alert["candidate"]["jd"] - 2400000.5, abs=1e-9)
    payload = (shared_path("alerts/lsst") / "fakeAlert_v9_0.avro").read_bytes()
    assert packet_time(payload) == pytest.approx(60902.993305483615 - 37 / 86400, abs=1e-9)


def test_bytes_that_are_no_alert_have_no_time() -> None:
    assert packet_time(b"") is None
    assert packet_time(b"Obj\x01garbage") is None


def test_packets_sorted_by_time_come_all_and_in_time(shuffled: Path) -> None:
    clock = AlertClock()
    plain = list(iter_packets([shuffled]))
    ordered = list(iter_packets([shuffled], order="time"))

    times = [time for packet in ordered if (time := clock.time(packet.payload)) is not None]
    assert times == sorted(times)
    assert len(ordered) == len(plain) == len(times) + 1
    assert sorted(ordered, key=repr) == sorted(plain, key=repr)
    broken = [packet.name for packet in ordered].index("broken.avro")
    assert ordered[broken - 1].name == "3.avro"


def test_loose_packets_of_a_directory_are_sorted_together(tmp_path: Path) -> None:
    settings = SimulationSettings(
        n_objects=6, n_nights=10, seed=3, n_fields=1, start_date=dt.date(2024, 1, 1), out_of_order_fraction=0
    )
    simulate(settings, tmp_path / "nights")
    (tmp_path / "loose").mkdir()
    expected = [packet.payload for packet in iter_packets([tmp_path / "nights"], order="time")]
    for number, payload in enumerate(reversed(expected)):
        (tmp_path / "loose" / f"{number:04d}.avro").write_bytes(payload)

    found = [packet.payload for packet in iter_packets([tmp_path / "loose"], order="time")]

    clock = AlertClock()
    assert [clock.time(payload) for payload in found] == [clock.time(payload) for payload in expected]
    assert sorted(found) == sorted(expected)
