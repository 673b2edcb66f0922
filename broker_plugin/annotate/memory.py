"""What is remembered of the last annotation of a light curve, and what that means for the next.

The order of windows is that of their content: the last epoch, then the number of epochs. It does not need
offsets or clocks, so it holds for what is read again, redriven or taken from an archive, too.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from broker_plugin.annotate.changes import Margins, Said, what_changed
from broker_plugin.records.annotation import Annotation
from broker_plugin.records.codec import decode_classification, encode_classification
from broker_plugin.records.epoch import SAME_EXPOSURE_DAYS
from broker_plugin.records.photometry import object_key
from broker_plugin.records.window import Window

_FIXED = struct.Struct("<B?dIH")  # layout, in novelties, last epoch, number of epochs, withdrawn exposures
_LAYOUT = 1
_MOST_WITHDRAWN = 200  # a window has no more epochs; of more withdrawn exposures the newest are kept

Publish = Literal["changes", "all"]
Order = tuple[float, int]
"""Last epoch (MJD) and number of epochs so far: the greater one of two windows is the newer."""

KEYS = b"m/"
"""What the state's keys begin with."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of one light curve: an object in a band.

    Attributes
    ----------
    published : Annotation
        The revision in force, without period candidates and neighbours.
    in_novelties : bool
        Whether readers of the novelties have it: what supersedes it must go there.
    newest : (float, int)
        Order of the newest window that was looked at, published or not.
    withdrawn_mjd : tuple of float
        Exposures that the survey has withdrawn, ascending: a window that holds one is older than that.
    """

    published: Annotation
    in_novelties: bool
    newest: Order
    withdrawn_mjd: tuple[float, ...] = ()

    def pack(self) -> bytes:
        """Return the bytes of the state value, some 550; equal memories are equal bytes."""
        last_epoch_mjd, n_epochs = self.newest
        head = _FIXED.pack(_LAYOUT, self.in_novelties, last_epoch_mjd, n_epochs, len(self.withdrawn_mjd))
        times = np.array(self.withdrawn_mjd, dtype="<f8").tobytes()
        return head + times + encode_classification(self.published, 0, "single-object")

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Read :meth:`pack`'s bytes; raises ValueError on another layout."""
        if len(data) < _FIXED.size or data[0] != _LAYOUT:
            msg = f"memory of {len(data)} bytes with layout {data[:1].hex()}, expected layout {_LAYOUT}"
            raise ValueError(msg)
        _, in_novelties, last_epoch_mjd, n_epochs, n_withdrawn = _FIXED.unpack_from(data)
        times = np.frombuffer(data, dtype="<f8", count=n_withdrawn, offset=_FIXED.size)
        published = decode_classification(data[_FIXED.size + times.nbytes :])
        return cls(published, in_novelties, (last_epoch_mjd, n_epochs), tuple(times.tolist()))


@dataclass(frozen=True, slots=True)
class Policy:
    """What is published.

    Attributes
    ----------
    publish : {"changes", "all"}
    margins : Margins
    threshold : float
        The model's, of the energy; see :func:`broker_plugin.annotate.changes.what_changed`.
    """

    publish: Publish
    margins: Margins
    threshold: float


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a window.

    Attributes
    ----------
    annotation : Annotation or None
        To be published, with its revision; None for nothing.
    to_novelties : bool
        Whether it goes to the novelties, too.
    outcome : str
        First of the annotation's changes; else why nothing is published: ``"unchanged"``, ``"repeated"``,
        ``"late"``, ``"withdrawn_epochs"``, ``"not_stale"``, ``"unaffected"``.
    memory : Memory or None
        From now on.
    """

    annotation: Annotation | None
    to_novelties: bool
    outcome: str
    memory: Memory | None


def memory_key(survey: str, object_id: str, band: str) -> bytes:
    """Return the state key of a light curve."""
    return KEYS + object_key(survey, object_id) + b"/" + band.encode()


def is_stale(memory: Memory | None, model_digest: str) -> bool:
    """Return whether another model than this one, or none, has the word about a light curve."""
    if memory is None:
        return True
    return not memory.published.withdrawn and memory.published.model_digest != model_digest


def may_rescore(window: Window, memory: Memory) -> bool:
    """Return whether a window is no older than the published one, and holds no withdrawn epoch."""
    published = memory.published
    newer = window_order(window) >= (published.last_epoch_mjd, published.n_epochs_total)
    return newer and not _holds(window, memory.withdrawn_mjd)


def window_order(window: Window) -> Order:
    """Return what tells of two windows of a light curve which one is the newer."""
    times = window.epochs["time_mjd"]
    return (float(times[-1]) if len(times) else -np.inf, window.n_epochs_total)


def decide(
    annotation: Annotation, window: Window, memory: Memory | None, policy: Policy, *, asked: bool = False
) -> Decision:
    """Decide about a scored window.

    Parameters
    ----------
    annotation : Annotation
        Of the window, without a revision.
    window : Window
    memory : Memory or None
        Of the light curve; None if nothing was published of it.
    policy : Policy
    asked : bool
        The window was sent again so that the model in use judges what another one did.
    """
    order = window_order(window)
    if memory is None:
        gone = tuple(sorted(window.withdrawn_mjd))
        memory = Memory(annotation, in_novelties=False, newest=order, withdrawn_mjd=gone)
        return _published(annotation, ("new",), 1, None, memory)
    gone = _unknown(window.withdrawn_mjd, memory)
    refused = _why_not(annotation, window, memory, gone=gone, asked=asked)
    if refused == "late" and policy.publish == "all" and not asked:
        # It passes without a place in the chain of revisions.
        return Decision(replace(annotation, changes=("late",)), annotation.novel, "late", memory)
    if refused is not None:
        return Decision(None, False, refused, memory)
    changes = _changes(annotation, window, gone, memory, policy)
    seen = replace(
        memory,
        newest=order if gone else max(order, memory.newest),
        withdrawn_mjd=_with(memory.withdrawn_mjd, gone),
    )
    if not changes:
        return Decision(None, False, "unchanged", seen)
    former = memory.published
    return _published(annotation, changes, former.revision + 1, former.annotation_id, seen)


def withdraw(window: Window, memory: Memory | None) -> Decision:
    """Decide about what a withdrawal left, too little to be scored."""
    gone = () if memory is None else _unknown(window.withdrawn_mjd, memory)
    if memory is None or not gone:
        return Decision(None, False, "unaffected", memory)
    memory_after = replace(memory, withdrawn_mjd=_with(memory.withdrawn_mjd, gone))
    if not _affected(memory.published, window, gone):
        return Decision(None, False, "unaffected", memory_after)
    former = memory.published
    annotation = replace(
        former,
        alert_id=window.alert_id,
        alert_time_mjd=window.alert_time_mjd,
        revision=former.revision + 1,
        supersedes=former.annotation_id,
        changes=("withdrawn",),
        withdrawn=True,
    )
    after = replace(memory_after, published=annotation, in_novelties=False, newest=window_order(window))
    return Decision(annotation, memory.in_novelties, "withdrawn", after)


def _published(
    annotation: Annotation, changes: tuple[str, ...], revision: int, supersedes: str | None, memory: Memory
) -> Decision:
    annotation = replace(annotation, revision=revision, supersedes=supersedes, changes=changes)
    slim = replace(annotation, neighbours=(), period=replace(annotation.period, candidates=()))
    return Decision(
        annotation,
        annotation.novel or memory.in_novelties,
        changes[0],
        replace(memory, published=slim, in_novelties=annotation.novel),
    )


def _why_not(
    annotation: Annotation, window: Window, memory: Memory, *, gone: Collection[float], asked: bool
) -> str | None:
    """Return why a window has no say, whatever the model made of it."""
    order, published = window_order(window), memory.published
    if _holds(window, memory.withdrawn_mjd):
        return "withdrawn_epochs"
    if asked:
        if not is_stale(memory, annotation.model_digest):
            return "not_stale"
        return None if may_rescore(window, memory) else "late"
    if gone:
        return None  # what was withdrawn is news, wherever the light curve ends now
    same_model = annotation.model_digest == published.model_digest
    if order == memory.newest and same_model and annotation.window_id == published.window_id:
        return "repeated"
    # The newest window once more is news to another model, and to nobody else.
    return "late" if order < memory.newest or (order == memory.newest and same_model) else None


def _changes(
    annotation: Annotation, window: Window, gone: Collection[float], memory: Memory, policy: Policy
) -> tuple[str, ...]:
    published, every = memory.published, policy.publish == "all"
    if published.withdrawn or (gone and (every or _affected(published, window, gone))):
        found = ["epochs"]
    else:
        found = []
    if published.model_digest != annotation.model_digest:
        found.append("model")
    if not published.withdrawn:
        said = Said.of(published)
        found += what_changed(annotation, said, policy.margins, threshold=policy.threshold)
    return tuple(found) or (("none",) if every else ())


def _affected(published: Annotation, window: Window, gone: Collection[float]) -> bool:
    """Return whether exposures that are gone lay under the published window, by its first and last epoch.

    An exposure that came too late for the window and lay between its epochs is taken for one of it.
    """
    if published.withdrawn or published.window_id == window.window_id:
        return False
    first, last = published.first_epoch_mjd, published.last_epoch_mjd
    return any(first - SAME_EXPOSURE_DAYS <= t <= last + SAME_EXPOSURE_DAYS for t in gone)


def _holds(window: Window, withdrawn_mjd: tuple[float, ...]) -> bool:
    if not withdrawn_mjd:
        return False
    apart = window.epochs["time_mjd"][:, None] - np.array(withdrawn_mjd)
    return bool((np.abs(apart) <= SAME_EXPOSURE_DAYS).any())


def _unknown(times: Collection[float], memory: Memory) -> tuple[float, ...]:
    known = np.array(memory.withdrawn_mjd)
    return tuple(t for t in times if not (np.abs(known - t) <= SAME_EXPOSURE_DAYS).any())


def _with(known: tuple[float, ...], gone: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted((*known, *gone))[-_MOST_WITHDRAWN:]) if gone else known
