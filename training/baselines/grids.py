"""Grids of random forests, apart from the library that grows them, so that options can name them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

GridName = Literal["paper", "small", "one"]

GRIDS: Mapping[GridName, Mapping[str, Sequence[Any]]] = {
    "paper": {
        "n_estimators": (50, 100, 250),
        "criterion": ("gini", "entropy"),
        "max_features": (0.05, 0.1, 0.2, 0.3),
        "min_samples_leaf": (1, 2, 3),
    },
    "small": {
        "n_estimators": (250,),
        "criterion": ("entropy",),
        "max_features": (0.1, 0.3),
        "min_samples_leaf": (1, 3),
    },
    "one": {
        "n_estimators": (100,),
        "criterion": ("entropy",),
        "max_features": (0.3,),
        "min_samples_leaf": (1,),
    },
}
"""``paper`` is theirs, 72 forests a fold; ``small`` its corners; ``one`` no search."""
