"""What goes into a translation, and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from broker_plugin.records.annotation import Annotation

Headers = tuple[tuple[str, bytes], ...]

FILTER_OUTCOME = "filter_outcome"
"""Name of the field that marks what does not pass its reader's filters any more; a match does not have it."""

NO_LONGER_PASSES = "no_longer_passes"
"""What the field says then."""


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
    no_longer_passes : bool
        It is no match: it revises one that its reader was given, and is sent so that the reader knows.
    """

    kind: str
    record: dict[str, Any]
    annotation: Annotation
    consumed_at_ms: int | None = None
    no_longer_passes: bool = False


@dataclass(frozen=True, slots=True)
class Translated:
    """A record as a consumer takes it; its key is that of the publication, survey/object."""

    value: bytes
    headers: Headers = ()


def marked(record: dict[str, Any], no_longer_passes: bool) -> dict[str, Any]:
    """Return a record that tells by a field of its own that it is no match; a match stays as it is."""
    return {**record, FILTER_OUTCOME: NO_LONGER_PASSES} if no_longer_passes else record


class Format(Protocol):
    """A translation into one consumer's records."""

    def translate(self, publication: Publication) -> Translated:
        """Return the consumer's record; equal publications give equal bytes.

        Raises
        ------
        ValueError
            The record cannot be said in this format.
        """
