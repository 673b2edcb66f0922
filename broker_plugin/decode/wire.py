"""The few primitives of Avro's wire format that are read without fastavro."""

from __future__ import annotations

from broker_plugin.decode.alert import MalformedError, Reason
from broker_plugin.records import wire as records_wire


def read_long(data: bytes, position: int) -> tuple[int, int]:
    """Do what :func:`broker_plugin.records.wire.read_long` does, with the errors of a packet.

    Raises
    ------
    MalformedError
        ``truncated`` when the data end within the number, ``bad_avro`` when it is longer than 64 bits.
    """
    try:
        return records_wire.read_long(data, position)
    except IndexError:
        detail = f"the data end at byte {len(data)}, within a number"
        raise MalformedError(Reason.TRUNCATED, detail) from None
    except OverflowError as error:
        raise MalformedError(Reason.BAD_AVRO, str(error)) from None


def skip_bytes(data: bytes, position: int) -> int:
    """Return the position after a length-prefixed string or byte sequence.

    Raises
    ------
    MalformedError
        ``bad_avro`` for a negative length, ``truncated`` when it reaches beyond the data.
    """
    length, start = read_long(data, position)
    if length < 0:
        raise MalformedError(Reason.BAD_AVRO, f"negative length {length} at byte {position}")
    if start + length > len(data):
        left = len(data) - start
        raise MalformedError(Reason.TRUNCATED, f"{length} bytes declared at byte {position}, {left} there")
    return start + length
