"""Alert packets damaged in every way we could think of, from sound ones, by a seed."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import fastavro
import fastavro.schema

from broker_plugin.decode.container import header_end
from broker_plugin.decode.framing import is_container
from broker_plugin.decode.schema_sources import BundledSchemas
from broker_plugin.simulate.avro import encode_bytes, encode_long, encode_string

MAX_PACKET_BYTES = 950_000  # Kafka's default limit is 1 MiB for a batch

Mutate = Callable[["Packet", random.Random], bytes | None]

_ABSURD_NUMBERS = (
    *(0.0, -0.0, -1.0, 1e-320, -999.0, -99999.0, 99.0, 1e10, -1e10, 3.4e38, 1.7e308, -1.7e308),
    *(float("nan"), float("inf"), float("-inf"), 2458000.5, 60000.0),
)
_ABSURD_INTEGERS = (0, -1, 1, 255, 2**31 - 1, -(2**31))
_ABSURD_LONGS = (*_ABSURD_INTEGERS, 2**63 - 1, -(2**63))
_ABSURD_TEXTS = (
    "",
    "\x00",
    "a/b",
    "../../x",
    "é" * 70,
    "x" * 200,
    "x" * 70_000,
    "ZTF18abcdefg/r",
    "t",
    "57,63",
    "\n",
)
_HUGE = tuple(encode_long(n) for n in (2**20, 2**31, 2**40, 2**62, -1, -(2**31), -(2**62), -(2**63)))
_OVERLONG = b"\xff" * 12 + b"\x01"


class Packet:
    """A sound packet, its schema and its record."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.schema: Any
        if is_container(data):
            self.schema_id: int | None = None
            self.payload_at = header_end(data) + 16
            reader = fastavro.reader(io.BytesIO(data))
            self.schema = json.loads(reader.metadata["avro.schema"])
            self.record: Any = next(reader)
        else:
            self.schema_id = struct.unpack(">bI", data[:5])[1]
            self.payload_at = 5
            self.schema = _plain(BundledSchemas().schema(self.schema_id))
            self.record = fastavro.schemaless_reader(io.BytesIO(data[5:]), self.parsed(), None)

    def parsed(self) -> Any:
        """Return the schema as fastavro wants it."""
        return fastavro.parse_schema(copy.deepcopy(self.schema), {})

    def encoded(self, record: Any) -> bytes:
        """Return another record in this packet's own header or frame, so that decoders know the schema."""
        stream = io.BytesIO()
        fastavro.schemaless_writer(stream, self._once_parsed(), record)
        payload = stream.getvalue()
        if self.schema_id is not None:
            return self.data[:5] + payload
        sync = self.data[self.payload_at - 16 : self.payload_at]
        if b"deflate" in self.data[: self.payload_at]:
            payload = _deflated(payload)
        return self.data[: self.payload_at] + encode_long(1) + encode_bytes(payload) + sync

    def _once_parsed(self) -> Any:
        if not hasattr(self, "_parsed"):
            self._parsed = self.parsed()
        return self._parsed


def mutated(packets: Sequence[Packet], seed: int) -> Iterator[tuple[str, bytes | None]]:
    """Yield damaged packets without end, each with the name of the damage; equal seeds give equal packets."""
    rng = random.Random(seed)
    names, weights = zip(*((mutate, weight) for mutate, weight in _MUTATIONS), strict=True)
    while True:
        mutate = rng.choices(names, weights)[0]
        damaged = mutate(rng.choice(packets), rng)
        if damaged is None or len(damaged) <= MAX_PACKET_BYTES:
            yield mutate.__name__, damaged


# ---- bytes


def bits_of_payload(packet: Packet, rng: random.Random) -> bytes:
    """Flip a few bits behind the header: numbers, lengths, union branches."""
    return _flipped(packet.data, packet.payload_at, len(packet.data), rng)


def bits_of_record_start(packet: Packet, rng: random.Random) -> bytes:
    """Flip a few bits where identity and the alert's own measurement are, not in the cut-outs."""
    return _flipped(packet.data, packet.payload_at, min(packet.payload_at + 600, len(packet.data)), rng)


def bits_of_header(packet: Packet, rng: random.Random) -> bytes:
    """Flip a few bits of the header: metadata, schema, sync marker; or of the schema's id."""
    return _flipped(packet.data, 0, packet.payload_at, rng)


def truncated(packet: Packet, rng: random.Random) -> bytes:
    """Cut the end off."""
    return packet.data[: rng.randrange(len(packet.data))]


def bytes_missing(packet: Packet, rng: random.Random) -> bytes:
    """Take a piece out of the middle."""
    start = rng.randrange(packet.payload_at, len(packet.data))
    return packet.data[:start] + packet.data[start + rng.randint(1, 64) :]


def bytes_inserted(packet: Packet, rng: random.Random) -> bytes:
    """Put foreign bytes into the middle or behind the end."""
    start = rng.choice([len(packet.data), rng.randrange(packet.payload_at, len(packet.data))])
    return packet.data[:start] + rng.randbytes(rng.randint(1, 64)) + packet.data[start:]


def zeroed(packet: Packet, rng: random.Random) -> bytes:
    """Lose a sector: zeros in its place."""
    start = rng.randrange(len(packet.data))
    size = min(512, len(packet.data) - start)
    return packet.data[:start] + bytes(size) + packet.data[start + size :]


def twice(packet: Packet, _: random.Random) -> bytes:
    """Put two packets into one message."""
    return packet.data + packet.data


def huge_length(packet: Packet, rng: random.Random) -> bytes:
    """Make a length or count enormous, negative, or longer than 64 bits."""
    start = rng.randrange(4 if packet.schema_id is None else 5, len(packet.data))
    if rng.random() < 0.7:
        start = rng.randrange(packet.payload_at, min(packet.payload_at + 400, len(packet.data)))
    huge = rng.choice((*_HUGE, _OVERLONG))
    return packet.data[:start] + huge + packet.data[start + 1 :]


def wrong_magic(packet: Packet, rng: random.Random) -> bytes:
    """Begin with another framing, or none that is known."""
    return (
        rng.choice([b"", b"\x00", b"\x00\x00\x00\x04\x4c", b"Obj\x02", b"\xc3\x01", b"{}"]) + packet.data[4:]
    )


def noise(_: Packet, rng: random.Random) -> bytes:
    """Return random bytes, some behind a sound beginning."""
    start = rng.choice([b"", b"Obj\x01", b"\x00\x00\x00\x04\x4c", b"\x00\x00\x00\x03\xe8"])
    return start + rng.randbytes(rng.randrange(3000))


def nothing(_: Packet, rng: random.Random) -> bytes | None:
    """Return no value, or an empty one."""
    return rng.choice([None, b""])


# ---- headers


def header_of_another(packet: Packet, rng: random.Random) -> bytes:
    """Put the payload of one schema under the header of another."""
    if packet.schema_id is not None:
        return (
            struct.pack(">bI", 0, rng.choice([0, 100, 300, 400, 900, 1000, 1001, 1101, 9999, 2**32 - 1]))
            + (packet.data[5:])
        )
    schema = _plain(BundledSchemas().schema(rng.choice([700, 900, 1000])))
    return _header({"avro.schema": json.dumps(schema).encode()}) + packet.data[packet.payload_at - 16 :]


def bad_metadata(packet: Packet, rng: random.Random) -> bytes:
    """Write a header without a schema, with one that is none, or with an unknown codec."""
    text = json.dumps(packet.schema).encode()
    metadata: dict[str, bytes] = rng.choice(
        [
            {},
            {"avro.schema": b""},
            {"avro.schema": text[: rng.randrange(len(text))]},
            {"avro.schema": b'{"type": "record"}'},
            {"avro.schema": b'"string"'},
            {"avro.schema": b"\xff\xfe"},
            {
                "avro.schema": text,
                "avro.codec": rng.choice([b"zstandard", b"snappy", b"deflate", b"", b"\xff"]),
            },
        ]
    )
    return _header(metadata) + packet.data[packet.payload_at - 16 :]


def nested_schema(packet: Packet, rng: random.Random) -> bytes:
    """Nest JSON or types deeper than any stack, or a type in itself."""
    depth = rng.choice([50, 500, 5000, 100_000])
    kind = rng.randrange(4)
    inner: Any
    if kind == 0:
        text = b"[" * depth
    elif kind == 1:
        text = b'{"type":' * depth + b'"int"' + b"}" * depth
    elif kind == 2:
        text = b'{"type":"array","items":' * depth + b'"int"' + b"}" * depth
    else:
        inner = {"type": "record", "name": "N", "fields": [{"name": "n", "type": ["null", "N"]}]}
        schema = {**packet.schema, "fields": [*packet.schema["fields"], {"name": "deep", "type": inner}]}
        text = json.dumps(schema).encode()
    return _header({"avro.schema": text}) + packet.data[-16:] + encode_long(1) + encode_bytes(b"\x02" * 5000)


# ---- records


def absurd_values(packet: Packet, rng: random.Random) -> bytes:
    """Set numbers that no instrument gives, of the record's own types: it decodes, and must be judged."""
    record = copy.deepcopy(packet.record)
    tables = _records_within(record)
    for _ in range(rng.randint(1, 6)):
        table = rng.choice(tables)
        name = rng.choice(list(table))
        _set_absurd(table, name, rng)
    try:
        return packet.encoded(record)
    except (ValueError, OverflowError, struct.error, TypeError):  # not of this field's type after all
        return packet.encoded(packet.record)


def absurd_key_values(packet: Packet, rng: random.Random) -> bytes:
    """Do the same to the fields that everything depends on: who, when, where, how bright."""
    record = copy.deepcopy(packet.record)
    wanted = {
        *("objectId", "candid", "jd", "fid", "ra", "dec", "magpsf", "sigmapsf", "isdiffpos", "magnr"),
        *("diaObjectId", "diaSourceId", "midpointMjdTai", "band", "scienceFlux", "scienceFluxErr"),
        *("forcediffimflux", "forcediffimfluxunc", "magzpsci", "procstatus", "schemavsn"),
    }
    places = [(table, name) for table in _records_within(record) for name in table if name in wanted]
    for table, name in rng.sample(places, min(len(places), rng.randint(1, 4))):
        _set_absurd(table, name, rng)
    try:
        return packet.encoded(record)
    except (ValueError, OverflowError, struct.error, TypeError):
        return packet.encoded(packet.record)


def wrong_types(packet: Packet, rng: random.Random) -> bytes:
    """Change the type of some fields, in the schema and in the record."""
    schema, record = copy.deepcopy(packet.schema), copy.deepcopy(packet.record)
    for _ in range(rng.randint(1, 3)):
        field = rng.choice(schema["fields"])
        kind, value = rng.choice(
            [
                ("string", "x"),
                ("double", 1.5),
                ("null", None),
                ({"type": "array", "items": "int"}, [1, 2]),
                ({"type": "map", "values": "long"}, {"a": 1}),
                ({"type": "fixed", "name": f"f{rng.randrange(10**9)}", "size": 4}, b"abcd"),
                ("bytes", b"\xff\x00"),
                ("boolean", True),
            ]
        )
        field["type"] = kind
        field.pop("default", None)
        record[field["name"]] = value
    try:
        return _written(schema, [record])
    except fastavro.schema.UnknownType:  # a later field uses the type that this one defined
        return wrong_types(packet, rng)


def many_records(packet: Packet, rng: random.Random) -> bytes:
    """Put several alerts into one message, one of them without an id."""
    nameless = {**packet.record, "objectId": ""} if "objectId" in packet.record else packet.record
    records = [packet.record, nameless, packet.record][: rng.randint(2, 3)]
    return _written(packet.schema, records, codec=rng.choice(["null", "deflate"]))


def bomb(packet: Packet, rng: random.Random) -> bytes:
    """Write blocks that are small on the wire and enormous in memory, or declare millions of records."""
    text = json.dumps(packet.schema).encode()
    sync = b"s" * 16
    header = _header({"avro.schema": text, "avro.codec": b"deflate"}) + sync
    size, blocks = rng.choice([(64 << 20, 1), (31 << 20, rng.randint(2, 20)), (1 << 20, 3)])
    block = encode_long(rng.choice([1, 9000, 1 << 20, 2**40])) + encode_bytes(_zeros(size)) + sync
    return header + block * blocks


def too_large(packet: Packet, rng: random.Random) -> bytes:
    """Make it so large that its dead letter does not fit into a message."""
    return packet.data + rng.randbytes(1000) * ((MAX_PACKET_BYTES - len(packet.data)) // 1000)


def sound(packet: Packet, _: random.Random) -> bytes:
    """Leave it sound: the stream goes on between the damaged ones."""
    return packet.data


_MUTATIONS: tuple[tuple[Mutate, float], ...] = (
    (bits_of_payload, 18),
    (bits_of_record_start, 14),
    (bits_of_header, 3),
    (truncated, 8),
    (bytes_missing, 6),
    (bytes_inserted, 6),
    (zeroed, 4),
    (twice, 1),
    (huge_length, 9),
    (wrong_magic, 3),
    (noise, 3),
    (nothing, 1),
    (header_of_another, 2),
    (bad_metadata, 2),
    (nested_schema, 1),
    (absurd_values, 6),
    (absurd_key_values, 6),
    (wrong_types, 1.5),
    (many_records, 1),
    (bomb, 0.1),
    (too_large, 0.1),
    (sound, 5),
)

NAMES = frozenset(mutate.__name__ for mutate, _ in _MUTATIONS)


def _flipped(data: bytes, start: int, end: int, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        damaged[rng.randrange(start, end)] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _records_within(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the record, the records in it, and those in its arrays."""
    found = [record]
    for value in record.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                found.append(item)
    return found


def _set_absurd(table: dict[str, Any], name: str, rng: random.Random) -> None:
    value = table[name]
    if isinstance(value, bool):
        table[name] = not value
    elif isinstance(value, float):
        table[name] = rng.choice(_ABSURD_NUMBERS)
    elif isinstance(value, int):
        table[name] = rng.choice(_ABSURD_LONGS if name.lower().endswith("id") else _ABSURD_INTEGERS)
    elif isinstance(value, str):
        table[name] = rng.choice((*_ABSURD_TEXTS, value + "/r"))
    elif value is None:
        table[name] = rng.choice([1.0, 1, "x", True])
    elif isinstance(value, list):
        table[name] = rng.choice([[], value * 2])


def _plain(schema: Any) -> Any:
    """Return a schema without the marks that fastavro leaves in a parsed one."""
    return {name: value for name, value in schema.items() if not name.startswith("__")}


def _header(metadata: dict[str, bytes]) -> bytes:
    pairs = b"".join(encode_string(name) + encode_bytes(value) for name, value in metadata.items())
    return b"Obj\x01" + (encode_long(len(metadata)) + pairs if metadata else b"") + b"\x00"


def _written(schema: Any, records: list[Any], codec: str = "null") -> bytes:
    stream = io.BytesIO()
    parsed = fastavro.parse_schema(copy.deepcopy(schema), {})
    fastavro.writer(stream, parsed, records, codec=codec)
    return stream.getvalue()


def _deflated(payload: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(payload) + deflater.flush()


_zeros_of: dict[int, bytes] = {}


def _zeros(size: int) -> bytes:
    """Return so many zeros, deflated; a thousandth of it."""
    if size not in _zeros_of:
        _zeros_of[size] = _deflated(bytes(size))
    return _zeros_of[size]
