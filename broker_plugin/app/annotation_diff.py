"""Two sets of annotations of the same stars, side by side: where they differ, record by record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker_plugin.records.text import to_json

IGNORED = frozenset({"processed_at"})
"""Fields that tell when, not what."""

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One annotation that both have, in different words.

    Attributes
    ----------
    annotation_id, where : str
        ``where`` is ``survey/object/band``.
    fields : mapping of str to (value, value)
        Those that differ, here and there; a field within a field has a name with dots.
    """

    annotation_id: str
    where: str
    fields: Mapping[str, tuple[Any, Any]]


@dataclass(slots=True)
class Diff:
    """What two sets have in common and what not.

    Attributes
    ----------
    same : int
        Annotations that are equal in both.
    only_here, only_there : dict of str to str
        Where each one is about (``survey/object/band``), by annotation id.
    differing : list of Difference
    repeated_here, repeated_there : Counter of str
        Ids that come more than once, and how many times too many.
    """

    same: int = 0
    only_here: dict[str, str] = field(default_factory=dict)
    only_there: dict[str, str] = field(default_factory=dict)
    differing: list[Difference] = field(default_factory=list)
    repeated_here: Counter[str] = field(default_factory=Counter)
    repeated_there: Counter[str] = field(default_factory=Counter)

    @property
    def equal(self) -> bool:
        """Return whether both say the same, each annotation once."""
        return not (
            self.only_here or self.only_there or self.differing or self.repeated_here or self.repeated_there
        )

    def fields(self) -> Counter[str]:
        """Return in how many annotations each field differs."""
        return Counter(name for difference in self.differing for name in difference.fields)


def diff(
    here: Iterable[Record], there: Iterable[Record], *, ignored: frozenset[str] = IGNORED, rtol: float = 0.0
) -> Diff:
    """Compare two sets by id, and what both have by content.

    Parameters
    ----------
    here, there : iterable of dict
        Records as decoded from Avro or from lines of JSON; their order does not matter.
    ignored : set of str
        Fields that may differ.
    rtol : float
        Relative difference of numbers that count as equal. On one machine the same windows give the same
        bits; another processor or runtime may round otherwise.
    """
    found = Diff()
    held = _by_id(here, ignored, found.repeated_here)
    for annotation_id, other in _by_id(there, ignored, found.repeated_there).items():
        mine = held.pop(annotation_id, None)
        if mine is None:
            found.only_there[annotation_id] = light_curve_of(other)
            continue
        fields = {name: pair for name, pair in _differences(mine, other, rtol)}
        if fields:
            found.differing.append(Difference(annotation_id, light_curve_of(mine), fields))
        else:
            found.same += 1
    found.only_here = {annotation_id: light_curve_of(record) for annotation_id, record in held.items()}
    return found


def _by_id(
    records: Iterable[Record], ignored: frozenset[str], repeated: Counter[str]
) -> dict[str, dict[str, Any]]:
    """Return the records as JSON would have them, so that a file of lines equals a topic."""
    held: dict[str, dict[str, Any]] = {}
    for record in records:
        annotation_id = str(record["annotation_id"])
        if annotation_id in held:
            repeated[annotation_id] += 1
        plain = {name: value for name, value in record.items() if name not in ignored}
        held[annotation_id] = json.loads(to_json(plain))
    return held


def light_curve_of(record: Record) -> str:
    """Return ``survey/object/band``."""
    return f"{record['survey']}/{record['object_id']}/{record['band']}"


def _differences(mine: Any, other: Any, rtol: float, name: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the names of what differs, and both values."""
    if isinstance(mine, dict) and isinstance(other, dict):
        for key in sorted(mine.keys() | other.keys()):
            inner = f"{name}.{key}" if name else key
            yield from _differences(mine.get(key), other.get(key), rtol, inner)
    elif isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        pairs = zip(mine, other, strict=True)
        if any(True for a, b in pairs for _ in _differences(a, b, rtol)):
            yield name, (mine, other)
    elif not _equal(mine, other, rtol):
        yield name, (mine, other)


def _equal(mine: Any, other: Any, rtol: float) -> bool:
    both_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (mine, other))
    if both_numbers and rtol:
        return bool(abs(mine - other) <= rtol * max(abs(mine), abs(other)))
    return bool(mine == other)
