"""Reading archives: every kind of input, in a fixed order, and broken ones."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from broker_plugin.archive import Packet, count_packets, iter_packets
from broker_plugin.errors import InputError
from tests.shared import shared_path


def tar_bytes(members: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def member(number: int, size: int = 3000) -> tuple[str, bytes]:
    return f"{number}.avro", random.Random(number).randbytes(size)


def names(packets: Iterable[Packet]) -> list[str]:
    return [packet.name for packet in packets]


def test_a_gzipped_tar_gives_its_members_in_archive_order(tmp_path: Path) -> None:
    members = [member(3), member(1), member(2)]
    path = tmp_path / "ztf_public_20240101.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes(members)))

    packets = list(iter_packets([path]))

    assert [(packet.name, packet.payload) for packet in packets] == members
    assert {packet.source for packet in packets} == {str(path)}
    assert count_packets([path]) == 3


def test_a_directory_is_read_by_name_at_every_depth_and_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "late.avro").write_bytes(b"late")
    (tmp_path / "c.tar").write_bytes(tar_bytes([member(7), ("README", b"no packet"), member(5)]))
    (tmp_path / "a.avro").write_bytes(b"first")
    (tmp_path / "d.tgz").write_bytes(gzip.compress(tar_bytes([])))
    (tmp_path / "truth.csv").write_text("object_id")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)

    assert names(iter_packets([tmp_path])) == ["a.avro", "late.avro", "7.avro", "5.avro"]
    assert count_packets([tmp_path]) == 4


def test_named_paths_keep_their_order_and_are_told_by_content(tmp_path: Path) -> None:
    """An archive without its suffix; the same file twice is read twice."""
    nameless = tmp_path / "download"
    nameless.write_bytes(gzip.compress(tar_bytes([member(1)])))
    plain = tmp_path / "copy"
    plain.write_bytes(tar_bytes([member(2)]))
    packet = tmp_path / "alert.bin"
    packet.write_bytes(b"Obj\x01")
    paths = [packet, plain, nameless, plain]

    assert names(iter_packets(paths)) == ["alert.bin", "2.avro", "1.avro", "2.avro"]
    assert count_packets([str(path) for path in paths]) == 4


def test_an_empty_night_is_an_empty_tar(tmp_path: Path) -> None:
    path = tmp_path / "ztf_public_20240102.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes([])))
    assert list(iter_packets([path])) == []
    assert count_packets([path]) == 0


def test_broken_packets_are_yielded_as_they_are(tmp_path: Path) -> None:
    members = [("1.avro", b""), ("2.avro", b"\x00garbage"), member(3)]
    (tmp_path / "night.tar").write_bytes(tar_bytes(members))
    assert [packet.payload for packet in iter_packets([tmp_path])] == [data for _, data in members]


def damaged_header(data: bytes) -> bytes:
    """Spoil the second member's header; tarfile alone would take it for the end of the archive."""
    at = 512 + 3072 + 100
    return data[:at] + b"\xff" * 40 + data[at + 40 :]


DAMAGES = {
    "cut within a member": lambda data: data[:2000],
    "cut within a header": lambda data: data[: 512 + 3072 + 100],
    "damaged header": damaged_header,
    "no tar": lambda data: b"this is no archive" * 100,
    "no bytes": lambda data: b"",
}


@pytest.mark.parametrize("zipped", [False, True], ids=["tar", "tar.gz"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive_stops_with_its_name(tmp_path: Path, damage: str, zipped: bool) -> None:
    data = DAMAGES[damage](tar_bytes([member(1), member(2), member(3)]))
    path = tmp_path / ("night.tar.gz" if zipped else "night.tar")
    path.write_bytes(gzip.compress(data) if zipped else data)

    for read in (lambda: list(iter_packets([path])), lambda: count_packets([path])):
        with pytest.raises(InputError) as error:
            read()
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


def test_an_archive_without_an_end_mark_is_whole(tmp_path: Path) -> None:
    """As the real archives are; the checksum of gzip tells whether something is missing."""
    path = tmp_path / "night.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes([member(1), member(2)])[: 2 * (512 + 3072)]))
    assert names(iter_packets([path])) == ["1.avro", "2.avro"]


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_gzip_stream_that_ends_early_is_an_error(tmp_path: Path, keep: float) -> None:
    data = gzip.compress(tar_bytes([member(i) for i in range(20)]))
    path = tmp_path / "night.tar.gz"
    path.write_bytes(data[: int(keep * len(data))])
    with pytest.raises(InputError, match=r"night\.tar\.gz"):
        list(iter_packets([path]))


def test_a_gzip_stream_with_a_wrong_checksum_is_an_error(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(tar_bytes([member(1)])))
    data[-8] ^= 1
    path = tmp_path / "night.tar.gz"
    path.write_bytes(data)
    with pytest.raises(InputError, match="CRC"):
        list(iter_packets([path]))


def test_packets_before_the_damage_are_delivered(tmp_path: Path) -> None:
    path = tmp_path / "night.tar"
    path.write_bytes(damaged_header(tar_bytes([member(1), member(2)])))
    packets = iter_packets([path])
    assert next(packets).name == "1.avro"
    with pytest.raises(InputError):
        next(packets)


def test_paths_that_are_not_there_fail_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.tar\.gz: No such file"):
        iter_packets([tmp_path / "absent.tar.gz"])
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(InputError, match="a directory without alerts"):
        iter_packets([tmp_path])


def test_an_archive_is_never_whole_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "night.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(1500):
            info = tarfile.TarInfo(f"{number}.avro")
            info.size = 20_000
            archive.addfile(info, io.BytesIO(bytes(20_000)))
    tracemalloc.start()
    count = sum(1 for _ in iter_packets([path]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 1500
    assert peak < 1_000_000  # of 30 MB


def test_the_archive_of_a_real_night(tmp_path: Path) -> None:
    path = shared_path("alerts/ztf/ztf_public_20180819_mod1000.tar.gz")
    with tarfile.open(path) as archive:
        expected = [info.name for info in archive if info.isfile()]
    assert names(iter_packets([path])) == expected
    assert count_packets([path]) == len(expected) == 30
