"""The few primitives of Avro's wire format that are read without fastavro."""

from __future__ import annotations

from broker_plugin.decode.alert import MalformedError, Reason

_LONGEST_VARINT = 10  # bytes of a 64-bit zig-zag number


def read_long(data: bytes, position: int) -> tuple[int, int]:
    """Read a zig-zag variable-length number.

    Parameters
    ----------
    data : bytes
    position : int
        Where the number starts.

    Returns
    -------
    value : int
        Within 64 bits, signed.
    position : int
        Just after the number.

    Raises
    ------
    MalformedError
        ``truncated`` when the data end within the number, ``bad_avro`` when it is longer than 64 bits.
    """
    value = 0
    shift = 0
    for index in range(position, min(position + _LONGEST_VARINT, len(data))):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return (value >> 1) ^ -(value & 1), index + 1
        shift += 7
    if position + _LONGEST_VARINT > len(data):
        raise MalformedError(Reason.TRUNCATED, f"the data end at byte {len(data)}, within a number")
    raise MalformedError(Reason.BAD_AVRO, f"the number at byte {position} is longer than 64 bits")


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
