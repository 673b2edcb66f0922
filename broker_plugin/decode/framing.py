"""How the bytes of a message are framed: object container, registry framing, or neither.

ZTF publishes Avro object container files; LSST publishes Confluent's wire format, and the same
records lie on disk as object containers.
"""

from __future__ import annotations

import struct

from broker_plugin.decode.alert import MalformedError, Reason

CONTAINER_MAGIC = b"Obj\x01"
_REGISTRY_HEADER = struct.Struct(">bI")  # a zero byte, then the schema's id


def is_container(data: bytes) -> bool:
    """Return whether the data start as an Avro object container file does."""
    return data[:4] == CONTAINER_MAGIC


def split_registry_frame(data: bytes) -> tuple[int, bytes]:
    """Split Confluent's wire format.

    Returns
    -------
    schema_id : int
        Unsigned, 32 bits.
    payload : bytes
        The schemaless Avro record.

    Raises
    ------
    MalformedError
        ``empty`` or ``wrong_framing``.
    """
    if not data:
        raise MalformedError(Reason.EMPTY, "the message has no bytes; expected an alert packet")
    if len(data) < _REGISTRY_HEADER.size or data[0] != 0:
        raise MalformedError(
            Reason.WRONG_FRAMING,
            f"starts with {data[:5].hex(' ')}; expected an Avro object container (4f 62 6a 01) "
            "or the registry's framing (00 and a 4-byte schema id)",
        )
    schema_id: int = _REGISTRY_HEADER.unpack_from(data)[1]
    return schema_id, data[_REGISTRY_HEADER.size :]
