"""Annotations of an offline run next to the truth table of the simulation."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker_plugin.errors import InputError
from broker_plugin.plots.summary import ScoredObject
from broker_plugin.records.annotation import Annotation


@dataclass(frozen=True, slots=True)
class Truth:
    """What an object really is: its kind, and its class if the model knows such stars."""

    kind: str
    superclass: str


def read_truth(path: Path) -> dict[str, Truth]:
    """Read a truth table with at least the columns object_id, kind, superclass.

    Raises
    ------
    InputError
    """
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return {row["object_id"]: Truth(row["kind"], row["superclass"]) for row in csv.DictReader(stream)}
    except OSError as error:
        msg = f"the truth table {path} cannot be read: {error.strerror}"
    except KeyError as error:
        msg = f"the truth table {path} lacks the column {error}; expected object_id, kind, superclass"
    raise InputError(msg)


def latest(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Return the annotation in force of each object and band: what a user of the stream believes."""
    last: dict[tuple[str, str, str], Annotation] = {}
    for annotation in annotations:
        key = (annotation.survey, annotation.object_id, annotation.band)
        if key not in last or _order(last[key]) <= _order(annotation):
            last[key] = annotation
    return [annotation for annotation in last.values() if not annotation.withdrawn]


def _order(annotation: Annotation) -> tuple[int, int]:
    return (annotation.revision, annotation.n_epochs_total)


def compare(
    annotations: Iterable[Annotation], truth: Mapping[str, Truth], classes: Sequence[str]
) -> list[ScoredObject]:
    """Put each annotation next to its truth; those of objects that the table lacks are left out."""
    scored = []
    for annotation in annotations:
        true = truth.get(annotation.object_id)
        if true is None:
            continue
        known = true.superclass in classes
        scored.append(
            ScoredObject(
                survey=annotation.survey,
                object_id=annotation.object_id,
                band=annotation.band,
                truth=true.superclass if known else true.kind,
                known=known,
                predicted=annotation.predicted_class,
                energy=annotation.energy,
                novel=annotation.novel,
            )
        )
    return scored


@dataclass(frozen=True, slots=True)
class Scores:
    """Figures of a comparison.

    Attributes
    ----------
    known, right : int
        Light curves of known classes, and how many of them have the right most probable class.
    false_novel : int
        Light curves of known classes that were called novel.
    unseen, found : int
        Light curves of kinds that the model has never seen, and how many of them were called novel.
    rank : float or None
        Probability that a random unseen one has a higher energy than a random known one (the area under
        the ROC curve); None if either is missing.
    """

    known: int
    right: int
    false_novel: int
    unseen: int
    found: int
    rank: float | None


def score(scored: Sequence[ScoredObject]) -> Scores:
    """Count what was right."""
    known = [item for item in scored if item.known]
    unseen = [item for item in scored if not item.known]
    pairs = len(known) * len(unseen)
    wins = sum((u.energy > k.energy) + 0.5 * (u.energy == k.energy) for u in unseen for k in known)
    return Scores(
        known=len(known),
        right=sum(item.predicted == item.truth for item in known),
        false_novel=sum(item.novel for item in known),
        unseen=len(unseen),
        found=sum(item.novel for item in unseen),
        rank=wins / pairs if pairs else None,
    )
