"""Random forests: the grid of Tsang & Schultz (2019), chosen by cross-validation over groups of stars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

from broker_plugin.records.epoch import FloatArray
from training.baselines.grids import GRIDS, GridName
from training.metrics import IntArray

_INNER_FOLDS = 3


@dataclass(frozen=True, slots=True)
class FittedForest:
    """The best forest of a grid, refitted on all training windows.

    Attributes
    ----------
    forest : RandomForestClassifier
    parameters : dict
    inner_accuracy : float
        Mean accuracy of the inner folds; NaN for a grid of one.
    classes : tuple of int
        Class indices in the order of ``predict_proba``.
    """

    forest: Any
    parameters: dict[str, Any]
    inner_accuracy: float
    classes: tuple[int, ...]

    def probabilities(self, features: FloatArray, n_classes: int) -> FloatArray:
        """Return probabilities of all classes, shape (n, n_classes); 0 for one never seen."""
        found = np.zeros((len(features), n_classes))
        found[:, list(self.classes)] = self.forest.predict_proba(features)
        return found


def fit_forest(
    features: FloatArray, label: IntArray, group: IntArray, grid: GridName, *, seed: int, threads: int = 1
) -> FittedForest:
    """Search the grid by accuracy on inner folds that part no group of stars."""
    forest = RandomForestClassifier(random_state=seed, n_jobs=threads)
    parameters = {name: list(values) for name, values in GRIDS[grid].items()}
    if all(len(values) == 1 for values in parameters.values()):
        chosen = {name: values[0] for name, values in parameters.items()}
        forest.set_params(**chosen).fit(features, label)
        return FittedForest(forest, chosen, float("nan"), tuple(int(c) for c in forest.classes_))
    inner = StratifiedGroupKFold(n_splits=_INNER_FOLDS, shuffle=True, random_state=seed)
    search = GridSearchCV(forest, parameters, cv=inner, scoring="accuracy")
    search.fit(features, label, groups=group)
    return FittedForest(
        search.best_estimator_,
        dict(search.best_params_),
        float(search.best_score_),
        tuple(int(c) for c in search.best_estimator_.classes_),
    )
