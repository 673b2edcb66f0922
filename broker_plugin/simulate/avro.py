"""Write Avro records fast: headers once per schema, packets put together from parts already encoded.

The Avro encoding of a record is the encodings of its fields, one after the other. An entry of an
alert's history is therefore encoded once and copied into each of the packets that repeat it, and a
container's header (the schema is most of it) is made once instead of once per packet.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro

_NULL_BRANCH = b"\x00"
_VALUE_BRANCH = b"\x02"  # zig-zag 1: in ["null", X] the second branch
_SYNC_BYTES = 16


def encode_long(value: int) -> bytes:
    """Return the zig-zag variable-length encoding of a 64-bit number."""
    rest = (value << 1) ^ (value >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append((rest & 0x7F) | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def encode_bytes(value: bytes) -> bytes:
    """Return the encoding of a byte sequence."""
    return encode_long(len(value)) + value


def encode_string(value: str) -> bytes:
    """Return the encoding of a string."""
    return encode_bytes(value.encode())


def encode_array(items: Sequence[bytes]) -> bytes:
    """Return the encoding of an array of items that are already encoded."""
    if not items:
        return b"\x00"
    return encode_long(len(items)) + b"".join(items) + b"\x00"


def optional(encoded: bytes | None) -> bytes:
    """Return the encoding of a union of null and one type."""
    return _NULL_BRANCH if encoded is None else _VALUE_BRANCH + encoded


class RecordEncoder:
    """Encodes records of one schema, without a container.

    Parameters
    ----------
    schema : dict
        A complete record schema, as JSON values.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = fastavro.parse_schema(dict(schema))

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return the encoding; a value that does not fit the schema raises ValueError or TypeError."""
        buffer = io.BytesIO()
        fastavro.schemaless_writer(buffer, self._schema, record)
        return buffer.getvalue()


class RecordAssembler:
    """Puts a record together from its encoded fields, in the order of its schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._fields = [(field["name"], _is_optional(field["type"])) for field in schema["fields"]]

    def assemble(self, fields: Mapping[str, bytes]) -> bytes:
        """Return the record's encoding; an optional field that is absent becomes null."""
        return b"".join(
            optional(fields.get(name)) if is_optional else fields[name] for name, is_optional in self._fields
        )


class ContainerFrame:
    """The frame of an object container file that holds one record."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        text = json.dumps(schema, separators=(",", ":")).encode()
        # A container's sync marker may be anything; taken from the schema, equal input gives equal files.
        self._sync = hashlib.sha256(text).digest()[:_SYNC_BYTES]
        metadata = encode_string("avro.schema") + encode_bytes(text)
        metadata += encode_string("avro.codec") + encode_bytes(b"null")
        self._head = b"Obj\x01" + encode_long(2) + metadata + b"\x00" + self._sync + encode_long(1)

    def wrap(self, record: bytes) -> bytes:
        """Return the file's bytes around an encoded record."""
        return b"".join((self._head, encode_long(len(record)), record, self._sync))


class RegistryFrame:
    """Confluent's wire format: a zero byte, the schema's id in four bytes, the record."""

    def __init__(self, schema_id: int) -> None:
        self._head = b"\x00" + schema_id.to_bytes(4, "big")

    def wrap(self, record: bytes) -> bytes:
        """Return the message's bytes around an encoded record."""
        return self._head + record


def _is_optional(schema: Any) -> bool:
    return isinstance(schema, list) and schema[0] == "null"
