"""Scores of the four parts of a split in one file."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.scored import COLUMNS, NAMES, ScoredWindows

PARTS = ("train", "calibrate", "validate", "novel")


@dataclass(frozen=True, slots=True)
class ScoredParts:
    """What one model says of every window of its split, each part in the split's order."""

    train: ScoredWindows
    calibrate: ScoredWindows
    validate: ScoredWindows
    novel: ScoredWindows

    def save(self, path: Path) -> None:
        """Write all columns as an npz."""
        arrays: dict[str, Any] = {
            f"{part}/{field.name}": np.asarray(getattr(getattr(self, part), field.name))
            for part in PARTS
            for field in fields(ScoredWindows)
        }
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> ScoredParts:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            parts = {}
            for part in PARTS:
                columns = {field.name: stored[f"{part}/{field.name}"] for field in fields(ScoredWindows)}
                for name in NAMES:
                    columns[name] = tuple(str(word) for word in columns[name])
                parts[part] = ScoredWindows(**columns)
        return cls(**parts)


def joined(first: ScoredWindows, second: ScoredWindows) -> ScoredWindows:
    """Return the windows of both."""
    if len(second) == 0:
        return first
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in COLUMNS
    }
    return replace(first, **columns)
