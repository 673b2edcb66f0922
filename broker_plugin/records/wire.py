"""Avro's variable-length numbers, where records are read without fastavro."""

from __future__ import annotations

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
    IndexError
        The data end within the number.
    OverflowError
        It is longer than 64 bits.
    """
    byte = data[position]
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), position + 1
    value = byte & 0x7F
    shift = 7
    for index in range(position + 1, position + _LONGEST_VARINT):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return (value >> 1) ^ -(value & 1), index + 1
        shift += 7
    msg = f"the number at byte {position} is longer than 64 bits"
    raise OverflowError(msg)
