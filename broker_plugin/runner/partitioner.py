"""Kafka's own choice of a partition for a key, so that every writer of a topic agrees on it.

The Java client's murmur2, the same that librdkafka uses with ``partitioner=murmur2_random``; checked
against the real client by the contract suite.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFF
_M = 0x5BD1E995  # the multiplier and the shift of murmur2, by its author
_SEED = 0x9747B28C  # org.apache.kafka.common.utils.Utils.murmur2


def murmur2(data: bytes) -> int:
    """Return Kafka's 32-bit murmur2 of some bytes, unsigned."""
    length = len(data)
    h = _SEED ^ length
    tail_at = length & ~3
    for i in range(0, tail_at, 4):
        k = (int.from_bytes(data[i : i + 4], "little") * _M) & _MASK
        k = ((k ^ (k >> 24)) * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if tail_at < length:
        h = ((h ^ int.from_bytes(data[tail_at:], "little")) * _M) & _MASK
    h = ((h ^ (h >> 13)) * _M) & _MASK
    return h ^ (h >> 15)


def partition_for(key: bytes, partitions: int) -> int:
    """Return the partition of a key in a topic with so many partitions."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
