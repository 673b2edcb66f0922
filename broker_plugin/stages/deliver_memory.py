"""What each reader of an output was given last, in the state of the deliver stage.

One small value a reader, object and band; of outputs from whole objects, one a reader and object. Versions
before remembered by filter, and only for those with ``new_or_changed``; what they left is read, and replaced
at the next occasion.
"""

from __future__ import annotations

from collections.abc import Sequence

from broker_plugin.annotate.changes import Said
from broker_plugin.filters import Seen
from broker_plugin.runner.protocols import State

_OWED = Seen(Said("", novel=False, period_days=None), "put_aside")


class Memory:
    """Of one reader, about one subject.

    Parameters
    ----------
    state : State
    partition : int
        Of the annotation.
    reader : str
        See :attr:`broker_plugin.stages.deliver.Route.reader`.
    subject : str
        See :attr:`broker_plugin.outputs.Publication.subject`.
    """

    def __init__(self, state: State, partition: int, reader: str, subject: str) -> None:
        self._state = state
        self._partition = partition
        self._subject = subject
        self._key = f"given/{reader}/{subject}".encode()
        self._replaced: list[bytes] = []

    def recall(self, former: Sequence[str], *, owed: bool = False) -> tuple[Seen, ...]:
        """Return what the reader was given last; nothing if nothing was.

        Parameters
        ----------
        former : sequence of str
            Under these names versions before remembered, each for itself: there is no telling which was last.
        owed : bool
            Where nothing is remembered, take it for given something.
        """
        packed = self._state.get(self._partition, self._key)
        if packed is not None:
            return (Seen.unpack(packed),)
        found = []
        for name in former:
            key = f"seen/{name}/{self._subject}".encode()
            packed = self._state.get(self._partition, key)
            if packed is not None:
                found.append(Seen.unpack(packed))
                self._replaced.append(key)
        return tuple(found) if found or not owed else (_OWED,)

    def keep(self, seen: Seen) -> None:
        """Remember what it is given now, in place of all that was recalled."""
        self._state.put(self._partition, self._key, seen.pack())
        for key in self._replaced:
            self._state.put(self._partition, key, None)
