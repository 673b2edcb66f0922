"""What is new: the memory of what a reader was given last, one small value an object and band.

Where it is kept is the caller's affair: the deliver stage keeps it in its state, ``subscribe`` while it runs.
What counts as a change is what counts for the annotations' own revisions, with the margins of the defaults:
not every installation publishes changes only, and not every filter lets all of them through.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, Self

from broker_plugin.annotate.changes import Margins, Said, what_changed
from broker_plugin.records.annotation import Annotation

Standing = Literal["passes", "no_longer_passes", "put_aside"]

_MARGINS = Margins()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader was given last.

    Attributes
    ----------
    said : Said
        The verdict in it.
    standing : Standing
        ``"passes"``: as a match, or as the withdrawal of one. ``"no_longer_passes"``: as what does not pass
        any more. ``"put_aside"``: it became a dead letter, so the reader may have it later, or never.
    """

    said: Said
    standing: Standing = "passes"

    @classmethod
    def of(cls, annotation: Annotation, standing: Standing = "passes") -> Self:
        """Return what is to be remembered of an annotation."""
        return cls(Said.of(annotation), standing)

    @property
    def may_be_believed(self) -> bool:
        """Return whether the reader takes the object for a match, or will if a dead letter is redriven."""
        return self.standing == "put_aside" or (self.standing == "passes" and not self.said.withdrawn)

    @property
    def taken_back(self) -> bool:
        """Return whether the reader knows that nothing is said of the object any more."""
        return self.said.withdrawn and self.standing != "put_aside"

    def pack(self) -> bytes:
        """Return it as bytes; equal values give equal bytes."""
        fields = asdict(self.said)
        if self.standing != "passes":  # else the bytes are those of earlier versions, which had no other
            fields["standing"] = self.standing
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return what :meth:`pack` packed, now or in an earlier version."""
        fields = json.loads(packed)
        standing: Standing = fields.pop("standing", "passes")
        return cls(Said(**fields), standing)


def is_news(annotation: Annotation, seen: Seen | None) -> bool:
    """Return whether an annotation that passes says something that its reader does not know.

    Parameters
    ----------
    annotation : Annotation
    seen : Seen or None
        What the reader was given last of the same object and band; None if nothing was. Then a withdrawal is
        no news: who was told nothing need not be told that it does not hold. Nor is ever what came late: the
        annotation in force stays.
    """
    if "late" in annotation.changes:
        return False
    if annotation.withdrawn:
        return seen is not None and not seen.taken_back
    if seen is None or seen.said.withdrawn or seen.standing != "passes":
        return True
    return bool(what_changed(annotation, seen.said, _MARGINS))
