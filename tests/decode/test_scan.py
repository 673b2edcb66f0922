"""The scan against fastavro: whatever a record holds, both read the same or the scan gives up."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker_plugin.decode import Alert, Decoder
from tests.decode import packets


def value_of(data: st.DataObject, schema: object, named: dict) -> object:
    """Draw a value of a type, missing ones and extremes included."""
    if isinstance(schema, list):
        return value_of(data, data.draw(st.sampled_from(schema)), named)
    if isinstance(schema, dict):
        if schema["type"] == "record":
            return {field["name"]: value_of(data, field["type"], named) for field in schema["fields"]}
        if schema["type"] == "array":
            return [value_of(data, schema["items"], named) for _ in range(data.draw(st.integers(0, 2)))]
        return value_of(data, schema["type"], named)
    if schema in named:
        return value_of(data, named[schema], named)
    return data.draw(PRIMITIVES[schema])


PRIMITIVES = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.one_of(st.integers(0, 3), st.integers(-(2**31), 2**31 - 1)),
    "long": st.one_of(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1)),
    "float": st.one_of(
        st.sampled_from([-99999.0, -999.0, 0.0, 99.0, 100.0, float("nan"), 18.5]), st.floats(width=32)
    ),
    "double": st.one_of(st.floats(0.0, 90.0), st.floats()),
    "string": st.one_of(st.sampled_from(["t", "f", "0", "57", "r", "é", ""]), st.text(max_size=140)),
    "bytes": st.binary(max_size=20),
}


@settings(max_examples=40, deadline=None)
@given(data=st.data(), version=st.sampled_from(["schema_3.3", "v4_2475433850215010008", "lsst"]))
def test_scan_and_whole_decode_agree_on_any_record(data, version):
    """All-null, all-present, sentinels, long strings and many codes; both positions of null in a union."""
    if version == "lsst":
        schema, record = packets.lsst_record(1100)
        named, parts = schema["__named_schemas"], ("diaSource", "prvDiaSources", "prvDiaForcedSources")
    else:
        schema, record = packets.ztf_record(version)
        named, parts = {}, ("candidate", "prv_candidates", "fp_hists")
    for field in schema["fields"]:
        if field["name"] in parts:
            record[field["name"]] = value_of(data, copy.deepcopy(field["type"]), named)
    packet = packets.container(schema, [record], sync_marker=b"s" * 16)
    scanning, whole = _decoders(version)
    scanning.decode(packet)
    (one,), (other,) = scanning.decode(packet), whole.decode(packet)
    packets.assert_same(one, other)


_KEPT: dict[str, tuple[Decoder, Decoder]] = {}


def _decoders(version: str) -> tuple[Decoder, Decoder]:
    return _KEPT.setdefault(version, (Decoder(), Decoder(scan=False)))


@pytest.mark.parametrize(
    ("name", "value"),
    [("procstatus", "56,63"), ("procstatus", "255"), ("procstatus", None), ("procstatus", "x" * 200)],
)
def test_codes_of_any_length_read_alike(name, value):
    schema, record = packets.ztf_record()
    record["fp_hists"][0][name] = value
    packet = packets.container(schema, [record])
    scanning = Decoder()
    first, second = packets.only_alert(packet, scanning), packets.only_alert(packet, scanning)
    packets.assert_same(first, second)
    expected = {"56,63": -1.0, "255": 255.0, None: np.nan}.get(value, -1.0)
    np.testing.assert_equal(second.forced[0, -1], expected)


@pytest.mark.parametrize("name", ["objectId", "candidate", "prv_candidates", "fp_hists", "schemavsn"])
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("bytes", b"x"),
        ({"type": "array", "items": "int"}, []),
        (
            {"type": "record", "name": "other", "fields": [{"name": "stampData", "type": "bytes"}]},
            {"stampData": b""},
        ),
        ("double", 1.5),
        (["null", "string"], "x"),
    ],
    ids=["bytes", "array", "stamp", "double", "text"],
)
def test_a_wanted_field_of_another_type_reads_alike(name, kind, value):
    """Whoever writes such packets: the first of them and the later ones must be judged alike."""
    schema, record = packets.ztf_record()
    field = next(field for field in schema["fields"] if field["name"] == name)
    field["type"], record[name] = copy.deepcopy(kind), value
    field.pop("default", None)
    packet = packets.container(schema, [record])
    scanning = Decoder()
    for _ in range(3):
        (one,), (other,) = scanning.decode(packet), Decoder(scan=False).decode(packet)
        packets.assert_same(one, other)


def test_text_that_is_not_utf8_reads_alike():
    """Damage in a text that nobody asked for costs nothing, whether the schema is known yet or not."""
    schema, record = packets.ztf_record()
    packet = packets.container(schema, [record])
    name = record["candidate"]["pdiffimfilename"].encode()
    damaged = packet.replace(name, b"\xff" + name[1:])
    assert damaged != packet
    scanning = Decoder()
    first, second = (packets.only_alert(damaged, scanning) for _ in range(2))
    packets.assert_same(first, second)
    packets.assert_same(first, packets.only_alert(packet))


def test_a_schema_without_the_known_shape_is_read_by_fastavro_throughout():
    """A map between the fields is no regular shape; the alert must come out all the same."""
    schema, record = packets.ztf_record()
    schema["fields"].insert(0, {"name": "extra", "type": {"type": "map", "values": "int"}})
    record["extra"] = {"a": 1}
    packet = packets.container(schema, [record])
    decoder = Decoder()
    for _ in range(3):
        assert isinstance(decoder.decode(packet)[0], Alert)
    (reader,) = decoder._readers.values()
    assert reader.scan is None


def test_arrays_in_blocks_with_a_size_are_scanned():
    """Avro allows a negative count followed by the block's size in bytes."""
    schema, record = packets.lsst_record(900, scienceFlux=1.0)
    record["prvDiaSources"] = [copy.deepcopy(record["diaSource"]) for _ in range(2)]
    packet = packets.framed(schema, 900, record)
    packed = packets.framed(schema, 900, {**record, "prvDiaSources": None})
    start = next(i for i in range(len(packed)) if packed[i] != packet[i])  # the index of the union
    length = (len(packet) - len(packed) - 2) // 2  # bytes of an item: index, count, items, end against index
    items = packet[start + 2 : start + 2 + 2 * length]
    sized = packet[: start + 1] + b"\x03" + _long(2 * length) + items + packet[start + 2 + 2 * length :]
    decoder = Decoder()
    expected = packets.only_alert(packet, decoder)
    for _ in range(2):
        packets.assert_same(packets.only_alert(sized, decoder), expected)
    assert decoder._readers[900].scan.read(sized[5:], 0) is not None


def _long(value: int) -> bytes:
    value, out = value << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
