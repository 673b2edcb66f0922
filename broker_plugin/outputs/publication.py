"""What goes into a translation, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from broker_plugin.records.annotation import Annotation

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Publication:
    """A record of ``classifications`` or ``novelties``, read.

    Attributes
    ----------
    kind : str
        ``"classification"`` or ``"novelty"``.
    record : dict
        As decoded by its schema.
    annotation : Annotation
        The same, typed.
    consumed_at_ms : int or None
        When the alert behind it was read from the survey, milliseconds since 1970; None where nobody told.
    """

    kind: str
    record: dict[str, Any]
    annotation: Annotation
    consumed_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Translated:
    """A record as a consumer takes it; its key is that of the publication, survey/object."""

    value: bytes
    headers: Headers = ()


class Format(Protocol):
    """A translation into one consumer's records."""

    def translate(self, publication: Publication) -> Translated:
        """Return the consumer's record; equal publications give equal bytes.

        Raises
        ------
        ValueError
            The record cannot be said in this format.
        """
