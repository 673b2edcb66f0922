"""Conformal p-values: how often an ordinary star looks at least this strange."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from broker_plugin.records.epoch import FloatArray

LEAST_OF_A_CLASS = 200
"""Calibration windows from which a predicted class has p-values of its own: 0.01 rests on two of them."""


class Calibration:
    """Held-out energies, for each predicted class with enough of them and for the rest together.

    A class that the network finds easy has low energies throughout, and a window strange *for that class*
    would pass among the scatter of the others. The guarantee then holds within each predicted class (Mondrian
    conformal prediction, Vovk et al. 2005, Algorithmic Learning in a Random World).

    Parameters
    ----------
    energies : ndarray, shape (n,), float64
        Increasing; may be empty.
    classes : ndarray, shape (n,) or (0,), int64
        Predicted class of each; empty: all count together.
    """

    def __init__(self, energies: FloatArray, classes: npt.NDArray[np.int64]) -> None:
        self._of_class: dict[int, FloatArray] = {}
        self._rest = energies
        if len(classes):
            found, counts = np.unique(classes, return_counts=True)
            own = found[counts >= LEAST_OF_A_CLASS]
            self._of_class = {int(k): energies[classes == k] for k in own}
            rest = energies[~np.isin(classes, own)]
            # Too few for themselves: they are compared with everything.
            self._rest = rest if len(rest) >= LEAST_OF_A_CLASS else energies

    def p_value(self, energy: float, predicted: int) -> float | None:
        """Return the p-value of a window, or None where nothing was held out."""
        return conformal_p_value(energy, self._of_class.get(predicted, self._rest))


def conformal_p_value(energy: float, calibration_energies: FloatArray) -> float | None:
    """Return the conformal p-value of an energy among increasing calibration energies, or None without any.

    (1 + number at least as large) / (1 + number): for a window exchangeable with the calibration windows the
    chance of a value of at most p is at most p.
    """
    n = len(calibration_energies)
    if n == 0:
        return None
    at_least = n - int(np.searchsorted(calibration_energies, energy, side="left"))
    return (1 + at_least) / (1 + n)
