"""What is new: the memory behind ``new_or_changed``, one small value an object and band.

Where it is kept is the caller's affair: the deliver stage keeps it in its state, ``subscribe`` while it runs.
What counts as a change is what counts for the annotations' own revisions, with the margins of the defaults:
not every installation publishes changes only, and not every filter lets all of them through.
"""

from __future__ import annotations

from broker_plugin.annotate.changes import Margins, Said, what_changed
from broker_plugin.records.annotation import Annotation

Seen = Said
"""The verdict that was let through last."""

_MARGINS = Margins()


def is_news(annotation: Annotation, seen: Seen | None) -> bool:
    """Return whether an annotation says something that was not said before.

    Parameters
    ----------
    annotation : Annotation
    seen : Seen or None
        What was let through last of the same object and band; None if nothing was. Then a withdrawal is no
        news: who was told nothing need not be told that it does not hold.
    """
    if annotation.withdrawn:
        return seen is not None and not seen.withdrawn
    if seen is None or seen.withdrawn:
        return True
    return bool(what_changed(annotation, seen, _MARGINS))
