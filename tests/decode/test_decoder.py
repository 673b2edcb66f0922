"""Whole packets, sound and unsound, through the decoder."""

from __future__ import annotations

import io
import json
import struct
import sys
import tracemalloc
import types
import zlib

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.decode import Alert, Decoder, Malformed, Rejected, container
from tests.decode import packets

MEGABYTE = 2**20


def test_every_real_packet_decodes_to_what_fastavro_reads():
    decoder = Decoder()
    for packet in packets.real_packets():
        alert = packets.only_alert(packet, decoder)
        _, (record,) = packets.records_of(packet)
        if alert.survey == "ztf":
            assert alert.object_id == record["objectId"]
            assert alert.alert_id == str(record["candid"])
            assert alert.schema_version == record["schemavsn"]
            assert (alert.ra, alert.dec) == (record["candidate"]["ra"], record["candidate"]["dec"])
            assert len(alert.sources) == 1 + len(record["prv_candidates"] or [])
            assert len(alert.forced) == len(record.get("fp_hists") or [])
        else:
            assert alert.object_id == str(record["diaObject"]["diaObjectId"])
            assert alert.alert_id == str(record["diaSource"]["diaSourceId"])
            assert len(alert.sources) == 1 + len(record["prvDiaSources"] or [])


def test_the_scan_reads_every_real_packet_and_agrees_with_the_whole_decode():
    """The second packet of a schema onwards is scanned; no real packet may need the slow way."""
    scanning, whole = Decoder(), Decoder(scan=False)
    real = packets.real_packets()
    for packet in real:
        scanning.decode(packet)
    for packet in real:
        (one,), (other,) = scanning.decode(packet), whole.decode(packet)
        packets.assert_same(one, other)
    for reader in scanning._readers.values():
        assert reader.scan is not None
    for packet in real:
        assert_scans(scanning, packet)


def assert_scans(decoder: Decoder, packet: bytes) -> None:
    from broker_plugin.decode.container import header_end, read_blocks

    header = header_end(packet)
    reader = decoder._readers[packet[:header]]
    (block,) = read_blocks(packet, header, reader.codec)
    found = reader.scan.read(block.payload, 0)
    assert found is not None
    assert found[1] == len(block.payload)


def test_a_schema_is_parsed_once():
    """Thirty packets of one night carry one schema, each with a sync marker of its own."""
    decoder = Decoder()
    night = packets.ztf_archive()
    for packet in night:
        packets.only_alert(packet, decoder)
    assert decoder.schemas_parsed == 1
    assert decoder.schema_hits == len(night) - 1


def test_ever_new_schemas_do_not_fill_the_memory():
    schema, record = packets.ztf_record("schema_3.3")
    decoder = Decoder()
    for number in range(70):
        schema["doc"] = f"edition {number}"
        packets.only_alert(packets.container(schema, [record]), decoder)
    assert decoder.schemas_parsed == 70
    assert len(decoder._readers) == 64


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_a_container_may_hold_several_alerts_in_several_blocks(codec):
    schema, record = packets.ztf_record()
    records = [{**record, "candid": i} for i in range(5)]
    packet = packets.container(schema, records, codec=codec, sync_interval=1)
    found = Decoder().decode(packet)
    assert [entry.alert_id for entry in found] == ["0", "1", "2", "3", "4"]


def test_one_bad_record_does_not_take_the_others_along():
    schema, record = packets.ztf_record()
    packet = packets.container(schema, [record, {**record, "objectId": ""}, record])
    first, second, third = Decoder().decode(packet)
    assert isinstance(first, Alert)
    assert isinstance(third, Alert)
    assert second.reason == "bad_field"
    assert "objectId is ''" in second.detail


def test_snappy_blocks_are_read_where_cramjam_is_installed(monkeypatch):
    """The decompressor is played by one that knows literals only; framing, size and checksum are ours."""

    def decompress_raw(data: bytes) -> bytes:
        return data[data.index(b"\xf8") + 4 :]  # after the size: a literal with a length of three bytes

    fake = types.SimpleNamespace(snappy=types.SimpleNamespace(decompress_raw=decompress_raw))
    schema, record = packets.ztf_record("schema_3.3")
    plain = packets.container(schema, [record], sync_marker=b"s" * 16)
    payload = plain[plain.index(b"s" * 16) + 16 :]
    payload = payload[payload.index(b"\x063.3") :][:-16]
    size, left = bytearray(), len(payload)
    while left > 0x7F:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    body = bytes([*size, left, 0xF8]) + (len(payload) - 1).to_bytes(3, "little") + payload
    block = body + zlib.crc32(payload).to_bytes(4, "big")
    header = plain[: plain.index(b"s" * 16)].replace(b"avro.codec\x08null", b"avro.codec\x0csnappy")

    def packed(block: bytes) -> bytes:
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, "long", 1)
        fastavro.schemaless_writer(stream, "bytes", block)
        return header + b"s" * 16 + stream.getvalue() + b"s" * 16

    monkeypatch.setitem(sys.modules, "cramjam", fake)
    assert packets.only_alert(packed(block)).object_id == record["objectId"]
    (damaged,) = Decoder().decode(packed(block[:-1] + bytes([block[-1] ^ 1])))
    assert (damaged.reason, damaged.detail) == ("bad_avro", "snappy block: its checksum does not match")
    (huge,) = Decoder().decode(packed(b"\xff\xff\xff\xff\x0f" + block))
    assert huge.reason == "too_large"
    monkeypatch.setitem(sys.modules, "cramjam", None)  # as if it were not installed
    (missing,) = Decoder().decode(packed(block))
    assert missing.reason == "unsupported_codec"
    assert "cramjam" in missing.detail


# ---- registry framing


@pytest.mark.parametrize("schema_id", packets.LSST_IDS)
def test_every_bundled_schema_decodes_framed(schema_id):
    """Twice, because the second time is by scan; ids at the end of 64 bits."""
    largest = 2**63 - 1
    schema, record = packets.lsst_record(
        schema_id, diaSourceId=largest, psfFlux=50.0, psfFluxErr=2.0, scienceFlux=1000.0, scienceFluxErr=3.0
    )
    record["diaObject"]["diaObjectId"] = largest - 1
    packet = packets.framed(schema, schema_id, record)
    decoder = Decoder()
    first, second = packets.only_alert(packet, decoder), packets.only_alert(packet, decoder)
    packets.assert_same(first, second)
    assert first.object_id == "9223372036854775806"
    assert first.alert_id == "9223372036854775807"
    assert first.schema_version == f"{schema_id // 100}.{schema_id % 100}"
    assert (first.ra, first.dec) == (10.5, -20.25)
    assert first.sources.shape == (1, 11)
    assert first.sources[0, 0] == 60900.25
    assert decoder._readers[schema_id].scan is not None


def test_the_versions_that_lsst_has_published_are_bundled():
    assert {704, 800, 900, 1000, 1100} <= set(packets.LSST_IDS)


@pytest.mark.parametrize("name", ["fakeAlert_v9_0", "fakeAlert_v11_0", "fakeAlert_v7_4"])
def test_a_sample_reads_the_same_in_either_framing(name):
    packet = packets.lsst_files()[name]
    schema, (record,) = packets.records_of(packet)
    major, minor = name.removeprefix("fakeAlert_v").split("_")
    schema_id = 100 * int(major) + int(minor)
    packets.assert_same(
        packets.only_alert(packet), packets.only_alert(packets.framed(schema, schema_id, record))
    )


def test_an_unknown_schema_id_is_named():
    (found,) = Decoder().decode(struct.pack(">bI", 0, 1234) + b"\x00" * 50)
    assert found.reason == "unknown_schema"
    assert "1234" in found.detail
    assert "12.34" in found.detail


def test_a_framed_packet_that_lost_its_end_is_noticed():
    """The stamps come last and are not read: their loss must show all the same."""
    schema, record = packets.lsst_record(900)
    record["cutoutTemplate"] = b"stamp" * 100
    packet = packets.framed(schema, 900, record)
    decoder = Decoder()
    packets.only_alert(packet, decoder)
    for _ in range(2):
        (found,) = decoder.decode(packet[:-7])
        assert found.reason == "truncated"
        (found,) = decoder.decode(packet + b"more")
        assert found.reason == "trailing_bytes"


# ---- bytes that are no alert


def test_messages_without_an_alert_have_a_reason():
    decoder = Decoder()
    schema, _ = packets.ztf_record("schema_3.3")
    cases = {
        "empty": [None, b"", packets.container(schema, [])],
        "wrong_framing": [b"\x00\x00", b"{}", b'{"objectId": 1}', b"\xff" * 100, b"Obj\x02...."],
        "unknown_schema": [b"\x00" * 5, b"\x00" * 100, packets.container("string", ["x"])],
        "truncated": [b"Obj\x01", b"Obj\x01\x04\x16avro", packets.ztf_archive()[0][:-1]],
        "bad_header": [
            b"Obj\x01\x00" + b"s" * 16,
            b"Obj\x01\x02\x16avro.schema\x02{\x00" + b"s" * 16,
            b"Obj\x01\x02\x16avro.schema\x041 \x00" + b"s" * 16,
        ],
        "bad_avro": [b"Obj\x01\x02\x01x\x00", b"Obj\x01" + b"\xff" * 50],
    }
    for reason, many in cases.items():
        for data in many:
            (found,) = decoder.decode(data)
            assert isinstance(found, Malformed)
            assert found.reason == reason, (data[:20] if data else data, found)
            assert found.detail
            assert "\n" not in found.detail


def test_an_unsupported_codec_is_named():
    packet = packets.ztf_archive()[0].replace(b"avro.codec\x08null", b"avro.codec\x08zstd")
    (found,) = Decoder().decode(packet)
    assert found.reason == "unsupported_codec"
    assert "'zstd'" in found.detail


def hostile(extra: object, payload: bytes) -> bytes:
    """Return a container whose schema passes for ZTF's and holds one more field, first."""
    fields = [{"name": "extra", "type": extra}]
    fields += [{"name": name, "type": "long"} for name in ("objectId", "candid", "candidate")]
    text = json.dumps({"type": "record", "name": "alert", "fields": fields})
    stream = io.BytesIO()
    stream.write(b"Obj\x01\x02")
    fastavro.schemaless_writer(stream, "string", "avro.schema")
    fastavro.schemaless_writer(stream, "string", text)
    stream.write(b"\x00" + b"s" * 16)
    fastavro.schemaless_writer(stream, "long", 1)
    fastavro.schemaless_writer(stream, "bytes", payload)
    return stream.getvalue() + b"s" * 16


def doubling(depth: int) -> object:
    """Return a record of two records of two records ...: 2^depth values by name, little text."""
    leaf: object = "long"
    for level in range(depth):
        name = f"r{level}"
        first = {"type": "record", "name": name, "fields": []}
        first["fields"] = [
            {"name": "a", "type": leaf},
            {"name": "b", "type": f"r{level - 1}" if level else leaf},
        ]
        leaf = first
    return leaf


def nested_arrays(depth: int) -> object:
    kind: object = "long"
    for _ in range(depth):
        kind = {"type": "array", "items": kind}
    return kind


@pytest.mark.parametrize(
    ("extra", "payload"),
    [
        (
            {"type": "record", "name": "R", "fields": [{"name": "n", "type": ["null", "R"]}]},
            b"\x02" * MEGABYTE,
        ),
        ({"type": "array", "items": "null"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"),
        (
            {"type": "array", "items": {"type": "record", "name": "E", "fields": []}},
            b"\xfe\xff\xff\xff\xff\x7f",
        ),
        ({"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}, b"\xfe\xff\xff\xff\xff\x7f"),
        (doubling(20), b"\x00" * 100),
        (nested_arrays(500), b"\x02" * 5000),
    ],
    ids=["recursive", "array of null", "array of nothing", "array of fixed 0", "doubling", "nested"],
)
def test_dangerous_schemas_are_refused_before_they_are_read_with(extra, payload):
    """The first of them ends a process that reads it with fastavro, the others fill the memory."""
    with small_memory():
        (found,) = Decoder().decode(hostile(extra, payload))
    assert found.reason == "unsafe_schema", found


def test_a_deflate_bomb_is_refused():
    schema, _ = packets.ztf_record("schema_3.3")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeeze.compress(bytes(64 * MEGABYTE)) + squeeze.flush()
    empty = packets.container(schema, [], codec="deflate", sync_marker=b"s" * 16)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, "long", 1)
    fastavro.schemaless_writer(stream, "bytes", bomb)
    with small_memory(80):
        (found,) = Decoder().decode(empty + stream.getvalue() + b"s" * 16)
    assert found.reason == "too_large"


def test_only_one_block_is_held():
    """Twenty blocks, each allowed by itself: half a megabyte on the wire, half a gigabyte in memory."""
    schema, _ = packets.ztf_record("schema_3.3")
    packet = packets.container(schema, [], codec="deflate", sync_marker=b"s" * 16)
    with small_memory(80):
        (found,) = Decoder().decode(packet + block_of(bytes(30 * MEGABYTE), 1) * 20)
    assert isinstance(found, Malformed)


def test_blocks_share_one_bound(monkeypatch):
    """Sound and equal alerts deflate to nothing, block after block."""
    monkeypatch.setattr(container, "MAX_BLOCK_BYTES", MEGABYTE)
    schema, record = packets.ztf_record("schema_3.3")
    small = {**record, "prv_candidates": None, "cutoutScience": None}
    small |= {"cutoutTemplate": None, "cutoutDifference": None}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema, {}), small)
    block = block_of(stream.getvalue() * 1000, 1000)
    packet = packets.container(schema, [], codec="deflate", sync_marker=b"s" * 16)
    assert len(Decoder().decode(packet + block)) == 1000
    (found,) = Decoder().decode(packet + block * 20)
    assert found.reason == "too_large"


def test_more_records_than_a_worker_could_read_in_time_are_refused():
    """Blank records: a few kB of them, deflated, would keep a worker busy for minutes."""
    schema, _ = packets.ztf_record("schema_3.3")
    blank = io.BytesIO()
    parsed = fastavro.parse_schema(schema, {})
    fastavro.schemaless_writer(blank, parsed, packets.blank(schema, {"ztf.alert.cutout": None}))
    packet = packets.container(schema, [], codec="deflate", sync_marker=b"s" * 16)
    block = block_of(blank.getvalue() * 4000, 4000)
    assert [entry.reason for entry in Decoder().decode(packet + block * 2)] == ["bad_field"] * 8000
    (found,) = Decoder().decode(packet + block * 3)
    assert (found.reason, found.detail) == ("too_large", "12000 records declared, at most 10000")


def block_of(plain: bytes, count: int) -> bytes:
    """Return a deflated block that declares so many records."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, "long", count)
    fastavro.schemaless_writer(stream, "bytes", squeeze.compress(plain) + squeeze.flush())
    return stream.getvalue() + b"s" * 16


@pytest.mark.parametrize("error", [MemoryError, RecursionError, OverflowError, KeyError])
def test_whatever_the_avro_library_raises_becomes_a_reason(monkeypatch, error):
    def raising(*_: object, **__: object) -> None:
        raise error("from the library")

    packet = packets.ztf_archive()[0]
    monkeypatch.setattr(fastavro, "schemaless_reader", raising)
    (found,) = Decoder(scan=False).decode(packet)
    assert found.reason == "bad_avro"
    assert error.__name__ in found.detail


class small_memory:  # noqa: N801 - used as a statement
    """Fails when Python's memory grows by more than some megabytes within."""

    def __init__(self, megabytes: int = 48) -> None:
        self._limit = megabytes * MEGABYTE

    def __enter__(self) -> None:
        tracemalloc.start()

    def __exit__(self, kind: object, *_: object) -> None:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if kind is None:
            assert peak < self._limit, f"{peak / MEGABYTE:.0f} MiB at the peak"


_WARM = Decoder()
_COLD = Decoder(scan=False)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_damage_to_a_packet_raises_or_fills_the_memory(data):
    """Cut it, overwrite bytes anywhere (in lengths, too), repeat pieces: a value comes back, always."""
    schema, record = packets.lsst_record(1000, diaSourceId=5)
    record["diaObject"]["diaObjectId"] = 7
    small = packets.framed(schema, 1000, record)
    packet = data.draw(
        st.sampled_from([packets.ztf_archive()[3], packets.ztf_files()["v4_2475433850015015022"], small])
    )
    for decoder in (_WARM, _WARM):
        decoder.decode(packet)
    damaged = bytearray(packet[: data.draw(st.one_of(st.just(len(packet)), st.integers(0, len(packet))))])
    for _ in range(data.draw(st.integers(0, 4))):
        if damaged:
            # Half of the hits among the record's first bytes, where names, counts and lengths are.
            start = max(0, packet.find(b"avro.codec"))
            near = st.integers(0, min(len(damaged) - 1, start + 9000))
            position = data.draw(st.one_of(near, st.integers(0, len(damaged) - 1)))
            piece = data.draw(st.one_of(st.binary(min_size=1, max_size=10), st.just(b"\xff" * 9 + b"\x01")))
            damaged[position : position + len(piece)] = piece
    with small_memory():
        for decoder in (_WARM, _COLD):
            found = decoder.decode(bytes(damaged))
            assert found
            assert all(isinstance(entry, (Alert, Malformed, Rejected)) for entry in found)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"Obj\x01", struct.pack(">bI", 0, 900)]))
def test_random_bytes_are_malformed(data, start):
    for entry in _WARM.decode(start + data):
        assert isinstance(entry, (Malformed, Rejected))
        assert not isinstance(entry, Alert)


def test_missing_values_are_nan_and_nothing_else():
    for packet in packets.real_packets():
        alert = packets.only_alert(packet)
        for table in (alert.sources, alert.forced):
            assert table.dtype == np.float64
            assert not np.isinf(table).any()
            assert not np.isin(table, [-99999.0, -999.0, 99.0]).any()
