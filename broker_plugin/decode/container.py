"""Read the frame of an Avro object container: metadata, sync marker, blocks.

fastavro reads containers, too, but parses the embedded schema (27 KB for ZTF) for each message.
Here the header is only measured; its bytes are the key under which the parsed schema is cached.
"""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from broker_plugin.decode.alert import MalformedError, Reason
from broker_plugin.decode.framing import CONTAINER_MAGIC
from broker_plugin.decode.wire import read_long, skip_bytes

MAX_BLOCK_BYTES = 32 * 2**20
"""A decompressed block may not be larger: room for 400 of the largest packets, and no memory bomb."""

MAX_INFLATION = 32
"""All blocks of a container together, by its size, beyond one block: alerts shrink to a third at best."""

MAX_RECORDS = 10_000
"""In one container. A packet holds one; a few kB of deflated zeros can hold enough for minutes of work."""

_SYNC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a container, decompressed: so many records, one after the other."""

    count: int
    payload: bytes


def header_end(data: bytes) -> int:
    """Return the position after the metadata, where the sync marker starts.

    Raises
    ------
    MalformedError
        ``truncated`` or ``bad_avro``.
    """
    position = len(CONTAINER_MAGIC)
    while True:
        count, position = read_long(data, position)
        if count == 0:
            return position
        if count < 0:
            count = -count
            _, position = read_long(data, position)
        for _ in range(2 * count):  # ends in MalformedError at the end of the data, whatever the count
            position = skip_bytes(data, position)


def read_metadata(data: bytes) -> dict[str, bytes]:
    """Read the metadata of a container whose header :func:`header_end` has measured."""
    metadata: dict[str, bytes] = {}
    position = len(CONTAINER_MAGIC)
    while True:
        count, position = read_long(data, position)
        if count == 0:
            return metadata
        if count < 0:
            count = -count
            _, position = read_long(data, position)
        for _ in range(count):
            key, position = _read_bytes(data, position)
            value, position = _read_bytes(data, position)
            metadata[key.decode("utf-8", "replace")] = value


def embedded_schema(metadata: dict[str, bytes]) -> tuple[Any, str]:
    """Return the writer's schema as JSON values, and the codec's name.

    Raises
    ------
    MalformedError
        ``bad_header`` where there is no schema or it is not JSON.
    """
    text = metadata.get("avro.schema")
    if text is None:
        raise MalformedError(
            Reason.BAD_HEADER, f"no avro.schema in the metadata; found {sorted(metadata)[:8]}"
        )
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError(Reason.BAD_HEADER, f"avro.schema is not JSON: {_one_line(error)}") from error
    return schema, metadata.get("avro.codec", b"null").decode("utf-8", "replace")


def read_blocks(data: bytes, header: int, codec: str) -> Iterator[Block]:
    """Cut a container into its blocks, checking every length and sync marker; one block is held at a time.

    Parameters
    ----------
    data : bytes
        The whole container.
    header : int
        What :func:`header_end` returned.
    codec : str
        ``"null"``, ``"deflate"`` or ``"snappy"``.

    Raises
    ------
    MalformedError
        ``truncated``, ``bad_avro``, ``too_large`` or ``unsupported_codec``.
    """
    decompress = _CODECS.get(codec)
    if decompress is None:
        raise MalformedError(Reason.UNSUPPORTED_CODEC, f"codec {codec!r}; expected one of {sorted(_CODECS)}")
    position = header + _SYNC_BYTES
    sync = data[header:position]
    if len(sync) < _SYNC_BYTES:
        raise MalformedError(Reason.TRUNCATED, f"the data end at byte {len(data)}, within the sync marker")
    allowed, records = MAX_BLOCK_BYTES + MAX_INFLATION * len(data), 0
    while position < len(data):
        count, position = read_long(data, position)
        start = read_long(data, position)[1]
        end = skip_bytes(data, position)
        position = end + _SYNC_BYTES
        if position > len(data):
            raise MalformedError(
                Reason.TRUNCATED, f"the data end at byte {len(data)}, before the sync marker"
            )
        if data[end:position] != sync:
            raise MalformedError(Reason.BAD_AVRO, f"no sync marker at byte {end}: a length is wrong")
        payload = decompress(data[start:end])
        allowed -= len(payload)
        if allowed < 0:
            detail = f"{len(data)} bytes inflate to more than {MAX_INFLATION} times as many"
            raise MalformedError(Reason.TOO_LARGE, detail)
        if not 0 <= count <= len(payload):
            raise MalformedError(
                Reason.BAD_AVRO, f"{count} records declared in a block of {len(payload)} bytes"
            )
        records += count
        if records > MAX_RECORDS:
            raise MalformedError(Reason.TOO_LARGE, f"{records} records declared, at most {MAX_RECORDS}")
        yield Block(count, payload)


def _stored(payload: bytes) -> bytes:
    return payload


def _deflate(payload: bytes) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)  # raw deflate, as the Avro specification says
    try:
        plain = inflater.decompress(payload, MAX_BLOCK_BYTES)
    except zlib.error as error:
        raise MalformedError(Reason.BAD_AVRO, f"deflate block: {error}") from error
    if inflater.unconsumed_tail:
        raise MalformedError(Reason.TOO_LARGE, f"a block inflates to more than {MAX_BLOCK_BYTES} bytes")
    if not inflater.eof:
        raise MalformedError(Reason.TRUNCATED, "deflate block ends early")
    return plain


def _snappy(payload: bytes) -> bytes:
    try:
        raw_snappy = importlib.import_module("cramjam").snappy
    except ImportError as error:
        msg = "codec 'snappy' needs the package cramjam; install it, then re-drive the dead letters"
        raise MalformedError(Reason.UNSUPPORTED_CODEC, msg) from error
    body, checksum = payload[:-4], payload[-4:]
    size = _plain_varint(body)
    if size > MAX_BLOCK_BYTES:
        raise MalformedError(Reason.TOO_LARGE, f"a block declares {size} bytes; at most {MAX_BLOCK_BYTES}")
    try:
        plain = bytes(raw_snappy.decompress_raw(body))
    except Exception as error:  # cramjam's error class is not part of its documented interface
        raise MalformedError(Reason.BAD_AVRO, f"snappy block: {_one_line(error)}") from error
    if zlib.crc32(plain).to_bytes(4, "big") != checksum:
        raise MalformedError(Reason.BAD_AVRO, "snappy block: its checksum does not match")
    return plain


def _plain_varint(data: bytes) -> int:
    """Read snappy's preamble, the decompressed size: a varint without zig-zag."""
    size = 0
    for index, byte in enumerate(data[:5]):
        size |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return size
    raise MalformedError(Reason.BAD_AVRO, "snappy block: no size at its start")


def _read_bytes(data: bytes, position: int) -> tuple[bytes, int]:
    end = skip_bytes(data, position)
    return data[read_long(data, position)[1] : end], end


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:200]


_CODECS: dict[str, Callable[[bytes], bytes]] = {"null": _stored, "deflate": _deflate, "snappy": _snappy}
