"""A record that could not be used: kept whole, with the reason, so that nothing is lost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An input record that a stage could not use.

    Attributes
    ----------
    stage : str
        ``"ingest"``, ``"accumulate"``, ``"score"``, ``"deliver"``, ``"deliver-novelties"``,
        ``"deliver-objects"`` or ``"forward-<output>"``.
    reason : str
        One of a small fixed set of words with underscores, fit for a metric's label.
    detail : str
        One line for a person: what was found, what was expected.
    topic, partition, offset
        Where the record was read.
    timestamp_ms : int
        The record's Kafka timestamp.
    key, value : bytes or None
        As read.
    headers : tuple of (str, bytes)
        As read.
    """

    stage: str
    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
